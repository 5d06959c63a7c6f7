"""The options of text-embeddings-inference 1.9.

Read on 21 November 2026 from ``router/src/main.rs`` and the README of that release. Every option
can be set by a variable of its name in capitals, too. Data.
"""

from __future__ import annotations

from typing import Final

from modelfleet.engines.options import Option, Several, Takes

OPTIONS: Final = (
    Option("model-id"),
    Option("revision"),
    Option("tokenization-workers", Takes.INTEGER),
    Option("dtype", words=("float16", "float32")),
    Option("served-model-name"),
    Option("pooling", words=("cls", "mean", "splade", "last-token")),
    Option("max-concurrent-requests", Takes.INTEGER),
    Option("max-batch-tokens", Takes.INTEGER),
    Option("max-batch-requests", Takes.INTEGER),
    Option("max-client-batch-size", Takes.INTEGER),
    Option("auto-truncate", words=("true", "false"), optional=True),
    Option("default-prompt-name"),
    Option("default-prompt"),
    Option("dense-path"),
    Option("hf-token"),
    Option("hf-api-token"),
    Option("hostname"),
    Option("port", Takes.INTEGER, shorts=("p",)),
    Option("uds-path"),
    Option("huggingface-hub-cache"),
    Option("payload-limit", Takes.INTEGER),
    Option("api-key"),
    Option("json-output", Takes.NOTHING),
    Option("disable-spans", Takes.NOTHING),
    Option("otlp-endpoint"),
    Option("otlp-service-name"),
    Option("prometheus-port", Takes.INTEGER),
    Option("cors-allow-origin", several=Several.REPEATED),
    Option("help", Takes.NOTHING, shorts=("h",)),
    Option("version", Takes.NOTHING, shorts=("V",)),
)
