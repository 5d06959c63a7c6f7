"""Rules on what a ModelProxy counts, where replicas count it, and how much a pod needs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from modelfleet.errors import Problem
from modelfleet.spec.known import has_gap, known
from modelfleet.spec.proxy_parts import CONFIG, POLICIES, ROUTES, field, policies_in
from modelfleet.spec.proxy_sizing import WORKER_MEMORY_MIB, worker_count
from modelfleet.spec.rule import Problems, Rule, rule
from modelfleet.spec.tree import UNKNOWN, Path, dotted

_COUNTED: Final = (POLICIES, CONFIG, ROUTES, "api_keys")
_OTHERS: Final = ("host", "tls", "credential_name")
"""What belongs to a Redis that is there already."""


@rule(*_COUNTED, "replicas", "redis", "limit_scope", gaps=True)
def _limits_are_counted_together(*values: Any) -> Problems:
    *counted, replicas, redis, scope = values
    if replicas is UNKNOWN or replicas <= 1 or redis is not None or scope != "proxy":
        return
    for path in _limits(*counted):
        yield Problem(
            dotted(path),
            f"would be {replicas:g} times larger: {replicas:g} replicas would count each on its "
            "own; declare redis (managed: true runs one), or set limit_scope to replica if that "
            "is meant, or replicas to 1",
        )


@rule(*_COUNTED, "redis", "limit_scope", "cpu", "replicas", gaps=True)
def _every_process_lets_one_request_in(*values: Any) -> Problems:
    *of_workers, replicas = values
    workers = _workers(*of_workers)
    if UNKNOWN in (workers, replicas):
        return
    policies, config, routes = values[:3]
    for path, each in policies_in(policies, config, routes):
        limit, processes = each["concurrency_limit"], replicas * workers
        if limit not in (None, UNKNOWN) and limit < processes:
            yield Problem(
                dotted((*path, "concurrency_limit")),
                f"is {limit:g}, and would be {processes:g}: it is divided among {processes:g} "
                f"processes ({replicas:g} replicas with {workers} each), and each lets at least "
                "one request in; raise it, or lower replicas or cpu",
            )


@rule("api_keys", "redis", "limit_scope", gaps=True)
def _quotas_outlive_a_pod(keys: Any, redis: Any, scope: Any) -> Problems:
    for name, key in known(keys):
        if field(key["limits"], "token_quota") in (None, UNKNOWN):
            continue
        path = dotted(("api_keys", name, "limits", "token_quota"))
        if redis is None:
            yield Problem(
                path,
                "needs redis: what was used would be forgotten whenever a pod is replaced; declare "
                "redis (managed: true runs one)",
            )
        elif scope == "replica":
            yield Problem(
                path,
                "is for the life of the key, and with limit_scope replica what was used is "
                "forgotten with each pod; set limit_scope to proxy",
            )


@rule("redis", gaps=True)
def _redis_is_ours_or_theirs(redis: Any) -> Problems:
    if not isinstance(redis, Mapping) or redis["managed"] is UNKNOWN:
        return
    if not redis["managed"]:
        if redis["host"] is None:
            yield Problem(
                "redis", "declare either managed: true, which runs one, or host, which is there"
            )
        for name, default in (("storage_gib", 1), ("storage_class", None), ("image", None)):
            if redis[name] not in (default, UNKNOWN):
                yield Problem(f"redis.{name}", "is of the managed one; remove it, or host")
        return
    for name in _OTHERS:
        if redis[name] not in (None, False, UNKNOWN):
            yield Problem(
                f"redis.{name}", "is of a Redis that is there already; remove it, or managed"
            )
    if redis["port"] not in (6379, UNKNOWN):
        yield Problem("redis.port", "is 6379 of the managed one; remove it")


@rule(*_COUNTED, "redis", "limit_scope", "cpu", "memory", gaps=True)
def _memory_is_enough_for_its_processes(*values: Any) -> Problems:
    *of_workers, memory = values
    workers, cpu = _workers(*of_workers), values[-2]
    if UNKNOWN in (workers, memory):
        return
    least = workers * WORKER_MEMORY_MIB
    if memory < least:
        need = "process needs" if workers == 1 else "processes, one for every whole core, need"
        yield Problem(
            "memory",
            f"is {memory:g} MiB, and with cpu {cpu:g} its {workers} {need} {least} MiB; raise "
            "memory or lower cpu",
        )


def _workers(
    policies: Any, config: Any, routes: Any, keys: Any, redis: Any, scope: Any, cpu: Any
) -> Any:
    """Return the processes of one pod, ``UNKNOWN`` where that depends on what is not known."""
    if UNKNOWN in (redis, scope, cpu):
        return UNKNOWN
    counted = (policies, config, routes, keys)
    has_limits = any(True for _ in _limits(*counted))
    if scope == "replica" and not has_limits and any(map(has_gap, counted)):
        return UNKNOWN
    return worker_count(
        cpu=cpu,
        has_redis=redis is not None,
        counts_per_replica=scope == "replica",
        has_limits=has_limits,
    )


def _limits(policies: Any, config: Any, routes: Any, keys: Any) -> Iterator[Path]:
    """Yield the path of each limit of requests or tokens that is known to be declared."""
    for path, each in policies_in(policies, config, routes):
        yield from _units(each["token_rate_limiter"], (*path, "token_rate_limiter"))
    for name, key in known(keys):
        yield from _units(key["limits"], ("api_keys", name, "limits"))


def _units(limits: Any, path: Path) -> Iterator[Path]:
    if not isinstance(limits, Mapping):
        return
    units = {name: value for name, value in limits.items() if name != "token_quota"}
    yield from ((*path, name) for name, value in units.items() if value not in (None, UNKNOWN))


LIMIT_RULES: Final[tuple[Rule, ...]] = (
    _limits_are_counted_together,
    _every_process_lets_one_request_in,
    _quotas_outlive_a_pod,
    _redis_is_ours_or_theirs,
    _memory_is_enough_for_its_processes,
)
