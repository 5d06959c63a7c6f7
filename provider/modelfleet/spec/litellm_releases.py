"""Releases of LiteLLM that a gateway may not run, and why. Pure."""

from __future__ import annotations

from typing import Any, Final

from modelfleet.errors import Problem
from modelfleet.spec.proxy import DEFAULT_LITELLM_VERSION
from modelfleet.spec.rule import Problems, Rule, rule

Release = tuple[int, ...]

_NEEDS_THE_INTERNET: Final = "it does not start where the internet cannot be reached"

_DENIED: Final[tuple[tuple[Release, Release, str], ...]] = (
    ((1, 82, 7), (1, 82, 9), "its packages carried a trojan that stole credentials"),
    ((0, 0, 0), (1, 84, 0), "callers can get past its checks (CVE-2026-49468, and others before)"),
    ((1, 104, 0), (1, 104, 7), _NEEDS_THE_INTERNET),
    ((1, 105, 0), (1, 105, 5), _NEEDS_THE_INTERNET),
    ((1, 106, 0), (1, 106, 4), _NEEDS_THE_INTERNET),
)
"""First release, the one after the last, and what is wrong; the first entry that holds is told."""


@rule("litellm_version", gaps=True)
def _release_is_safe_to_run(version: Any) -> Problems:
    if isinstance(version, str) and (reason := _reason(version)) is not None:
        yield Problem(
            "litellm_version",
            f"{version} is not run: {reason}; leave it out for {DEFAULT_LITELLM_VERSION}, which "
            "the gateway is tested with",
        )


def _reason(version: str) -> str | None:
    release = tuple(map(int, version.split(".")))
    return next((why for first, after, why in _DENIED if first <= release < after), None)


RELEASE_RULES: Final[tuple[Rule, ...]] = (_release_is_safe_to_run,)
