"""The marks by which each engine is recognised, and what its options mean: one table. Pure.

Whoever built the image. Sources: the engines' own documentation of images, servers and options, as
of November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_VLLM_FIELDS: Final = {
    "revision": "model.revision",
    "tensor-parallel-size": "parallelism.tensor",
    "pipeline-parallel-size": "parallelism.pipeline",
    "max-model-len": "max_model_len",
    "dtype": "dtype",
    "quantization": "quantization",
    "kv-cache-dtype": "kv_cache_dtype",
    "gpu-memory-utilization": "gpu_memory_utilization",
}
_SGLANG_FIELDS: Final = {
    "revision": "model.revision",
    "tp-size": "parallelism.tensor",
    "tensor-parallel-size": "parallelism.tensor",
    "pp-size": "parallelism.pipeline",
    "pipeline-parallel-size": "parallelism.pipeline",
    "context-length": "max_model_len",
    "dtype": "dtype",
    "quantization": "quantization",
    "kv-cache-dtype": "kv_cache_dtype",
    "mem-fraction-static": "gpu_memory_utilization",
}
_TGI_FIELDS: Final = {
    "revision": "model.revision",
    "num-shard": "parallelism.tensor",
    "max-total-tokens": "max_model_len",
    "dtype": "dtype",
    "quantize": "quantization",
    "kv-cache-dtype": "kv_cache_dtype",
    "cuda-memory-fraction": "gpu_memory_utilization",
}
_LLAMA_CPP_FIELDS: Final = {"ctx-size": "max_model_len", "c": "max_model_len"}
_TEI_FIELDS: Final = {"revision": "model.revision", "dtype": "dtype"}


@dataclass(frozen=True)
class Marks:
    """How one engine is recognised, and where it says what it serves.

    ``image`` is found in the image's repository, one of ``programs`` in its command line; words
    after it are its own. ``positional``: the first of those may be the model. ``models`` are the
    options, ``variables`` the environment that name it; ``names`` those that name it to callers.
    ``fields`` says which option is which field of a deployment.
    """

    engine: str
    image: str
    programs: tuple[tuple[str, ...], ...]
    port: int
    models: tuple[str, ...]
    variables: tuple[str, ...] = ()
    positional: bool = False
    names: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)


MARKS: Final = (
    Marks(
        engine="vllm",
        image=r"(^|/)vllm(-openai[^/]*)?$|/vllm[-/]",
        programs=(("vllm", "serve"), ("-m", "vllm.entrypoints.openai.api_server")),
        port=8000,
        models=("model",),
        positional=True,
        names=("served-model-name",),
        fields=_VLLM_FIELDS,
    ),
    Marks(
        engine="sglang",
        image=r"(^|/)sglang[^/]*$",
        programs=(("-m", "sglang.launch_server"), ("sglang", "serve")),
        port=30000,
        models=("model-path", "model"),
        names=("served-model-name",),
        fields=_SGLANG_FIELDS,
    ),
    Marks(
        engine="llama.cpp",
        image=r"(^|/)llama\.?cpp[^/]*$",
        programs=(("llama-server",), ("/app/llama-server",), ("./llama-server",)),
        port=8080,
        models=("hf-repo", "hf", "model", "m"),
        variables=("LLAMA_ARG_HF_REPO", "LLAMA_ARG_MODEL"),
        names=("alias", "a"),
        fields=_LLAMA_CPP_FIELDS,
    ),
    Marks(
        engine="tgi",
        image=r"(^|/)text-generation-inference$",
        programs=(("text-generation-launcher",),),
        port=80,
        models=("model-id",),
        variables=("MODEL_ID", "HF_MODEL_ID"),
        names=("served-model-name",),
        fields=_TGI_FIELDS,
    ),
    Marks(
        engine="ollama",
        image=r"(^|/)ollama$",
        programs=(("ollama", "serve"), ("/bin/ollama", "serve")),
        port=11434,
        models=(),
        variables=("OLLAMA_MODEL", "MODEL"),
    ),
    Marks(
        engine="tei",
        image=r"(^|/)text-embeddings-inference$",
        programs=(("text-embeddings-router",),),
        port=80,
        models=("model-id",),
        variables=("MODEL_ID",),
        names=("served-model-name",),
        fields=_TEI_FIELDS,
    ),
)
