"""The one form of a proxy's routes, and what is known of them while parts are not."""

from __future__ import annotations

import re
from typing import Any

import pytest
from declarations import UNKNOWN, is_unknown, paths_in, replaced, with_unknowns
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from proxy_declarations import SECRET, problems, proxies, proxy, reference, route, valid_proxies

from modelfleet.gateway.upstreams import credentials_of
from modelfleet.render.proxy.planned import proxy_planned_of
from modelfleet.render.proxy.record_spec import proxy_record_spec_of
from modelfleet.spec import ModelProxySpec, spec_of
from modelfleet.spec.known import known_part
from modelfleet.spec.proxy_names import NAMES_PATHS, public_names
from modelfleet.spec.proxy_routes import PublicRoute, policies_of, proxy_mode_of, routes_of
from modelfleet.spec.tree import value_in


def routes(inputs: dict[str, Any]) -> dict[str, PublicRoute]:
    return routes_of(spec_of(inputs, model=ModelProxySpec))


def upstreams(found: PublicRoute) -> list[tuple[str, str, int]]:
    return [(each.base_url, each.model, each.weight) for each in found.upstreams]


# Names


def test_callers_send_the_workspace_and_the_public_name() -> None:
    found = routes(proxy(workspace_id="team", routes={"chat": route("chat")}))
    assert list(found) == ["team/chat"]


def test_a_public_name_with_a_slash_stays_as_it_is() -> None:
    found = routes(proxy(workspace_id="team", routes={"public/chat": route("chat")}))
    assert list(found) == ["public/chat"]


def test_routes_come_in_the_order_of_their_names() -> None:
    assert list(routes(proxy(routes={"b": route("chat"), "a": route("chat")}))) == ["a", "b"]


# Upstreams


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"service": "chat"}, ("http://chat.models.svc/v1", "chat", 1)),
        ({"service": "west/chat", "weight": 4}, ("http://chat.west.svc/v1", "chat", 4)),
        ({"service": "chat", "model_name": "x"}, ("http://chat.models.svc/v1", "x", 1)),
        (
            {"base_url": "https://a.example.com/v1/", "model_name": "m"},
            ("https://a.example.com/v1", "m", 1),
        ),
        (
            reference("west/chat", model_names=["team/chat", "alias"]),
            ("http://chat.west.svc/v1", "team/chat", 1),
        ),
        (
            reference("chat", base_url="https://a.example.com/v1"),
            ("https://a.example.com/v1", "chat", 1),
        ),
    ],
)
def test_a_target_leads_to_a_url_and_a_model(
    target: dict[str, Any], expected: tuple[str, str, int]
) -> None:
    assert upstreams(routes(proxy(routes={"a": route(target)}))["a"]) == [expected]


def test_a_service_s_secret_is_used_unless_the_target_has_its_own() -> None:
    service = reference("chat", credential_name="chat-external")
    own = {**reference("talk", credential_name="x"), "credential_name": "mine/key"}
    found = routes(proxy(routes={"a": route(service, own)}))["a"]
    assert [each.credential_name for each in found.upstreams] == ["chat-external", "mine/key"]


def test_what_a_model_does_is_said_by_its_route_else_by_the_proxy_else_by_its_service() -> None:
    service = reference("rank", model_type="rerank")
    assert routes(proxy(routes={"a": route(service)}))["a"].model_type == "rerank"
    assert routes(proxy(routes={"a": route("chat")}))["a"].model_type == "llm"
    declared = proxy(model_type="tts", routes={"a": route("x1", model_type="rerank")})
    assert routes(declared)["a"].model_type == "rerank"


# AgentRun's form


def test_endpoints_share_the_name_of_the_proxy() -> None:
    endpoints = [
        {"model_service_name": "chat", "weight": 80},
        {"base_url": "https://a.example.com/v1", "model_names": ["m"], "credential_name": "s"},
    ]
    found = routes(proxy(proxy_config={"endpoints": endpoints}))
    assert list(found) == ["gateway"]
    assert upstreams(found["gateway"]) == [
        ("http://chat.models.svc/v1", "chat", 80),
        ("https://a.example.com/v1", "m", 1),
    ]
    assert found["gateway"].upstreams[1].path == "proxy_config.endpoints[1]"


def test_the_models_of_a_single_endpoint_are_public_names_too() -> None:
    endpoint = {"base_url": "https://a.example.com/v1", "model_names": ["m", "n"]}
    found = routes(proxy(proxy_config={"endpoints": [endpoint]}))
    assert {name: each.upstreams[0].model for name, each in found.items()} == {
        "gateway": "m",
        "m": "m",
        "n": "n",
    }


