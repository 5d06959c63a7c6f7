"""Rules on the routes of a ModelProxy: their two forms, and the upstreams of each. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from modelfleet.errors import Problem
from modelfleet.spec.known import known
from modelfleet.spec.proxy_parts import (
    CONFIG,
    ENDPOINTS,
    POLICIES,
    ROUTES,
    TargetPart,
    address_in_cluster,
    field,
    known_items,
    service_id,
    services_in,
    targets_in,
)
from modelfleet.spec.rule import Problems, Rule, rule
from modelfleet.spec.tree import UNKNOWN, dotted


@rule(ROUTES, CONFIG, gaps=True)
def _leads_somewhere_in_one_form(routes: Any, config: Any) -> Problems:
    endpoints = field(config, "endpoints")
    if routes == {} and not (endpoints is UNKNOWN or endpoints):
        yield Problem(
            "",
            "leads nowhere: declare `routes`, by public name, or `proxy_config.endpoints`",
        )
    if isinstance(routes, Mapping) and routes and isinstance(endpoints, list | tuple) and endpoints:
        yield Problem(
            ENDPOINTS, "excludes `routes`; declare these as targets of a route, or remove routes"
        )


@rule(POLICIES, CONFIG, gaps=True)
def _policies_stand_in_one_place(policies: Any, config: Any) -> Problems:
    in_config = field(config, POLICIES)
    for name, value in in_config.items() if isinstance(in_config, Mapping) else ():
        if value not in (None, UNKNOWN) and field(policies, name) not in (None, UNKNOWN):
            yield Problem(
                dotted((CONFIG, POLICIES, name)), f"stands in policies.{name} too; keep one of them"
            )


@rule("proxy_mode", CONFIG, gaps=True)
def _mode_is_that_of_the_endpoints(mode: Any, config: Any) -> Problems:
    endpoints = field(config, "endpoints")
    if endpoints is UNKNOWN or mode is UNKNOWN:
        return
    count = len(endpoints or ())
    if mode is not None and count == 0:
        yield Problem("proxy_mode", "is of proxy_config.endpoints, and there are none; remove it")
    elif mode == "single" and count > 1:
        yield Problem(
            "proxy_mode",
            f"is single, and there are {count} endpoints; set multi, or leave it out",
        )
    if (mode or ("multi" if count > 1 else "single")) == "single":
        return
    for at, endpoint in known(endpoints):
        if len(known_items(endpoint["model_names"])) > 1:
            yield Problem(
                dotted((CONFIG, "endpoints", at, "model_names")),
                "only the first would be used: in mode multi callers send the name of the proxy; "
                "keep one, or declare a route for each of them in `routes`",
            )


@rule(ROUTES, CONFIG, gaps=True)
def _each_target_is_one_upstream(routes: Any, config: Any) -> Problems:
    for part in targets_in(routes, config):
        for each in part.targets:
            if UNKNOWN in (each.service, each.base_url):
                continue
            service = each.at("service").rpartition(".")[2]
            if each.service is None and each.base_url is None:
                yield Problem(
                    dotted(each.path),
                    f"declare either {service}, a ModelService, or base_url, any other upstream",
                )
            elif each.service is not None and each.base_url is not None:
                yield Problem(each.at("base_url"), f"excludes {service}, which has its own URL")
            elif each.base_url is not None and each.model_name is None:
                yield Problem(
                    each.at("model_name"),
                    "is required with base_url: the name that the upstream knows the model by",
                )


@rule(ROUTES, CONFIG, gaps=True)
def _shares_are_of_something(routes: Any, config: Any) -> Problems:
    for part in targets_in(routes, config):
        weights = [each.weight for each in part.targets]
        if part.is_complete and weights and all(weight == 0 for weight in weights):
            yield Problem(dotted(part.path), "all weights are 0: nobody would answer; raise one")


@rule(ROUTES, CONFIG, "namespace", gaps=True)
def _no_target_stands_twice(routes: Any, config: Any, namespace: Any) -> Problems:
    for part in targets_in(routes, config):
        first: dict[Any, str] = {}
        for each in part.targets:
            called = _called(each, namespace=namespace)
            if UNKNOWN in called or None in called[:2]:
                continue
            at = first.setdefault(called, dotted(each.path))
            if at != dotted(each.path):
                yield Problem(
                    dotted(each.path),
                    f"is the same upstream and model as {at}; keep one, with the sum of the "
                    "weights",
                )


@rule(POLICIES, CONFIG, ROUTES, "cluster", "namespace", gaps=True)
def _services_can_be_reached(
    policies: Any, config: Any, routes: Any, cluster: Any, namespace: Any
) -> Problems:
    for each in services_in(policies, config, routes):
        if not isinstance(each.service, Mapping):
            continue
        theirs = each.service["cluster"]
        identity = service_id(each.service, namespace=namespace)
        if UNKNOWN in (theirs, cluster, identity) or theirs in (None, cluster):
            continue
        if _base_url(each, namespace=namespace) == address_in_cluster(identity):
            yield Problem(
                each.at("service"),
                f"runs on cluster {theirs}, and its address there does not lead to it from "
                f"cluster {cluster}; declare the proxy with cluster {theirs}, or the URL under "
                "which that cluster offers it as base_url",
            )


@rule(POLICIES, CONFIG, ROUTES, "cluster", "namespace", gaps=True)
def _keys_of_upstreams_can_be_read(
    policies: Any, config: Any, routes: Any, cluster: Any, namespace: Any
) -> Problems:
    for each in services_in(policies, config, routes):
        secret = each.of_reference("credential_name")
        own = each.credential_name
        if own is not None or secret in (None, UNKNOWN) or namespace is UNKNOWN:
            continue
        identity, theirs = each.of_reference("id"), each.of_reference("cluster")
        place = service_id(each.service, namespace=namespace)
        elsewhere = identity is not UNKNOWN and place.partition("/")[0] != namespace
        if elsewhere or (UNKNOWN not in (theirs, cluster) and theirs not in (None, cluster)):
            where = f"namespace {place.partition('/')[0]}" if elsewhere else f"cluster {theirs}"
            told = (
                f"the key of {identity} is in a Secret of {where}, and pods read Secrets of their "
                f"own namespace only; make a Secret with that key in {namespace}"
            )
            yield Problem(
                each.at("credential_name"),
                f"{told}, name it in a target of a route, and fall back to that by model_name"
                if each.is_fallback
                else f"is required: {told} and name it here",
            )


def _called(target: TargetPart, *, namespace: Any) -> tuple[Any, Any, Any]:
    """Return what is called: base URL, model and Secret; None where there is none."""
    if UNKNOWN in (target.service, target.base_url, target.model_name, target.credential_name):
        return UNKNOWN, UNKNOWN, UNKNOWN
    credential = target.credential_name or target.of_reference("credential_name")
    return _base_url(target, namespace=namespace), _model(target), credential


def _base_url(target: TargetPart, *, namespace: Any) -> Any:
    if target.service is None:
        return target.base_url and target.base_url.rstrip("/")
    if (declared := target.of_reference("base_url")) is not None:
        return declared if declared is UNKNOWN else declared.rstrip("/")
    identity = service_id(target.service, namespace=namespace)
    return UNKNOWN if identity is UNKNOWN else address_in_cluster(identity)


def _model(target: TargetPart) -> Any:
    if target.model_name is not None or target.service is None:
        return target.model_name
    if (names := target.of_reference("model_names")) is UNKNOWN:
        return UNKNOWN
    identity = service_id(target.service, namespace="")
    own = UNKNOWN if identity is UNKNOWN else identity.rpartition("/")[2]
    return next(iter(names or ()), own)


ROUTE_RULES: Final[tuple[Rule, ...]] = (
    _leads_somewhere_in_one_form,
    _policies_stand_in_one_place,
    _mode_is_that_of_the_endpoints,
    _each_target_is_one_upstream,
    _shares_are_of_something,
    _no_target_stands_twice,
    _services_can_be_reached,
    _keys_of_upstreams_can_be_read,
)
