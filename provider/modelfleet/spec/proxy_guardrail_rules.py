"""Rules on the guardrails of a ModelProxy: each checks something, somewhere. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from modelfleet.errors import Problem
from modelfleet.spec.known import has_gap, known
from modelfleet.spec.proxy_parts import CONFIG, POLICIES, ROUTES, policies_in
from modelfleet.spec.rule import Problems, Rule, rule
from modelfleet.spec.tree import Path, dotted

_CHECKS: Final = (
    "blocked_words",
    "blocked_patterns",
    "block_on_sensitive_data",
    "max_text_length",
)
_DIRECTIONS: Final = ("check_request", "check_response")


@rule(POLICIES, CONFIG, ROUTES, gaps=True)
def _guardrails_check_something(policies: Any, config: Any, routes: Any) -> Problems:
    for path, each in _guardrails(policies, config, routes):
        if has_gap(each):
            continue
        checks = [name for name in _CHECKS if each[name]]
        directions = [name for name in _DIRECTIONS if each[name]]
        if directions and not checks:
            yield Problem(
                dotted((*path, directions[0])),
                f"checks nothing yet; set one of {', '.join(_CHECKS)}",
            )
        elif checks and not directions:
            yield Problem(
                dotted((*path, checks[0])),
                "is checked nowhere; set check_request, check_response or both",
            )


@rule(POLICIES, CONFIG, ROUTES, gaps=True)
def _patterns_are_regular_expressions(policies: Any, config: Any, routes: Any) -> Problems:
    for path, each in _guardrails(policies, config, routes):
        for at, pattern in known(each["blocked_patterns"]):
            if (reason := _reason_of_pattern(pattern)) is not None:
                yield Problem(dotted((*path, "blocked_patterns", at)), reason)


def _guardrails(policies: Any, config: Any, routes: Any) -> Iterator[tuple[Path, Any]]:
    for path, each in policies_in(policies, config, routes):
        if isinstance(guardrail := each["ai_guardrail_config"], Mapping):
            yield (*path, "ai_guardrail_config"), guardrail


def _reason_of_pattern(pattern: str) -> str | None:
    # Late, because few proxies need it: what searches for the patterns in the gateway.
    import regex

    try:
        regex.compile(pattern, regex.V0)
    except regex.error as error:
        return f"is no regular expression: {error}"
    return None


GUARDRAIL_RULES: Final[tuple[Rule, ...]] = (
    _guardrails_check_something,
    _patterns_are_regular_expressions,
)
