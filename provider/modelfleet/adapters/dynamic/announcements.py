"""What a user is told beside a resource while a run is under way.

At preview: what the changes of a service do to its pods. While waiting: for what. Messages
only; nothing is decided here.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

from modelfleet.adapters.dynamic import engine_link
from modelfleet.adapters.dynamic.calls import Call, calling_request
from modelfleet.adapters.dynamic.state import DRIFT, OWNER, POD_TEMPLATE_HASH, RENDERER, renderer_of
from modelfleet.diff import WORDS, Change, heaviest
from modelfleet.errors import Problem
from modelfleet.resource_types import MODEL_SERVICE, ResourceType
from modelfleet.spec.fields import ChangeClass

SETTLED_SECONDS: Final = 3.0


def announce(
    changes: Sequence[Change],
    *,
    olds: Mapping[str, Any],
    news: Mapping[str, Any],
    of: ResourceType = MODEL_SERVICE,
) -> None:
    """Say beside the resource what the update will do, if it will do anything."""
    text = announcement_of(changes, olds=olds, news=news, of=of)
    call = calling_request()
    if text and call is not None:
        engine_link.log("info", text, urn=call.urn)


def announcement_of(
    changes: Sequence[Change],
    *,
    olds: Mapping[str, Any],
    news: Mapping[str, Any],
    of: ResourceType = MODEL_SERVICE,
) -> str:
    """Return what an update will do, heaviest fields first, ``""`` where it will do nothing."""
    told = [*_other_changes(changes, olds=olds, news=news), *_field_changes(changes)]
    return "; ".join([*told, *_renderer_change(olds, news, of)])


class Progress:
    """Shows what a service waits for in its resource's line; called on the background loop.

    Reasons of a healthy rollout change many times a second, and a pipeline's log keeps every one:
    only what still holds after ``SETTLED_SECONDS`` is shown, and nothing twice.
    """

    def __init__(self, call: Call) -> None:
        self._urn = call.urn
        self._shown = ""
        self._began: float | None = None
        self._pending: asyncio.TimerHandle | None = None
        self._telling = threading.Lock()

    def __call__(self, text: str) -> None:
        """Take note of a new reason."""
        self._forget()
        loop = asyncio.get_running_loop()
        if self._began is None:
            self._began = loop.time()
        self._pending = loop.call_later(SETTLED_SECONDS, self._show, text)

    def tell(self, text: str) -> None:
        """Say beside the resource what is done only because ``adopt`` says so.

        At once, not in a thread of its own: it must stand there however soon the run ends.
        """
        engine_link.log("info", text, urn=self._urn)

    def end(self) -> None:
        """Replace what is shown: a line that is done would go on saying what it waits for."""
        self._forget()
        if self._shown and self._began is not None:
            waited = asyncio.get_running_loop().time() - self._began
            with self._telling:
                self._shown, self._began = "", None
                engine_link.log("info", f"waited {waited:.0f} s", urn=self._urn, ephemeral=True)

    def _forget(self) -> None:
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None

    def _show(self, text: str) -> None:
        if text == self._shown:
            return
        self._shown = text
        asyncio.get_running_loop().run_in_executor(None, self._tell_if_shown, text)

    def _tell_if_shown(self, text: str) -> None:
        """Tell in a thread, which may only get to it when that is over."""
        with self._telling:
            if text == self._shown:
                engine_link.log("info", text, urn=self._urn, ephemeral=True)


def warn(warnings: Sequence[Problem]) -> None:
    """Say beside the resource what is seldom meant, one line each."""
    call = calling_request()
    if call is not None:
        for each in warnings:
            engine_link.log("warning", str(each), urn=call.urn)


def found_drift(sentences: Mapping[str, str]) -> None:
    """Say beside the resource what a refresh found, and by whom."""
    call = calling_request()
    if call is not None:
        text = "; ".join(f"{path} {sentence}" for path, sentence in sentences.items())
        engine_link.log("warning", f"drift: {text}", urn=call.urn)


def _field_changes(changes: Sequence[Change]) -> list[str]:
    heavy = heaviest(changes)
    if heavy is None:
        return []
    ordered = sorted(changes, key=lambda each: (-each.change.weight, each.path))
    fields = ", ".join(str(each) for each in ordered)
    return [f"{WORDS[heavy]}: {fields}"]


def _renderer_change(
    olds: Mapping[str, Any], news: Mapping[str, Any], of: ResourceType
) -> list[str]:
    if not isinstance(news.get(RENDERER), int | float):
        return []  # the first, which nothing returns to, or not known yet
    before, after = renderer_of(olds), renderer_of(news)
    if before == after:
        return []
    since = ", and ".join(of.summaries(after=before, until=after))
    return [f"with that {RENDERER} {before} → {after}: {since}"]


def _other_changes(
    changes: Sequence[Change], *, olds: Mapping[str, Any], news: Mapping[str, Any]
) -> list[str]:
    told = []
    if olds.get(DRIFT):
        told.append("repairs drift")
    if olds.get(OWNER) != news.get(OWNER) and olds.get(OWNER):
        told.append(f"relabels it from {olds[OWNER]} to {news.get(OWNER)}")
    if olds.get(OWNER) == "" and news.get(OWNER):
        told.append("takes it over")
    before, after = olds.get(POD_TEMPLATE_HASH), news.get(POD_TEMPLATE_HASH)
    is_known = isinstance(before, str) and isinstance(after, str)
    if is_known and before != after and heaviest(changes) in (None, ChangeClass.IN_PLACE):
        told.append("pods are replaced: this release of modelfleet renders them in another way")
    return told
