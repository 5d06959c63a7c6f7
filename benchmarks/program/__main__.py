"""So many services, of modelfleet or of the provider that does nothing, as the environment says."""

import os

from benchmarks.services import declaration, names

kind, until = os.environ["BENCHMARK_KIND"], os.environ["BENCHMARK_UNTIL"]
namespace = os.environ["BENCHMARK_NAMESPACE"]
services = {
    name: declaration(name, namespace=namespace, until=until)
    for name in names(int(os.environ["BENCHMARK_SIZE"]))
}

if kind == "floor":
    from benchmarks.floor import Floor

    for name, declared in services.items():
        Floor(name, declared)
else:
    from modelfleet import ModelService

    for name, declared in services.items():
        ModelService(name, **declared)
