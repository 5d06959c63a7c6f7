"""The environment variables that the server of Ollama 0.34 reads.

Read on 21 November 2026 from ``envconfig/config.go`` of v0.34.3; those of its command line alone
(the editor, the history) are left out. Data.
"""

from __future__ import annotations

from typing import Final

VARIABLES: Final = frozenset(
    {
        "OLLAMA_AUTH",
        "OLLAMA_CONTEXT_LENGTH",
        "OLLAMA_CREATE_REMOTE",
        "OLLAMA_DEBUG",
        "OLLAMA_DEBUG_LOG_REQUESTS",
        "OLLAMA_FLASH_ATTENTION",
        "OLLAMA_GO_TEMPLATE",
        "OLLAMA_GPU_OVERHEAD",
        "OLLAMA_HOST",
        "OLLAMA_IGPU_ENABLE",
        "OLLAMA_KEEP_ALIVE",
        "OLLAMA_KV_CACHE_TYPE",
        "OLLAMA_LLM_LIBRARY",
        "OLLAMA_LOAD_TIMEOUT",
        "OLLAMA_MAX_LOADED_MODELS",
        "OLLAMA_MAX_QUEUE",
        "OLLAMA_MAX_TRANSFER_STREAMS",
        "OLLAMA_MODELS",
        "OLLAMA_NO_CLOUD",
        "OLLAMA_NOPRUNE",
        "OLLAMA_NUM_PARALLEL",
        "OLLAMA_ORIGINS",
        "OLLAMA_REMOTES",
        "OLLAMA_SCHED_SPREAD",
        "OLLAMA_VULKAN",
    }
)
