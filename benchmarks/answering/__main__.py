"""One service that a real node runs, in the namespace that the environment names."""

import os

from benchmarks.services import TINY, tiny_declaration
from modelfleet import ModelService

ModelService(TINY, **tiny_declaration(os.environ["BENCHMARK_NAMESPACE"]))
