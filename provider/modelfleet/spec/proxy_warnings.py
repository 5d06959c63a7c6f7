"""What may be meant, but seldom is: said of a ModelProxy beside what is done, and refused never.

Of specs only, which are known in full. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Final

from modelfleet.errors import Problem
from modelfleet.spec.policies import Policies
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_routes import PublicRoute, policies_of, routes_of
from modelfleet.spec.proxy_sizing import (
    REQUESTS_PER_SECOND_PER_CORE,
    STREAMS_PER_CORE,
    requests_carried,
    streams_carried,
    workers_of,
)
from modelfleet.spec.tree import dotted

_BEYOND: Final = 2
"""How many times what is carried a limit may be: cores differ, and so do requests."""


@dataclass(frozen=True)
class _Proxy:
    """What warnings look at: the spec, what its routes come to, and the time."""

    spec: ModelProxySpec
    routes: Mapping[str, PublicRoute]
    now: datetime


def warnings_of(spec: ModelProxySpec, *, now: datetime | None = None) -> tuple[Problem, ...]:
    """Return what to warn of in ``spec``, sorted by path; ``now`` is the time unless given."""
    proxy = _Proxy(spec, routes_of(spec), now or datetime.now(UTC))
    return tuple(sorted({problem for warn in _WARNINGS for problem in warn(proxy)}))


def _everybody_may_call(proxy: _Proxy) -> Iterator[Problem]:
    if not proxy.spec.api_keys and proxy.spec.credential_name is None:
        yield Problem(
            "api_keys",
            "there are none, and no credential_name: whoever can connect may call; declare a key "
            "for each caller",
        )


def _keys_are_over(proxy: _Proxy) -> Iterator[Problem]:
    for name, key in proxy.spec.api_keys.items():
        if key.expires_at and datetime.fromisoformat(key.expires_at) <= proxy.now:
            yield Problem(
                dotted(("api_keys", name, "expires_at")),
                f"was {key.expires_at}: the key is refused; set a later time, or remove the key",
            )


def _globs_match_nothing(proxy: _Proxy) -> Iterator[Problem]:
    for name, key in proxy.spec.api_keys.items():
        for field, globs in (("allow", key.models.allow), ("deny", key.models.deny)):
            for at, glob in enumerate(globs):
                if not any(fnmatchcase(each, glob) for each in proxy.routes):
                    yield Problem(
                        dotted(("api_keys", name, "models", field, at)),
                        f"{glob} matches no access name; there are {', '.join(proxy.routes)}",
                    )


def _targets_get_nothing(proxy: _Proxy) -> Iterator[Problem]:
    for route in proxy.routes.values():
        for upstream in route.upstreams:
            if upstream.weight == 0:
                yield Problem(
                    f"{upstream.path}.weight", "is 0: it gets no requests, also when others fail"
                )


def _fallbacks_add_nobody(proxy: _Proxy) -> Iterator[Problem]:
    for route in proxy.routes.values():
        own = _servers(route)
        for name in route.fallbacks:
            if _servers(proxy.routes[name]) <= own:
                yield Problem(
                    route.path,
                    f"falls back to {name}, which has no other upstream: when one fails, so does "
                    "the other",
                )


def _servers(route: PublicRoute) -> set[tuple[str, str]]:
    return {(each.base_url, each.model) for each in route.upstreams if each.weight > 0}


def _cores_are_too_few(proxy: _Proxy) -> Iterator[Problem]:
    spec, workers = proxy.spec, workers_of(proxy.spec)
    together = policies_of(spec).concurrency_limit
    limits = [each.policies.concurrency_limit for each in proxy.routes.values()]
    declared = together or max((each for each in limits if each), default=0)
    carried = spec.replicas * streams_carried(cpu=spec.cpu, workers=workers)
    if spec.replicas and declared > carried:
        yield Problem(
            "cpu",
            f"carries about {carried} answers streamed at a time ({STREAMS_PER_CORE} for each core "
            f"that a process uses, at 50 tokens a second), and concurrency_limit lets {declared} "
            f"in; raise replicas{_cores_advice(spec, workers)}",
        )
    elif "cpu" in spec.model_fields_set and int(spec.cpu) > workers:
        yield Problem(
            "cpu",
            f"is {spec.cpu:g}, and one process uses one core; set 1{_cores_advice(spec, workers)}",
        )


def _limits_are_never_reached(proxy: _Proxy) -> Iterator[Problem]:
    spec, workers = proxy.spec, workers_of(proxy.spec)
    carried = spec.replicas * requests_carried(cpu=spec.cpu, workers=workers)
    advice = _cores_advice(spec, workers)
    for name, key in spec.api_keys.items():
        if spec.replicas and key.limits.rpm and key.limits.rpm > _BEYOND * carried:
            yield Problem(
                dotted(("api_keys", name, "limits", "rpm")),
                f"is {key.limits.rpm}, and the proxy answers about {carried} requests a minute "
                f"({REQUESTS_PER_SECOND_PER_CORE} a second for each core that a process uses): it "
                f"would never be reached; lower it, or raise replicas{advice}",
            )


def _cores_advice(spec: ModelProxySpec, workers: int) -> str:
    """Return what would have a pod use more cores."""
    if workers == 1 and spec.redis is None:
        return (
            ", or declare redis, in which processes count together: there is then one for every "
            "whole core"
        )
    return " or cpu"


def _replies_are_read_in_full(proxy: _Proxy) -> Iterator[Problem]:
    for path, policies in _declared_policies(proxy.spec):
        guardrail = policies.ai_guardrail_config
        if guardrail is not None and guardrail.check_response:
            yield Problem(
                f"{path}.ai_guardrail_config.check_response",
                "reads replies in full before they go out: a caller that asks for a stream gets "
                "it all at its end",
            )


def _nothing_is_kept_for_that_long(proxy: _Proxy) -> Iterator[Problem]:
    if any(route.policies.cache for route in proxy.routes.values()):
        return
    for path, policies in _declared_policies(proxy.spec):
        if policies.cache_ttl_seconds is not None:
            yield Problem(f"{path}.cache_ttl_seconds", "has no effect while cache is not true")


def _declared_policies(spec: ModelProxySpec) -> Iterator[tuple[str, Policies]]:
    yield "policies", spec.policies
    if spec.proxy_config is not None:
        yield "proxy_config.policies", spec.proxy_config.policies
    for name, route in spec.routes.items():
        yield dotted(("routes", name, "policies")), route.policies


_WARNINGS: Final[tuple[Callable[[_Proxy], Iterator[Problem]], ...]] = (
    _everybody_may_call,
    _keys_are_over,
    _globs_match_nothing,
    _targets_get_nothing,
    _fallbacks_add_nobody,
    _cores_are_too_few,
    _limits_are_never_reached,
    _replies_are_read_in_full,
    _nothing_is_kept_for_that_long,
)
