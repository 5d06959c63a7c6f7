"""Words and patterns that may not occur in a text.

Words match whatever their case, and only whole, where a script puts spaces between words: ``ass``
is not in ``class``. In Chinese, Japanese, Thai and the like it does not, and a word matches
anywhere. Width, ligatures and characters that nobody sees make no difference.

Patterns are regular expressions as their author wrote them, on the text as the caller wrote it.
Each search has a deadline, since some patterns take longer than the universe on some texts.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable, Sequence

import regex

SEARCH_SECONDS = 0.5
"""Of all patterns on one body together. Ten million characters take a simple one about 0.1 s."""

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_LETTER = rf"[[\p{{L}}\p{{M}}\p{{N}}_]--[{_UNSPACED}]]"
_SPACED = regex.compile(_LETTER, regex.V1)

# Soft hyphen, zero-width characters, marks of direction: they change nothing that is seen.
_UNSEEN = dict.fromkeys([0x00AD, 0x180E, *range(0x200B, 0x2010), *range(0x2060, 0x2065), 0xFEFF])


class SearchTookTooLong(Exception):  # noqa: N818  (whoever raises it made no mistake)
    """A text could not be searched to its end in time."""


def words_in(words: Sequence[str]) -> Callable[[str], bool]:
    """A function that tells whether one of ``words`` occurs in a text."""
    plain = [_plain(word).split() for word in words]
    if not any(plain):
        return lambda _: False
    pattern = regex.compile("|".join(_word(parts) for parts in plain if parts), regex.V1)
    return lambda text: pattern.search(_plain(text), concurrent=True) is not None


def patterns_in(
    patterns: Sequence[str], *, seconds: float = SEARCH_SECONDS
) -> Callable[[str], bool]:
    """A function that tells whether one of ``patterns`` matches somewhere in a text.

    It raises SearchTookTooLong. Raises ValueError for a pattern that is none.
    """
    compiled = [_compiled(pattern) for pattern in patterns]

    def occurs(text: str) -> bool:
        ends_at = time.monotonic() + seconds
        for pattern in compiled:
            left = ends_at - time.monotonic()
            if left <= 0:
                raise SearchTookTooLong
            try:
                if pattern.search(text, timeout=left, concurrent=True):
                    return True
            except TimeoutError:
                raise SearchTookTooLong from None
        return False

    return occurs


def _compiled(pattern: str) -> regex.Pattern[str]:
    try:
        return regex.compile(pattern, regex.V0)
    except regex.error as error:
        raise ValueError(f"not a regular expression: {pattern!r}: {error}") from None


def _plain(text: str) -> str:
    if text.isascii():
        return text.casefold()
    seen = unicodedata.normalize("NFKC", text).translate(_UNSEEN)
    return unicodedata.normalize("NFKC", seen.casefold())


def _word(parts: Sequence[str]) -> str:
    """A pattern of one word, or of several with any space between them."""
    pattern = r"\s+".join(regex.escape(part) for part in parts)
    before = rf"(?<!{_LETTER})" if _SPACED.match(parts[0][0]) else ""
    after = rf"(?!{_LETTER})" if _SPACED.match(parts[-1][-1]) else ""
    return f"{before}{pattern}{after}"
