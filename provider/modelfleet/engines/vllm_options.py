"""What vLLM's releases know: the option table, what is derived, what replaces what is gone.

The table is read from the sources (``tables/vllm.py``); what stands here is written by people,
and checked against it by tests. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from modelfleet.engines.options import OptionTable, Several, Version
from modelfleet.engines.tables import vllm as table

NAME: Final = "vllm"
DEFAULT_VERSION: Final = "v0.30.0"


def version_of(tag: str) -> Version | None:
    """Return major and minor version of an image tag such as ``v0.30.0-cu129``, else None."""
    match = re.match(r"v(\d+)\.(\d+)\.\d+(?!\d)", tag)
    return (int(match[1]), int(match[2])) if match else None


INSTEAD: Final[Mapping[str, str]] = {
    "calculate-kv-scales": "leave it out: scales come from the checkpoint",
    "cuda-graph-sizes": "use `cudagraph-capture-sizes`",
    "disable-frontend-multiprocessing": "leave it out",
    "disable-log-requests": "leave it out: requests are logged with `enable-log-requests` only",
    "disable-mm-preprocessor-cache": "use `mm-processor-cache-gb`: 0",
    "enable-multimodal-encoder-data-parallel": "use `mm-encoder-tp-mode`: data",
    "eplb-log-balancedness": "use `eplb-config.log_balancedness`",
    "eplb-step-interval": "use `eplb-config.step_interval`",
    "eplb-window-size": "use `eplb-config.window_size`",
    "guided-decoding-backend": "use `structured-outputs-config.backend`",
    "guided-decoding-disable-additional-properties": "use "
    "`structured-outputs-config.disable_additional_properties`",
    "guided-decoding-disable-any-whitespace": "use "
    "`structured-outputs-config.disable_any_whitespace`",
    "guided-decoding-disable-fallback": "use `structured-outputs-config.disable_fallback`",
    "logits-processor-pattern": "leave it out",
    "lora-extra-vocab-size": "leave it out",
    "num-lookahead-slots": "leave it out: `speculative-config` says it",
    "num-redundant-experts": "use `eplb-config.num_redundant_experts`",
    "override-attention-dtype": "leave it out",
    "override-pooler-config": "use `pooler-config`",
    "swap-space": "leave it out; `kv-offloading-size` keeps more KV cache in the pod's memory",
}
"""What to do where an option is gone."""

TABLE: Final = OptionTable(
    engine=NAME,
    first=table.FIRST,
    last=table.LAST,
    options=table.OPTIONS,
    release=version_of,
    default_tag=DEFAULT_VERSION,
    instead=INSTEAD,
    keyed=True,
)

REPEATED: Final = frozenset(
    option.name for option in table.OPTIONS if option.several is Several.REPEATED
)
"""Options that are given once per value; all others take their values in one go."""

_SERVED_PLAINLY: Final = "cannot be set: proxies and probes reach the pod over plain HTTP"
_ONE_POD: Final = "is not available yet: a replica is one pod; set deployment.replicas"

DERIVED: Final[Mapping[str, str]] = {
    "model": "is derived; set deployment.model.uri",
    "revision": "is derived; set deployment.model.revision",
    "hf-token": "would show the token; set deployment.model.credential_name",
    "served-model-name": "is derived; set provider_settings.model_names",
    "runner": "is derived; set model_type",
    "task": "is derived; set model_type",
    "tensor-parallel-size": "is derived; set deployment.parallelism.tensor",
    "pipeline-parallel-size": "is derived; set deployment.parallelism.pipeline",
    "max-model-len": "is derived; set deployment.max_model_len",
    "dtype": "is derived; set deployment.dtype",
    "quantization": "is derived; set deployment.quantization",
    "kv-cache-dtype": "is derived; set deployment.kv_cache_dtype",
    "gpu-memory-utilization": "is derived; set deployment.gpu_memory_utilization",
    "shutdown-timeout": "is derived; set deployment.drain_seconds",
    "api-key": "would show the key; set VLLM_API_KEY in deployment.secret_env",
    "config": "cannot be set: a file could contradict declared fields; give its options here",
    "port": "is fixed: callers use port 80 of the Service, whatever the engine's",
    "host": "is fixed: the engine listens on the pod's addresses",
    "uds": "is fixed: the engine listens on the pod's addresses",
    "grpc": "cannot be set: callers and probes speak HTTP",
    "ssl-keyfile": _SERVED_PLAINLY,
    "ssl-certfile": _SERVED_PLAINLY,
    "ssl-ca-certs": _SERVED_PLAINLY,
    "ssl-cert-reqs": _SERVED_PLAINLY,
    "data-parallel-size": _ONE_POD,
    "data-parallel-size-local": _ONE_POD,
    "data-parallel-rank": _ONE_POD,
    "data-parallel-start-rank": _ONE_POD,
    "data-parallel-address": _ONE_POD,
    "data-parallel-rpc-port": _ONE_POD,
    "data-parallel-hybrid-lb": _ONE_POD,
    "data-parallel-external-lb": _ONE_POD,
    "data-parallel-multi-port-external-lb": _ONE_POD,
    "nnodes": _ONE_POD,
    "node-rank": _ONE_POD,
    "master-addr": _ONE_POD,
    "master-port": _ONE_POD,
    "headless": _ONE_POD,
}
"""Options that ``deployment.args`` may not give, and what to set instead."""
