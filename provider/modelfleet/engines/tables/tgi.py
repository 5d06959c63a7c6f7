"""The options of text-generation-inference 3.3, as its launcher takes them.

Read on 21 November 2026 from ``launcher/src/main.rs`` and ``docs/source/reference/launcher.md`` of
version 3. Every option but ``env`` can be set by a variable of its name in capitals, too. Data.
"""

from __future__ import annotations

from typing import Final

from modelfleet.engines.options import Option, Several, Takes

OPTIONS: Final = (
    Option("model-id"),
    Option("revision"),
    Option("validation-workers", Takes.INTEGER),
    Option("sharded", words=("true", "false")),
    Option("num-shard", Takes.INTEGER),
    Option(
        "quantize",
        words=(
            *("awq", "compressed-tensors", "eetq", "exl2", "gptq", "marlin"),
            *("bitsandbytes", "bitsandbytes-nf4", "bitsandbytes-fp4", "fp8"),
        ),
    ),
    Option("speculate", Takes.INTEGER),
    Option("dtype", words=("float16", "bfloat16")),
    Option("kv-cache-dtype", words=("fp8_e4m3fn", "fp8_e5m2")),
    Option("trust-remote-code", Takes.NOTHING),
    Option("max-concurrent-requests", Takes.INTEGER),
    Option("max-best-of", Takes.INTEGER),
    Option("max-stop-sequences", Takes.INTEGER),
    Option("max-top-n-tokens", Takes.INTEGER),
    Option("max-input-tokens", Takes.INTEGER),
    Option("max-input-length", Takes.INTEGER),
    Option("max-total-tokens", Takes.INTEGER),
    Option("waiting-served-ratio", Takes.NUMBER),
    Option("max-batch-prefill-tokens", Takes.INTEGER),
    Option("max-batch-total-tokens", Takes.INTEGER),
    Option("max-waiting-tokens", Takes.INTEGER),
    Option("max-batch-size", Takes.INTEGER),
    Option("cuda-graphs"),
    Option("hostname"),
    Option("port", Takes.INTEGER, shorts=("p",)),
    Option("prometheus-port", Takes.INTEGER),
    Option("shard-uds-path"),
    Option("master-addr"),
    Option("master-port", Takes.INTEGER),
    Option("huggingface-hub-cache"),
    Option("weights-cache-override"),
    Option("disable-custom-kernels", Takes.NOTHING),
    Option("cuda-memory-fraction", Takes.NUMBER),
    Option("rope-scaling", words=("linear", "dynamic")),
    Option("rope-factor", Takes.NUMBER),
    Option("json-output", Takes.NOTHING),
    Option("otlp-endpoint"),
    Option("otlp-service-name"),
    Option("cors-allow-origin", several=Several.REPEATED),
    Option("api-key"),
    Option("watermark-gamma", Takes.NUMBER),
    Option("watermark-delta", Takes.NUMBER),
    Option("ngrok", Takes.NOTHING),
    Option("ngrok-authtoken"),
    Option("ngrok-edge"),
    Option("tokenizer-config-path"),
    Option("disable-grammar-support", Takes.NOTHING),
    Option("env", Takes.NOTHING, shorts=("e",)),
    Option("max-client-batch-size", Takes.INTEGER),
    Option("lora-adapters"),
    Option("usage-stats", words=("on", "off", "no-stack")),
    Option("payload-limit", Takes.INTEGER),
    Option("enable-prefill-logprobs", Takes.NOTHING),
    Option("graceful-termination-timeout", Takes.INTEGER, shorts=("g",)),
    Option("help", Takes.NOTHING, shorts=("h",)),
    Option("version", Takes.NOTHING, shorts=("V",)),
)
