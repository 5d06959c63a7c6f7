"""What SGLang's releases know: the option table, what is derived, what replaces what is gone.

The table is read from the sources (``tables/sglang.py``); what stands here is written by people,
and checked against it by tests. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from modelfleet.engines.options import OptionTable, Several, Version
from modelfleet.engines.tables import sglang as table

NAME: Final = "sglang"
DEFAULT_VERSION: Final = "v0.5.21"


def version_of(tag: str) -> Version | None:
    """Return the version in an image tag such as ``v0.5.21`` or ``v0.5.13.post1-cu129``."""
    match = re.match(r"v(\d+)\.(\d+)\.(\d+)(?!\d)", tag)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


INSTEAD: Final[Mapping[str, str]] = {
    "collect-tokens-histogram": "leave it out: the metrics have it",
    "cuda-graph-bs": "use `cuda-graph-bs-decode`",
    "cuda-graph-max-bs": "use `cuda-graph-max-bs-decode`",
    "cuda-graph-tc-compiler": "use `cuda-graph-config`",
    "disable-piecewise-cuda-graph": "use `disable-prefill-cuda-graph`",
    "enable-breakable-cuda-graph": "use `cuda-graph-backend-prefill`",
    "enable-deepep-waterfill": "use `enable-waterfill`",
    "enable-dsa-prefill-context-parallel": "use `enable-prefill-cp`",
    "enable-flashinfer-autotune": "leave it out: it is on unless `disable-flashinfer-autotune`",
    "enable-nsa-prefill-context-parallel": "use `enable-prefill-cp`",
    "enable-piecewise-cuda-graph": "leave it out: it is on unless `disable-prefill-cuda-graph`",
    "enable-prefill-context-parallel": "use `enable-prefill-cp`",
    "hybrid-kvcache-ratio": "use `swa-full-tokens-ratio`",
    "nsa-decode-backend": "use `dsa-decode-backend`",
    "nsa-prefill-backend": "use `dsa-prefill-backend`",
    "optimistic-prefill-retries": "use `optimistic-prefill-attempts`",
    "piecewise-cuda-graph-max-tokens": "use `cuda-graph-max-bs-prefill`",
    "piecewise-cuda-graph-tokens": "use `cuda-graph-bs-prefill`",
    "prefill-round-robin-balance": "leave it out",
    "stream-output": "use `incremental-streaming-output`",
    "torchao-config": "leave it out; deployment.quantization says how to quantise",
}
"""What to do where an option is gone; its absence here means that nobody has looked."""

TABLE: Final = OptionTable(
    engine=NAME,
    first=table.FIRST,
    last=table.LAST,
    options=table.OPTIONS,
    release=version_of,
    default_tag=DEFAULT_VERSION,
    instead=INSTEAD,
)

REPEATED: Final = frozenset(
    option.name for option in table.OPTIONS if option.several is Several.REPEATED
)
"""Options that are given once per value; all others take their values in one go."""

_SERVED_PLAINLY: Final = "cannot be set: proxies and probes reach the pod over plain HTTP"
_HTTP: Final = "cannot be set: callers and probes speak HTTP"
_ONE_POD: Final = "is not available yet: a replica is one pod; set deployment.replicas"
_KEY: Final = (
    "would show the key, and sglang reads it from nowhere else; say who may connect with "
    "network_configuration.allow_from"
)

DERIVED: Final[Mapping[str, str]] = {
    "model-path": "is derived; set deployment.model.uri",
    "revision": "is derived; set deployment.model.revision",
    "served-model-name": "is the access name; change model_service_name or workspace_id",
    "is-embedding": "is derived; set model_type",
    "tensor-parallel-size": "is derived; set deployment.parallelism.tensor",
    "pipeline-parallel-size": "is derived; set deployment.parallelism.pipeline",
    "context-length": "is derived; set deployment.max_model_len",
    "dtype": "is derived; set deployment.dtype",
    "quantization": "is derived; set deployment.quantization",
    "kv-cache-dtype": "is derived; set deployment.kv_cache_dtype",
    "mem-fraction-static": "is derived; set deployment.gpu_memory_utilization",
    "enable-metrics": "is always on",
    "config": "cannot be set: a file could contradict declared fields; give its options here",
    "device": "is derived; set deployment.gpu.vendor",
    "base-gpu-id": "is fixed: the pod has the GPUs it asks for and no others",
    "gpu-id-step": "is fixed: the pod has the GPUs it asks for and no others",
    "host": "is fixed: the engine listens on the pod's addresses",
    "port": "is fixed: callers use port 80 of the Service, whatever the engine's",
    "api-key": _KEY,
    "admin-api-key": _KEY,
    "grpc-mode": _HTTP,
    "smg-grpc-mode": _HTTP,
    "ssl-keyfile": _SERVED_PLAINLY,
    "ssl-certfile": _SERVED_PLAINLY,
    "ssl-ca-certs": _SERVED_PLAINLY,
    "ssl-keyfile-password": _SERVED_PLAINLY,
    "data-parallel-size": _ONE_POD,
    "nnodes": _ONE_POD,
    "node-rank": _ONE_POD,
    "dist-init-addr": _ONE_POD,
}
"""Options that ``deployment.args`` may not give, and what to set instead."""
