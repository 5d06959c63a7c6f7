"""What a resource cannot become, being what it is: told before a cluster is asked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from modelfleet.errors import Problem
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.rule import Problems
from modelfleet.spec.service import ModelServiceSpec
from modelfleet.spec.tree import UNKNOWN, IsUnknown, never_unknown, value_at

_OF_THE_CLAIM: Final = ("kind", "claim", "class_name", "access_mode")
_OF_THE_REDIS_DISK: Final = ("storage_gib", "storage_class")


def problems_since(
    prior: Mapping[str, Any] | None,
    inputs: Mapping[str, Any],
    *,
    is_unknown: IsUnknown = never_unknown,
) -> Problems:
    """Yield the problems of becoming ``inputs`` for a service that is ``prior``."""

    def both(name: str) -> tuple[Any, Any]:
        path = ("deployment", "storage", name)
        was, is_to_be = (
            value_at(tree, path, model=ModelServiceSpec, is_unknown=is_unknown)
            for tree in (prior or {}, inputs)
        )
        return was, is_to_be

    if prior is None:
        return
    before, after = both("size_gib")
    claims = [both(name) for name in _OF_THE_CLAIM]
    is_known = all(isinstance(size, int | float) for size in (before, after))
    is_same = all(was == now and now is not UNKNOWN for was, now in claims)
    if is_known and is_same and claims[0][0] == "pvc" and after < before:
        yield Problem(
            "deployment.storage.size_gib",
            f"is {after:g}, and a claim of {before:g} GiB cannot shrink; for another claim set "
            "another class_name or access_mode, or storage kind empty_dir for one update: what it "
            "holds is fetched again",
        )


def proxy_problems_since(
    prior: Mapping[str, Any] | None,
    inputs: Mapping[str, Any],
    *,
    is_unknown: IsUnknown = never_unknown,
) -> Problems:
    """Yield the problems of becoming ``inputs`` for a proxy that is ``prior``."""

    def both(name: str) -> tuple[Any, Any]:
        was, is_to_be = (
            value_at(tree, ("redis", name), model=ModelProxySpec, is_unknown=is_unknown)
            for tree in (prior or {}, inputs)
        )
        return was, is_to_be

    if prior is None or both("managed") != (True, True):
        return
    for name in _OF_THE_REDIS_DISK:
        was, is_to_be = both(name)
        if UNKNOWN not in (was, is_to_be) and was != is_to_be:
            before = "unset" if was is None else was
            yield Problem(
                f"redis.{name}",
                f"cannot change: the disk was made with {before}, and stays as it is; set it back, "
                "or leave redis out for one update, which drops the disk and what was counted",
            )
