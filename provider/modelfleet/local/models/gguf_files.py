"""Writes a tiny model as a GGUF file, with the tokenizer of a real one.

Needs the packages gguf and numpy (the extra ``local``), which only this module imports.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np

from modelfleet.local.models.description import TinyModel
from modelfleet.local.models.sentences import SPACE, sentence_tokens, weights_of

# Ends with a line feed, a token that no sentence has.
_CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:\n{% endif %}"
)
_HEAD_LENGTH = 32


class Tokenizer:
    """A vocabulary file's tokenizer: its tokens in order, and everything else about them."""

    def __init__(self, file: Path) -> None:
        reader = gguf.GGUFReader(file)

        def value(name: str) -> Any:
            field = reader.get_field(f"tokenizer.ggml.{name}")
            if field is None:
                raise ValueError(f"{file} has no tokenizer.ggml.{name}")
            return field.contents()

        self.model: str = value("model")
        self.tokens: list[str] = value("tokens")
        self.scores: list[float] = value("scores")
        self.types: list[int] = value("token_type")
        self.begin: int = value("bos_token_id")
        self.end: int = value("eos_token_id")
        self.unknown: int = value("unknown_token_id")
        self.numbers = {token: number for number, token in enumerate(self.tokens)}


def write_model(target: Path, *, name: str, model: TinyModel, tokenizer: Tokenizer) -> None:
    """Write the model's file. Raises ValueError when its sentence cannot be one."""
    writer = gguf.GGUFWriter(target, "llama")
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    _add_shape(writer, model)
    _add_tokenizer(writer, tokenizer)
    _add_weights(writer, model, tokenizer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_shape(writer: gguf.GGUFWriter, model: TinyModel) -> None:
    writer.add_context_length(model.context_length)
    writer.add_embedding_length(model.width)
    writer.add_block_count(model.layers)
    writer.add_feed_forward_length(model.feed_forward_length)
    writer.add_head_count(model.width // _HEAD_LENGTH)
    writer.add_head_count_kv(1)
    writer.add_rope_dimension_count(_HEAD_LENGTH)
    writer.add_layer_norm_rms_eps(1e-5)


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    writer.add_vocab_size(len(tokenizer.tokens))
    writer.add_tokenizer_model(tokenizer.model)
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokenizer.tokens)
    writer.add_token_scores(tokenizer.scores)
    writer.add_token_types(tokenizer.types)
    writer.add_bos_token_id(tokenizer.begin)
    writer.add_eos_token_id(tokenizer.end)
    writer.add_unk_token_id(tokenizer.unknown)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_chat_template(_CHAT_TEMPLATE)


def _add_weights(writer: gguf.GGUFWriter, model: TinyModel, tokenizer: Tokenizer) -> None:
    embedding, output = weights_of(
        sentence_tokens(model.sentence, vocabulary=tokenizer.numbers),
        end=tokenizer.end,
        again=tokenizer.numbers[SPACE],
        vocabulary_size=len(tokenizer.tokens),
        width=model.width,
    )
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output_norm.weight", np.ones(model.width, dtype=np.float32))
    writer.add_tensor("output.weight", output)
    wide, narrow = model.feed_forward_length, model.width
    for layer in (f"blk.{number}" for number in range(model.layers)):
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{layer}.{norm}.weight", np.ones(narrow, dtype=np.float32))
        for part, rows in (("q", narrow), ("k", _HEAD_LENGTH), ("v", _HEAD_LENGTH)):
            _add_zeros(writer, f"{layer}.attn_{part}.weight", rows=rows, columns=narrow)
        _add_zeros(writer, f"{layer}.attn_output.weight", rows=narrow, columns=narrow)
        kind = model.feed_forward_type
        for part, rows, columns in (
            ("gate", wide, narrow),
            ("up", wide, narrow),
            ("down", narrow, wide),
        ):
            _add_zeros(writer, f"{layer}.ffn_{part}.weight", rows=rows, columns=columns, kind=kind)


def _add_zeros(
    writer: gguf.GGUFWriter, name: str, *, rows: int, columns: int, kind: str = "F16"
) -> None:
    """Add a matrix that adds nothing, in a data type in which zero bytes mean zero."""
    data_type = gguf.GGMLQuantizationType[kind]
    width_bytes = gguf.quant_shape_to_byte_shape((columns,), data_type)[-1]
    writer.add_tensor(name, np.zeros((rows, width_bytes), dtype=np.uint8), raw_dtype=data_type)