def test_in_mode_multi_one_endpoint_has_one_name() -> None:
    endpoint = {"base_url": "https://a.example.com/v1", "model_names": ["m"]}
    found = routes(proxy(proxy_mode="multi", proxy_config={"endpoints": [endpoint]}))
    assert list(found) == ["gateway"]


@pytest.mark.parametrize(("count", "mode"), [(1, "single"), (2, "multi")])
def test_the_mode_follows_from_the_endpoints(count: int, mode: str) -> None:
    endpoints = [{"model_service_name": f"chat-{at}"} for at in range(count)]
    inputs = proxy(proxy_config={"endpoints": endpoints})
    assert proxy_mode_of(spec_of(inputs, model=ModelProxySpec)) == mode


def test_both_forms_of_a_split_come_to_the_same() -> None:
    target = {"base_url": "https://a.example.com/v1", "credential_name": "s", "weight": 3}
    policies = {"num_retries": 4, "token_rate_limiter": {"tpm": 5}}
    short = proxy(
        proxy_config={
            "endpoints": [
                {**target, "model_names": ["m"]},
                {"model_service_name": "chat", "weight": 1},
            ],
            "policies": policies,
        }
    )
    full = proxy(
        routes={"gateway": route({**target, "model_name": "m"}, "chat")}, policies=policies
    )
    for one, other in zip(routes(short).values(), routes(full).values(), strict=True):
        assert upstreams(one) == upstreams(other)
        assert (one.access_name, one.policies) == (other.access_name, other.policies)
    of_each = [policies_of(spec_of(inputs, model=ModelProxySpec)) for inputs in (short, full)]
    assert of_each[0] == of_each[1]


# Policies and fallbacks


def test_a_route_s_policies_win_field_by_field_and_limits_are_its_own() -> None:
    found = routes(
        proxy(
            policies={"num_retries": 1, "request_timeout": 9, "concurrency_limit": 5},
            routes={"a": route("chat", policies={"num_retries": 3})},
        )
    )["a"]
    assert (found.policies.num_retries, found.policies.request_timeout) == (3, 9)
    assert found.policies.concurrency_limit is None  # the proxy's is counted over all routes


def test_fallbacks_are_access_names_in_their_order() -> None:
    found = routes(
        proxy(
            workspace_id="team",
            routes={"a": route("chat", fallbacks=["c", "b"]), "b": route("bb"), "c": route("cc")},
        )
    )
    assert found["team/a"].fallbacks == ("team/c", "team/b")


def test_the_proxy_s_fallbacks_hold_for_every_route_and_end() -> None:
    names = [{"model_name": "b"}, {"model_service_name": "last"}, {"model_name": "c"}]
    found = routes(
        proxy(
            policies={"fallbacks": names},
            routes={
                "a": route("chat"),
                "b": route("chat"),
                "c": route("chat"),
                "own": route("chat", fallbacks=["a"]),
                "none": route("chat", policies={"fallbacks": []}),
            },
        )
    )
    assert {name: each.fallbacks for name, each in found.items()} == {
        "a": ("b", "last", "c"),
        "b": ("last", "c"),
        "c": (),
        "last": (),
        "own": ("a",),
        "none": (),
    }


def test_a_fallback_may_be_named_with_its_workspace_or_without() -> None:
    named = {"a": route("chat"), "team/b": route("chat"), "c": route("chat")}
    shared = {"fallbacks": [{"model_name": "c"}, {"model_name": "b"}, {"model_name": "team/a"}]}
    found = routes(proxy(workspace_id="team", routes=named, policies=shared))
    assert {name: each.fallbacks for name, each in found.items()} == {
        "team/a": (),
        "team/b": ("team/a",),
        "team/c": ("team/b", "team/a"),
    }


def test_a_service_that_is_a_fallback_gets_its_name_and_the_model_that_is_asked_for() -> None:
    fallback = {"model_service_name": "backup", "model_name": "small"}
    found = routes(proxy(workspace_id="w", policies={"fallbacks": [fallback]}))
    assert found["w/chat"].fallbacks == ("w/backup",)
    assert upstreams(found["w/backup"]) == [("http://backup.models.svc/v1", "small", 1)]
    assert found["w/backup"].path == "policies.fallbacks[0]"


