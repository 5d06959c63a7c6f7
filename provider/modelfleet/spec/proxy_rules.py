"""Rules between the fields of a ModelProxy; all of them are in ``PROXY_RULES``. Pure."""

from __future__ import annotations

from typing import Any, Final

from modelfleet.errors import Problem
from modelfleet.spec.rule import Problems, Rule, rule


@rule("routes", "proxy_config", gaps=True)
def _leads_somewhere(routes: Any, proxy_config: Any) -> Problems:
    endpoints = proxy_config.get("endpoints") if isinstance(proxy_config, dict) else proxy_config
    if routes == {} and endpoints in (None, [], ()):
        yield Problem("", "declare `routes`, or AgentRun's `proxy_config.endpoints`")
    if isinstance(routes, dict) and routes and isinstance(endpoints, list | tuple) and endpoints:
        yield Problem("proxy_config.endpoints", "excludes `routes`; write them as one more route")


PROXY_RULES: Final[tuple[Rule, ...]] = (_leads_somewhere,)
