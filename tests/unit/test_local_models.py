"""Tiny models: which sentences can be said, and that the weights say them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from modelfleet.local.models.description import TinyModel, described_models
from modelfleet.local.models.gguf_files import Tokenizer, write_model
from modelfleet.local.models.sentences import sentence_tokens, weights_of

PIECES = ["<unk>", "<s>", "</s>", "\u2581", "Hello", "\u2581there", "\u2581the", "re", "!", "H"]
VOCABULARY = {piece: number for number, piece in enumerate(PIECES)}
END, SPACE = 2, 3


def test_a_sentence_is_split_into_the_longest_tokens() -> None:
    assert sentence_tokens("Hello there!", vocabulary=VOCABULARY) == [4, 5, 8]


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        ("Hello there there!", "'\u2581there' occurs twice"),
        ("Hello!!", "'!' occurs twice"),
        ("Hello you", "no token for 'y'"),
    ],
)
def test_a_sentence_that_cannot_be_said_is_refused(sentence: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sentence_tokens(sentence, vocabulary=VOCABULARY)


def test_a_sentence_needs_a_width_of_its_own() -> None:
    with pytest.raises(ValueError, match="3 tokens needs a width above that"):
        weights_of([4, 5, 8], end=END, again=SPACE, vocabulary_size=10, width=3)


@pytest.mark.parametrize("inside", [4, 8])
def test_what_ends_or_repeats_a_sentence_is_not_in_it(inside: int) -> None:
    with pytest.raises(ValueError, match="must not be in it"):
        weights_of([4, 5, 8], end=END, again=inside, vocabulary_size=10, width=8)


def logits_behind(token: int, weights: Sequence[Any]) -> Any:
    """What a llama computes whose layers add nothing: normalize the embedding, score each token."""
    embedding, output = (matrix.astype(np.float64) for matrix in weights)
    hidden = embedding[token] / np.sqrt(np.mean(embedding[token] ** 2) + 1e-5)
    return output @ hidden


def test_every_token_leads_to_the_next_with_certainty_at_temperature_1() -> None:
    weights = weights_of([4, 5, 8], end=END, again=SPACE, vocabulary_size=10, width=8)
    after = {4: 5, 5: 8, 8: END} | dict.fromkeys((0, 1, 2, 3, 6, 7, 9), 4)
    for token, following in after.items():
        scores = logits_behind(token, weights)
        chances = np.exp(scores) / np.exp(scores).sum()
        assert np.argmax(chances) == following
        assert chances[following] > 1 - 1e-9


def test_a_text_that_may_not_end_begins_again_behind_a_space() -> None:
    weights = weights_of([4, 5, 8], end=END, again=SPACE, vocabulary_size=10, width=8)
    scores = logits_behind(8, weights)
    scores[END] = -np.inf  # what ignore_eos does
    assert np.argmax(scores) == SPACE
    assert np.exp(scores[SPACE]) / np.exp(scores).sum() > 1 - 1e-9
    assert np.argmax(logits_behind(SPACE, weights)) == 4


def write_vocabulary(path: Path) -> Path:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("llama")
    writer.add_token_list(PIECES)
    writer.add_token_scores([0.0] * len(PIECES))
    writer.add_token_types([1] * len(PIECES))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(END)
    writer.add_unk_token_id(0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def test_a_model_file_has_the_tokenizer_the_template_and_all_tensors(tmp_path: Path) -> None:
    tokenizer = Tokenizer(write_vocabulary(tmp_path / "vocabulary.gguf"))
    model = TinyModel(
        sentence="Hello there!",
        layers=2,
        width=256,
        feed_forward_length=512,
        feed_forward_type="IQ3_S",
    )
    files = [tmp_path / "one.gguf", tmp_path / "other.gguf"]
    for file in files:
        write_model(file, name="tiny", model=model, tokenizer=tokenizer)
    assert files[0].read_bytes() == files[1].read_bytes()
    reader = gguf.GGUFReader(files[0])
    tokens = reader.get_field("tokenizer.ggml.tokens")
    template = reader.get_field("tokenizer.chat_template")
    assert tokens is not None
    assert tokens.contents() == PIECES
    assert template is not None
    assert "add_generation_prompt" in template.contents()
    assert len(reader.tensors) == 3 + 2 * 9
    shapes = {tensor.name: tensor.shape.tolist() for tensor in reader.tensors}
    assert shapes["output.weight"] == [256, len(PIECES)]  # GGUF names the columns first
    assert shapes["blk.1.ffn_down.weight"] == [512, 256]


def test_every_described_model_answers_differently() -> None:
    sentences = [model.sentence for model in described_models().values()]
    assert {"tiny-chat", "tiny-chat-b", "slow-chat"} <= described_models().keys()
    assert len(set(sentences)) == len(sentences)


@pytest.mark.parametrize("model", described_models().values(), ids=described_models().keys())
def test_no_word_of_a_described_sentence_occurs_twice(model: TinyModel) -> None:
    words = re.findall(r"\w+|[^\w\s]", model.sentence)
    assert len(set(words)) == len(words)
