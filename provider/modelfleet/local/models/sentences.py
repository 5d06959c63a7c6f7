"""Makes a language model's weights say one sentence, by construction instead of by training. Pure.

Every token of the sentence occurs once in it, so that the last token alone decides the next one:
the embedding of the n-th token is the n-th unit vector, the layers in between add nothing, and the
output matrix gives the (n+1)-th token the highest score for it. The last one leads to the end of
the text, and every token outside of the sentence to its first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPACE = "\u2581"  # how SentencePiece writes a space

# In logits: at temperature 1 a lead of 30 leaves all 32,000 others together less than 10^-8.
_SURE = 60.0
_NEXT_BEST = 30.0


def sentence_tokens(sentence: str, *, vocabulary: Mapping[str, int]) -> Sequence[int]:
    """The sentence as numbers of tokens, the longest that fits each time.

    Raises ValueError when a part has no token, or a token occurs twice.
    """
    rest = sentence.replace(" ", SPACE)
    longest = max(map(len, vocabulary))
    tokens: list[int] = []
    while rest:
        fitting = (rest[:length] for length in range(min(longest, len(rest)), 0, -1))
        piece = next((text for text in fitting if text in vocabulary), None)
        if piece is None:
            raise ValueError(f"{sentence!r}: the vocabulary has no token for {rest[0]!r}")
        if vocabulary[piece] in tokens:
            raise ValueError(f"{sentence!r}: {piece!r} occurs twice, so what follows is undecided")
        tokens.append(vocabulary[piece])
        rest = rest[len(piece) :]
    return tokens


def weights_of(
    tokens: Sequence[int], *, end: int, again: int, vocabulary_size: int, width: int
) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """The embedding and the output matrix, both of ``vocabulary_size`` rows and ``width`` columns.

    ``end`` is the token that ends a text. ``again`` follows where ending is forbidden
    (``ignore_eos``): a token outside of the sentence, after which it starts over.
    Raises ValueError when the width is too small for the sentence, or one of the two is in it.
    """
    import numpy as np

    if len(tokens) >= width:
        raise ValueError(f"a sentence of {len(tokens)} tokens needs a width above that")
    if {end, again} & set(tokens):
        raise ValueError("what ends a sentence must not be in it")
    # Of length sqrt(width), which normalization leaves as it is.
    size = width**0.5
    embedding = np.zeros((vocabulary_size, width), dtype=np.float16)
    output = np.zeros((vocabulary_size, width), dtype=np.float16)
    embedding[:, 0] = size  # column 0: the sentence has not begun
    for column, token in enumerate(tokens, start=1):
        embedding[token] = 0
        embedding[token, column] = size
    for column, token in enumerate((*tokens, end)):
        output[token, column] = _SURE / size
    output[again, len(tokens)] = _NEXT_BEST / size
    return embedding, output
