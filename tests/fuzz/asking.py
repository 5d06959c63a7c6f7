"""Queries as people and programs send them: sound ones, mistyped ones, and noise."""

from __future__ import annotations

import random
from typing import Final
from urllib.parse import quote, quote_plus

from modelfleet.adapters.query_api.zstack_api.columns import COLUMNS, FIELD_NAMES
from modelfleet.adapters.query_api.zstack_api.grammar import Operator

Pair = tuple[str, str]

SIGNS: Final = [each.value for each in Operator if " " not in each]
NOISE: Final = "abZ09 _.-%\\'\"=!<>~?,;:&#+/()[]{}|\t\n\x00\x7fé模\u2028\U0001f999"
WORDS: Final = (
    "",
    "null",
    "true",
    "FALSE",
    "0",
    "-1",
    "4",
    "17179869184",
    "9" * 30,
    "1e9",
    "vllm",
    "vllm/%",
    "%",
    "%a_%",
    r"\%\_\\",
    "hf://Qwen/Qwen3-8B",
    "svc-0",
    "svc-1,svc-2,,x",
    "team::t1",
    "status::READY",
    "workspace::b",
    "NVIDIA",
    "Nov 2, 2026 1:04:05 PM",
    "2026-11-02T13:04:05Z",
    "2026-11-02",
    "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+14:00",
    "a!=b",
    "x is null",
    "' OR 1=1 --",
)


class Asker:
    """Makes queries, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - nothing to hide

    def condition(self) -> str:
        """Return what stands behind one ``q``."""
        chance = self._random.random()
        if chance < 0.08:
            return self.noise()
        name = self.name()
        if chance < 0.2:
            return f"{name} {self._random.choice(['is null', 'not null', 'is  null', 'IS NULL'])}"
        return f"{name}{self._random.choice(SIGNS)}{self.value()}"

    def name(self) -> str:
        """Return the name of a column, now and then mistyped."""
        name = self._random.choice(list(COLUMNS))
        if self._random.random() < 0.1:
            at = self._random.randrange(len(name))
            name = name[:at] + self._random.choice(NOISE) + name[at + 1 :]
        return name

    def value(self) -> str:
        """Return a value that may fit, or noise."""
        return self._random.choice(WORDS) if self._random.random() < 0.8 else self.noise()

    def noise(self) -> str:
        """Return a few characters."""
        return "".join(self._random.choices(NOISE, k=self._random.randrange(24)))

    def query(self) -> list[Pair]:
        """Return all parameters of a query."""
        pairs = [("q", self.condition()) for _ in range(self._random.choice([0, 1, 1, 1, 2, 3]))]
        makers = {
            "limit": lambda: self._random.choice(["0", "1", "7", "1000", "-1", "x", "9" * 12]),
            "start": lambda: self._random.choice(["0", "1", "99", "", "1.5"]),
            "count": lambda: self._random.choice(["true", "false", "TRUE", "1"]),
            "replyWithCount": lambda: self._random.choice(["true", "no"]),
            "sort": lambda: self._random.choice(["", "+", "-", "--"]) + self.name(),
            "fields": lambda: ",".join(
                self._random.choices([*FIELD_NAMES, "", " name "], k=self._random.randrange(4))
            ),
            "groupBy": self.name,
            "filterName": self.noise,
            self.noise(): self.noise,
        }
        for name, make in makers.items():
            if self._random.random() < 0.12:
                pairs.append((name, make()))
        self._random.shuffle(pairs)
        return pairs

    def query_string(self) -> str:
        """Return a query as it stands in a URL, well encoded or not."""
        encode = self._random.choice([quote, quote_plus, _hardly_encoded])
        text = "&".join(f"{encode(name)}={encode(value)}" for name, value in self.query())
        if self._random.random() < 0.1:
            text += self._random.choice(["&", "&&q", "&q=%", "&q=%ff%fe", "&=", "%", "&q=%00=1"])
        return text


def _hardly_encoded(text: str) -> str:
    return quote(text, safe="=!<>~?,:;/ '()*%\\|")