@pytest.mark.parametrize(
    "place", ["policies", "proxy_config.policies", "routes.chat.policies"], ids=str
)
def test_a_service_that_a_program_passes_is_a_fallback_with_its_own_url_and_key(place: str) -> None:
    external = {
        "id": "models/spare",
        "base_url": "https://a.example.com/v1/",
        "model_names": ["big", "small"],
        "credential_name": "spare-external/api_key",
    }
    policies = {"fallbacks": [{"model_service_name": external}]}
    declared = {
        "policies": {"policies": policies},
        "proxy_config.policies": {
            "model_proxy_name": "chat",
            "proxy_config": {"policies": policies},
            "routes": {},
        },
        "routes.chat.policies": {"routes": {"chat": route("chat", policies=policies)}},
    }[place]
    spec = spec_of(proxy(workspace_id="w", **declared), model=ModelProxySpec)
    found = routes_of(spec)
    assert found["w/chat"].fallbacks == ("w/spare",)
    assert upstreams(found["w/spare"]) == [("https://a.example.com/v1", "big", 1)]
    assert credentials_of(spec) == {"spare-external/api_key": 0}
    assert proxy_planned_of(spec)["access_names"] == ["w/chat", "w/spare"]
    assert spec_of(proxy_record_spec_of(spec), model=ModelProxySpec) == spec


# Whatever is declared


@given(valid_proxies())
@settings(max_examples=40, deadline=None)
def test_every_valid_proxy_has_routes_whose_fallbacks_are_routes(inputs: dict[str, Any]) -> None:
    spec = spec_of(inputs, model=ModelProxySpec)
    found = routes_of(spec)
    assert found
    for name, each in found.items():
        assert each.upstreams
        assert all(one.base_url.startswith("http") and one.model for one in each.upstreams)
        assert set(each.fallbacks) <= found.keys() - {name}


@given(valid_proxies())
@settings(max_examples=40, deadline=None)
def test_what_rules_see_of_names_is_what_routes_come_to(inputs: dict[str, Any]) -> None:
    spec = spec_of(inputs, model=ModelProxySpec)
    values = spec.model_dump()
    names = public_names(*(value_in(values, tuple(path.split("."))) for path in NAMES_PATHS))
    seen = {
        names.access_name(each.name): {names.access_name(other) for _, other in each.fallbacks}
        for each in names.routes
    }
    found = routes_of(spec)
    assert names.are_all
    # A service that is named only as a fallback is no name that others may fall back to.
    declared = {name: each for name, each in found.items() if name in seen}
    assert seen == {
        name: {other for other in each.fallbacks if other in declared}
        for name, each in declared.items()
    }


@given(valid_proxies().flatmap(with_unknowns))
@settings(max_examples=60, deadline=None)
def test_nothing_is_wrong_with_a_sound_proxy_whatever_is_not_known(partly: dict[str, Any]) -> None:
    assert problems(partly) == []


@given(proxies.flatmap(lambda inputs: st.tuples(st.just(inputs), with_unknowns(inputs))))
@settings(max_examples=60, deadline=None)
def test_an_unknown_makes_no_problem_where_there_was_none(
    both: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    known, partly = both
    before = problems(known)
    # Of two routes with one access name it is not said which one a fallback means.
    assume(not any("callers send" in each for each in before))
    # Of several mistakes that are one, another one may be told: of types, or of circles.
    fields = {re.split(r"[.\[:]", each)[0] for each in before}
    assert [each for each in problems(partly) if re.split(r"[.\[:]", each)[0] not in fields] == []


@given(proxies, st.data())
@settings(max_examples=40, deadline=None)
def test_one_route_that_is_unknown_hides_nothing_of_another(
    inputs: dict[str, Any], data: st.DataObject
) -> None:
    assume(len(inputs.get("routes", {})) > 1)
    hidden = data.draw(st.sampled_from(sorted(inputs["routes"])))
    partly = {**inputs, "routes": {**inputs["routes"], hidden: UNKNOWN}}
    others = {**inputs, "routes": {k: v for k, v in inputs["routes"].items() if k != hidden}}
    of_targets = ".targets"
    expected = [each for each in problems(others) if of_targets in each.partition(": ")[0]]
    assert [each for each in problems(partly) if of_targets in each.partition(": ")[0]] == expected


@given(proxies, st.data())
@settings(max_examples=60, deadline=None)
def test_rubbish_anywhere_is_a_problem_and_never_shows_a_key(
    inputs: dict[str, Any], data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(list(paths_in(inputs))))
    rubbish = data.draw(
        st.sampled_from([None, True, "", "x", 3, -1, [], {}, [None], {"x": 1}, UNKNOWN, "ä b"])
    )
    found = problems(replaced(inputs, path, rubbish))
    assert all(SECRET not in each and "hush hush" not in each for each in found)


def test_what_is_known_has_the_types_of_the_model() -> None:
    tree = {"routes": {"a": {"targets": [{"service": "chat", "weight": "3"}, UNKNOWN]}}}
    part = known_part(tree, model=ModelProxySpec, is_unknown=is_unknown)
    first, second = part["routes"]["a"]["targets"]
    assert first["weight"] == 3
    assert second is part["model_proxy_name"]  # both are not known
    assert part["policies"]["fallbacks"] is None
