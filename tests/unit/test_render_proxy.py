"""Rendering a ModelProxy: what follows from a declaration, what does not, what never changes.

Whole outputs are golden cases (``tests/golden/render-proxy``); here stand the rules behind them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelfleet import labels
from modelfleet.gateway.keys_file import KeyEntry, sha256_of
from modelfleet.gateway.sources import PACKAGE, sources
from modelfleet.plan import plan
from modelfleet.render import Identity, objects_of
from modelfleet.render.proxy import (
    FIRST_PROXY_RENDERER,
    PROXY_PLANNED,
    PROXY_RENDERER_VERSION,
    proxy_config_ref_of,
    proxy_object_refs_of,
    proxy_objects_of,
    proxy_planned_of,
    proxy_pod_template_hash,
    proxy_pod_template_of,
    proxy_record_spec_of,
    proxy_summaries,
    redis_password_in,
)
from modelfleet.render.secret import hash_key_in
from modelfleet.resource_types import MODEL_PROXY
from modelfleet.spec.merge import merged
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_routes import proxy_mode_of, routes_of
from modelfleet.spec.service import ModelServiceSpec
from modelfleet.spec.tree import UNKNOWN

IDENTITY = Identity(owner="o/p/s", urn="urn:x", incarnation="1f", cluster_uid="c")
CASES = sorted((Path(__file__).parent.parent / "golden" / "render-proxy").glob("*.input.yaml"))

CHAT: dict[str, Any] = {"targets": [{"service": "qwen"}]}
REDIS: dict[str, Any] = {"redis": {"managed": True}}


def proxy(**fields: Any) -> ModelProxySpec:
    base = {"model_proxy_name": "gate", "namespace": "models", "routes": {"chat": CHAT}}
    return ModelProxySpec.model_validate(merged(base, fields))


def rendered(spec: ModelProxySpec, **given: Any) -> dict[str, dict[str, Any]]:
    """Return the objects by kind and name."""
    chosen: dict[str, Any] = {"keys": [], "hash_key": b"key", "redis_password": "pass", **given}
    objects = proxy_objects_of(spec, identity=IDENTITY, **chosen)
    return {f"{each['kind']} {each['metadata']['name']}": each for each in objects}


def egress(spec: ModelProxySpec) -> list[dict[str, Any]]:
    """Return the ways out, without DNS."""
    dns, *others = rendered(spec)["NetworkPolicy gate-proxy"]["spec"]["egress"]
    assert [port["port"] for port in dns["ports"]] == [53, 53]
    assert "to" not in dns
    return others


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


# -- objects


@pytest.mark.parametrize("fields", [{}, REDIS, {"replicas": 2}, {**REDIS, "replicas": 2}])
def test_objects_come_in_the_order_of_an_apply_with_the_deployment_last(
    fields: dict[str, Any],
) -> None:
    spec = proxy(**fields)
    objects = proxy_objects_of(
        spec, identity=IDENTITY, keys=[], hash_key=b"key", redis_password="pass"
    )
    found = [(each["apiVersion"], each["kind"], each["metadata"]["name"]) for each in objects]
    fixed = [ref for ref in found if ref[1] != "ConfigMap"]
    assert fixed == [ref for ref in proxy_object_refs_of(spec) if ref in fixed]
    assert [ref for ref in found if ref[1] == "ConfigMap"] == [proxy_config_ref_of(spec)]
    assert found[-1] == ("apps/v1", "Deployment", "gate-proxy")


def test_every_object_says_whose_it_is() -> None:
    for name, each in rendered(proxy(**REDIS)).items():
        metadata = each["metadata"]
        assert metadata["labels"] == labels.object_labels(
            kind="ModelProxy", name="gate", owner="o/p/s"
        ), name
        assert metadata["annotations"]["modelfleet.dev/incarnation"] == "1f"


def test_the_record_is_on_the_deployment_alone() -> None:
    *others, primary = rendered(proxy(**REDIS), annotations={"record": "x"}).values()
    assert primary["metadata"]["annotations"]["record"] == "x"
    assert not any("record" in each["metadata"]["annotations"] for each in others)


def test_only_the_gateways_own_pods_carry_the_selector_of_the_proxy() -> None:
    objects = rendered(proxy(**REDIS))
    frozen = {"modelfleet.dev/kind": "ModelProxy", "modelfleet.dev/name": "gate"}
    deployment = objects["Deployment gate-proxy"]["spec"]
    assert deployment["selector"]["matchLabels"] == frozen
    assert deployment["template"]["metadata"]["labels"] == frozen
    assert objects["Service gate-proxy"]["spec"]["selector"] == frozen
    redis = objects["StatefulSet gate-redis"]["spec"]
    others = redis["template"]["metadata"]["labels"]
    assert others == redis["selector"]["matchLabels"]
    assert others == objects["Service gate-redis"]["spec"]["selector"]
    assert others["modelfleet.dev/kind"] != "ModelProxy"


def test_a_service_admits_the_proxys_pods_from_everywhere() -> None:
    service = ModelServiceSpec.model_validate(
        {"model_service_name": "qwen", "deployment": {"model": {"uri": "hf://org/model"}}}
    )
    objects = objects_of(service, identity=IDENTITY, hash_key=b"")
    policy = next(each for each in objects if each["kind"] == "NetworkPolicy")
    admitted = policy["spec"]["ingress"][0]["from"]
    pods = proxy_pod_template_of(proxy())["metadata"]["labels"]
    (proxies,) = [peer for peer in admitted if "namespaceSelector" in peer]
    assert proxies["podSelector"]["matchLabels"].items() <= pods.items()


@pytest.mark.parametrize(("replicas", "budgets"), [(0, 0), (1, 0), (2, 1), (9, 1)])
def test_several_replicas_have_a_budget(replicas: int, budgets: int) -> None:
    objects = rendered(proxy(replicas=replicas))
    assert sum(name.startswith("PodDisruptionBudget") for name in objects) == budgets


# -- secrets


def test_secret_values_stand_in_secrets_and_nowhere_else() -> None:
    spec = proxy(**REDIS, api_keys={"team": {"key": "sk-planted-0123456789"}})
    entry = KeyEntry("team", sha256_of("sk-former"), expires_at="2027-01-01T00:00:00Z")
    objects = rendered(spec, keys=[entry], redis_password="planted-password", hash_key=b"planted")
    secret = ["sk-planted-0123456789", "planted-password", "planted", sha256_of("sk-former")]
    secret += [base64.b64encode(value.encode()).decode() for value in secret]
    secret.append(sha256_of("sk-planted-0123456789"))
    open_ = [each for each in objects.values() if each["kind"] != "Secret"]
    text = json.dumps([open_, proxy_planned_of(spec), proxy_record_spec_of(spec), repr(spec)])
    assert [value for value in secret if value in text] == []
    inside = base64.b64decode(objects["Secret gate-proxy"]["data"]["keys.json"]).decode()
    assert sha256_of("sk-planted-0123456789") in inside
    assert "sk-planted" not in inside


def test_what_the_secret_of_redis_keeps_is_found_again() -> None:
    secret = rendered(proxy(**REDIS), hash_key=b"k", redis_password='p"w')["Secret gate-redis"]
    assert redis_password_in(secret) == 'p"w'
    assert hash_key_in(secret) == b"k"
    assert redis_password_in(None) is None
    config = base64.b64decode(secret["data"]["redis.conf"]).decode()
    assert 'requirepass "p\\"w"\n' in config


def test_another_password_replaces_the_pod_of_redis() -> None:
    def hashed(password: str) -> Any:
        redis = rendered(proxy(**REDIS), redis_password=password)["StatefulSet gate-redis"]
        return redis["spec"]["template"]["metadata"]["annotations"][labels.SECRET_HASH]

    assert hashed("one") != hashed("two")
    assert hashed("one") == hashed("one")


def test_no_command_and_no_variable_has_a_password_in_it() -> None:
    redis = rendered(proxy(**REDIS), redis_password="hush")["StatefulSet gate-redis"]
    (container,) = redis["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["redis-server", "/etc/redis/redis.conf"]
    assert [list(each) for each in container["env"]] == [["name", "valueFrom"]]


def test_the_record_has_every_key_by_name_and_none_in_full() -> None:
    spec = proxy(
        api_keys={
            "a": {"key": "sk-planted-0123456789", "limits": {"rpm": 3}},
            "b": {"generate": {"rotation": 2}},
        }
    )
    record = proxy_record_spec_of(spec)
    assert record["api_keys"] == {
        "a": {"key": "", "limits": {"rpm": 3}},
        "b": {"generate": {"rotation": 2}},
    }
    again = ModelProxySpec.model_validate(record)
    assert proxy_pod_template_hash(again) == proxy_pod_template_hash(spec)


# -- pods

IN_PLACE: list[dict[str, Any]] = [
    {"replicas": 5},
    {"tags": {"a": "b"}},
    {"description": "x"},
    {"network_configuration": {"allow_from": [{"pod_labels": {"a": "b"}}]}},
    {"api_keys": {"team": {"generate": {}}, "more": {"generate": {}, "limits": {"rpm": 1}}}},
    {"api_keys": {"team": {"generate": {"rotation": 2}, "expires_at": "2027-01-01T00:00:00Z"}}},
    {"deletion_protection": True},
    {"wait": {"until": "all"}},
]
ROLLING: list[dict[str, Any]] = [
    {"routes": {"more": CHAT}},
    {"policies": {"num_retries": 1}},
    {"cpu": 1},
    {"memory": 2048},
    {"litellm_version": "1.108.12"},
    {"image": "example.com/gateway:1"},
    {"credential_name": "inbound"},
    {"workspace_id": "acme"},
    REDIS,
]


@pytest.mark.parametrize("fields", IN_PLACE, ids=lambda fields: "-".join(fields))
def test_what_changes_in_place_leaves_the_pods_alone(fields: dict[str, Any]) -> None:
    base = {"api_keys": {"team": {"generate": {}}}}
    before, after = proxy(**base), proxy(**merged(base, fields))
    assert proxy_pod_template_of(before) == proxy_pod_template_of(after)


@pytest.mark.parametrize("fields", ROLLING, ids=lambda fields: "-".join(fields))
def test_what_pods_are_made_of_replaces_them(fields: dict[str, Any]) -> None:
    assert proxy_pod_template_hash(proxy()) != proxy_pod_template_hash(proxy(**fields))


def test_a_limit_that_is_divided_by_the_replicas_makes_scaling_replace_pods() -> None:
    limited = {"policies": {"concurrency_limit": 8}}
    one, two = (proxy(**limited, replicas=number) for number in (1, 2))
    assert proxy_pod_template_hash(one) != proxy_pod_template_hash(two)


def test_the_pods_mount_the_very_configuration_that_is_rendered() -> None:
    spec = proxy()
    objects = rendered(spec)
    _, _, name = proxy_config_ref_of(spec)
    config_map = objects[f"ConfigMap {name}"]
    pod = objects["Deployment gate-proxy"]["spec"]["template"]["spec"]
    volume = next(each["configMap"] for each in pod["volumes"] if "configMap" in each)
    assert volume["name"] == name
    assert config_map["immutable"] is True
    assert {item["key"] for item in volume["items"]} == config_map["data"].keys()
    paths = {item["path"] for item in volume["items"]}
    assert paths == {"litellm.yaml", "gateway.json", *(f"{PACKAGE}/{each}" for each in sources())}
    assert sum(map(len, config_map["data"].values())) < 900_000, "a ConfigMap holds 1 MiB"


def test_pods_may_do_nothing_but_serve() -> None:
    objects = rendered(proxy(**REDIS))
    for name in ("Deployment gate-proxy", "StatefulSet gate-redis"):
        pod = objects[name]["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert set(container["resources"]["limits"]) == {"memory"}


def test_requests_under_way_outlive_the_hook_before_the_pod_is_killed() -> None:
    pod = proxy_pod_template_of(proxy())["spec"]
    hook = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > hook + proxy().drain_seconds


def test_only_the_kubelet_and_the_provider_come_to_the_second_port() -> None:
    objects = rendered(proxy())
    pod = objects["Deployment gate-proxy"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": 4000, "health": 4001}
    (port,) = objects["Service gate-proxy"]["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (80, "http")
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] == "health"
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 60


def test_every_credential_is_a_file_of_its_number() -> None:
    spec = proxy(
        routes={
            "chat": {
                "targets": [
                    {"service": "aa", "credential_name": "one/first"},
                    {"service": "bb", "credential_name": "one/second"},
                    {"service": "cc", "credential_name": "another"},
                ]
            }
        }
    )
    volumes = proxy_pod_template_of(spec)["spec"]["volumes"]
    projected = next(each["projected"] for each in volumes if "projected" in each)
    assert projected["sources"] == [
        {"secret": {"name": "another", "items": [{"key": "api_key", "path": "0"}]}},
        {
            "secret": {
                "name": "one",
                "items": [{"key": "first", "path": "1"}, {"key": "second", "path": "2"}],
            }
        },
    ]


def test_an_inbound_key_and_the_password_of_others_redis_are_files() -> None:
    spec = proxy(
        credential_name="inbound/token",
        redis={"host": "redis.example.org", "credential_name": "login/word"},
    )
    volumes = proxy_pod_template_of(spec)["spec"]["volumes"]
    found = {each["name"]: each["secret"] for each in volumes if "secret" in each}
    assert found["inbound"]["secretName"] == "inbound"
    assert found["inbound"]["items"] == [{"key": "token", "path": "key"}]
    assert found["redis"]["secretName"] == "login"
    assert found["redis"]["items"] == [{"key": "word", "path": "password"}]


# -- renderers


def test_there_is_one_renderer_so_far_and_a_newer_one_changes_nothing_known() -> None:
    assert PROXY_RENDERER_VERSION == FIRST_PROXY_RENDERER == 1
    assert proxy_summaries(after=1, until=PROXY_RENDERER_VERSION) == []
    spec = proxy()
    assert proxy_pod_template_hash(spec, renderer_version=1) == proxy_pod_template_hash(spec)


# -- the network


def test_a_hosted_service_is_reached_by_its_pods_in_its_namespace() -> None:
    spec = proxy(routes={"chat": {"targets": [{"service": "far/qwen"}]}})
    assert egress(spec) == [
        {
            "to": [
                {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "far"}},
                    "podSelector": {
                        "matchLabels": {
                            "modelfleet.dev/kind": "ModelService",
                            "modelfleet.dev/name": "qwen",
                        }
                    },
                }
            ]
        }
    ]


def namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def blocks(*cidrs: str) -> list[dict[str, Any]]:
    return [{"ipBlock": {"cidr": cidr}} for cidr in cidrs]


@pytest.mark.parametrize(
    ("base_url", "rule"),
    [
        ("http://vllm.far.svc:8000/v1", {"to": [namespace("far")]}),
        ("http://vllm.far.svc.cluster.local/v1", {"to": [namespace("far")]}),
        ("http://VLLM.far.SVC./v1", {"to": [namespace("far")]}),
        ("http://vllm:8000", {"to": [namespace("models")]}),
        ("http://10.1.2.3:8000/v1", {"to": blocks("10.1.2.3/32"), "port": 8000}),
        ("http://[2001:db8::1]/v1", {"to": blocks("2001:db8::1/128"), "port": 80}),
        ("https://api.example.com/v1", {"to": blocks("0.0.0.0/0", "::/0"), "port": 443}),
        ("http://api.example.com:8080", {"to": blocks("0.0.0.0/0", "::/0"), "port": 8080}),
    ],
)
def test_a_way_out_is_as_narrow_as_the_address_allows(base_url: str, rule: dict[str, Any]) -> None:
    spec = proxy(routes={"chat": {"targets": [{"base_url": base_url, "model_name": "x"}]}})
    ports = [{"port": rule["port"], "protocol": "TCP"}] if "port" in rule else None
    assert egress(spec) == [{"to": rule["to"], **({"ports": ports} if ports else {})}]


def test_an_external_service_is_reached_where_it_is() -> None:
    service = {"id": "openai", "base_url": "https://api.example.com/v1", "model_names": ["gpt"]}
    spec = proxy(routes={"chat": {"targets": [{"service": service}]}})
    (rule,) = egress(spec)
    assert rule["ports"] == [{"port": 443, "protocol": "TCP"}]


def test_a_way_out_stands_once_and_in_an_order_of_its_own() -> None:
    first = proxy(routes={"aa": {"targets": [{"service": "bb"}, {"service": "cc"}]}, "zz": CHAT})
    second = proxy(routes={"aa": CHAT, "zz": {"targets": [{"service": "cc"}, {"service": "bb"}]}})
    assert egress(first) == egress(second)
    assert len(egress(first)) == 3


def test_nobody_but_the_gateway_connects_to_its_redis_and_that_connects_to_nobody() -> None:
    policy = rendered(proxy(**REDIS))["NetworkPolicy gate-redis"]["spec"]
    pods = proxy_pod_template_of(proxy())["metadata"]["labels"]
    assert policy["ingress"] == [
        {
            "from": [{"podSelector": {"matchLabels": pods}}],
            "ports": [{"port": 6379, "protocol": "TCP"}],
        }
    ]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in policy


def test_the_redis_that_is_declared_can_be_reached() -> None:
    others = egress(proxy(redis={"host": "10.0.0.9", "port": 6380}))
    assert {"to": blocks("10.0.0.9/32"), "ports": [{"port": 6380, "protocol": "TCP"}]} in others
    managed = egress(proxy(**REDIS))
    selected = {"podSelector": {"matchLabels": {"modelfleet.dev/kind": "ModelProxyRedis"}}}
    (way,) = [rule for rule in managed if "namespaceSelector" not in rule["to"][0]]
    labels_ = way["to"][0]["podSelector"]["matchLabels"]
    assert selected["podSelector"]["matchLabels"].items() <= labels_.items()


# -- planned values


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name.split(".")[0])
def test_the_planned_names_and_mode_are_those_that_come_to_be(path: Path) -> None:
    declared = yaml.safe_load(path.read_text())
    spec = ModelProxySpec.model_validate(declared)
    planned = proxy_planned_of(spec)
    assert planned["access_names"] == list(routes_of(spec))
    assert planned["proxy_mode"] == proxy_mode_of(spec)
    assert formula("access_names", declared) == formula("access_names", spec.model_dump())
    assert formula("access_names", declared) == planned["access_names"]


def formula(name: str, declared: dict[str, Any]) -> Any:
    """Return what a formula makes of raw values."""

    def at(path: str) -> Any:
        value: Any = declared
        for step in path.split("."):
            value = value.get(step) if isinstance(value, dict) else None
        return value

    paths, function = PROXY_PLANNED[name]
    return function(*map(at, paths))


GAPS: list[tuple[dict[str, Any], Any]] = [
    ({"routes": {"chat": {"targets": UNKNOWN}}}, ["chat"]),
    ({"routes": {"chat": UNKNOWN}}, UNKNOWN),  # it may have fallbacks with names of their own
    ({"routes": UNKNOWN}, UNKNOWN),
    ({"routes": {"chat": {}}, "workspace_id": UNKNOWN}, UNKNOWN),
    ({"model_proxy_name": "gate", "proxy_config": {"endpoints": UNKNOWN}}, UNKNOWN),
    (
        {
            "model_proxy_name": "gate",
            "proxy_config": {"endpoints": [{"model_service_name": UNKNOWN}, UNKNOWN]},
        },
        ["gate"],
    ),
    (
        {
            "model_proxy_name": "gate",
            "proxy_config": {
                "endpoints": [{"model_service_name": UNKNOWN, "model_names": ["qwen"]}]
            },
        },
        ["gate", "qwen"],
    ),
    (
        {
            "model_proxy_name": "gate",
            "proxy_config": {"endpoints": [{"model_service_name": UNKNOWN}]},
        },
        UNKNOWN,
    ),
    (
        {"routes": {"chat": {"policies": {"fallbacks": [{"model_service_name": UNKNOWN}]}}}},
        UNKNOWN,
    ),
]


@pytest.mark.parametrize(("declared", "names"), GAPS)
def test_names_are_known_as_soon_as_no_other_can_come(declared: dict[str, Any], names: Any) -> None:
    assert formula("access_names", declared) == names


def test_a_preview_shows_names_while_it_is_unknown_who_answers_to_them() -> None:
    later = object()
    inputs = {
        "model_proxy_name": "gate",
        "workspace_id": "acme",
        "routes": {
            "chat": {"targets": [{"service": {"id": "qwen", "base_url": later}}]},
            "outside": {"targets": [{"base_url": later, "model_name": "gpt"}]},
        },
    }
    planned = plan(
        inputs, of=MODEL_PROXY, is_unknown=lambda value: value is later, unknown=later
    ).values
    assert planned["access_names"] == ["acme/chat", "acme/outside"]
    assert planned["base_url"] == "http://gate-proxy.default.svc/v1"
    assert planned["pod_template_hash"] is later


def test_a_proxy_is_found_under_its_own_name() -> None:
    planned = proxy_planned_of(proxy())
    assert planned["model_proxy_id"] == "models/gate"
    assert planned["endpoint"] == "http://gate-proxy.models.svc"
    assert planned["base_url"] == "http://gate-proxy.models.svc/v1"


def test_nothing_rendered_is_null() -> None:
    for path in CASES:
        spec = ModelProxySpec.model_validate(yaml.safe_load(path.read_text()))
        for name, each in rendered(spec).items():
            assert None not in leaves(each), name
