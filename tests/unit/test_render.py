"""Rendering: what follows from a spec, what does not, and what is the same forever.

Whole outputs are golden cases (``tests/golden``); here stand the rules behind them.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet import labels
from modelfleet.engines import ENGINE_RULES, launch_of, pinned
from modelfleet.errors import ProviderBugError
from modelfleet.render import (
    Identity,
    object_refs_of,
    objects_of,
    planned_of,
    pod_template_hash,
    pod_template_of,
    primary_of,
    record_spec_of,
)
from modelfleet.render.hashes import secret_hash
from modelfleet.render.lifetime import shutdown_of
from modelfleet.render.planned import PLANNED
from modelfleet.render.quantities import cpu_quantity, memory_quantity
from modelfleet.spec import ModelServiceSpec, spec_of
from modelfleet.spec.fields import ChangeClass, change_class
from modelfleet.spec.merge import merged
from modelfleet.spec.rules import SPEC_RULES
from modelfleet.spec.tree import model_in

IDENTITY = Identity(owner="o/p/s", urn="urn:x", incarnation="1f", cluster_uid="c")
KEY = b"key"

HOSTED: dict[str, Any] = {
    "model_service_name": "qwen",
    "namespace": "models",
    "deployment": {
        "model": {"uri": "hf://org/model"},
        "runtime_version": "v0.30.0",
        "gpu": {"count": 2},
    },
}
EXTERNAL: dict[str, Any] = {
    "model_service_name": "openai",
    "provider_settings": {"base_url": "https://api.example.com/v1", "model_names": ["a", "b"]},
}


def hosted(deployment: Mapping[str, Any] | None = None, **fields: Any) -> ModelServiceSpec:
    return ModelServiceSpec.model_validate(merged(HOSTED, {"deployment": deployment or {}}, fields))


def external(**fields: Any) -> ModelServiceSpec:
    return ModelServiceSpec.model_validate(merged(EXTERNAL, fields))


def rendered(spec: ModelServiceSpec, **overrides: Any) -> dict[str, dict[str, Any]]:
    given_ = {"identity": IDENTITY, "hash_key": KEY, **overrides}
    return {each["kind"]: each for each in objects_of(spec, **given_)}


def pod_of(spec: ModelServiceSpec) -> dict[str, Any]:
    pod: dict[str, Any] = pod_template_of(spec)["spec"]
    return pod


def engine_of(spec: ModelServiceSpec) -> dict[str, Any]:
    (container,) = pod_of(spec)["containers"]
    return dict(container)


def node_terms(spec: ModelServiceSpec) -> Any:
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    return pod_of(spec)["affinity"]["nodeAffinity"][required]["nodeSelectorTerms"]


# Which objects, whose, in which order


def test_the_primary_object_is_applied_last_so_that_pods_find_their_secret() -> None:
    spec = hosted({"secret_env": {"A": "a"}, "disruption": {}})
    objects = objects_of(spec, identity=IDENTITY, hash_key=KEY)
    addresses = [(each["apiVersion"], each["kind"], each["metadata"]["name"]) for each in objects]
    assert tuple(addresses) == object_refs_of("qwen", hosted=True)
    assert addresses[-1] == primary_of(spec)


def test_without_secret_environment_there_is_no_secret() -> None:
    assert list(rendered(hosted())) == ["NetworkPolicy", "Service", "Deployment"]


def test_an_external_service_is_one_secret_with_what_a_proxy_needs() -> None:
    spec = external(provider_settings={"api_key": "hush"})
    (secret,) = objects_of(spec, identity=IDENTITY, hash_key=KEY)
    assert (secret["apiVersion"], secret["kind"], secret["metadata"]["name"]) == primary_of(spec)
    assert object_refs_of("openai", hosted=False) == (primary_of(spec),)
    data = {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}
    assert data == {
        "api_key": "hush",
        "base_url": "https://api.example.com/v1",
        "model_names": '["a","b"]',
    }


@pytest.mark.parametrize("spec", [hosted({"secret_env": {"A": "a"}}), external()])
def test_every_object_says_who_owns_it_and_which_creation_it_is_of(spec: ModelServiceSpec) -> None:
    name = spec.model_service_name
    for each in objects_of(spec, identity=IDENTITY, hash_key=KEY):
        metadata = each["metadata"]
        assert metadata["namespace"] == spec.namespace
        expected = labels.object_labels(kind="ModelService", name=name, owner="o/p/s")
        assert metadata["labels"] == expected
        assert metadata["annotations"][labels.OWNER] == "o/p/s"
        assert metadata["annotations"][labels.INCARNATION] == "1f"


@pytest.mark.parametrize("spec", [hosted(), external()])
def test_only_the_primary_object_says_what_the_service_is(spec: ModelServiceSpec) -> None:
    added = {labels.RECORD: "{}"}
    *others, primary = objects_of(spec, identity=IDENTITY, hash_key=KEY, annotations=added)
    own = {labels.RECORD, labels.URN, labels.ACCESS_NAME}
    assert own <= primary["metadata"]["annotations"].keys()
    assert not any(own & each["metadata"]["annotations"].keys() for each in others)


def test_without_a_urn_no_object_carries_one() -> None:
    identity = Identity(owner="o", urn=None, incarnation="1", cluster_uid="c")
    deployment = rendered(hosted(), identity=identity)["Deployment"]
    assert labels.URN not in deployment["metadata"]["annotations"]


def test_the_selector_is_frozen_and_shared() -> None:
    selector = {"modelfleet.dev/kind": "ModelService", "modelfleet.dev/name": "qwen"}
    objects = rendered(hosted())
    deployment = objects["Deployment"]["spec"]
    assert deployment["selector"] == {"matchLabels": selector}
    assert deployment["template"]["metadata"] == {"labels": selector}
    assert objects["Service"]["spec"]["selector"] == selector
    assert objects["NetworkPolicy"]["spec"]["podSelector"] == {"matchLabels": selector}


def test_rendering_an_external_service_s_pods_is_our_bug() -> None:
    with pytest.raises(ProviderBugError, match="external"):
        pod_template_of(external())


def test_two_renderings_share_nothing_that_a_writer_could_change() -> None:
    spec = hosted({"gpu": {"min_memory_gib": 1, "compute_capability": 8.9}})
    first = objects_of(spec, identity=IDENTITY, hash_key=KEY)
    expected = copy.deepcopy(first)
    seen: set[int] = set()
    for part in _containers(first):
        assert id(part) not in seen, f"stands in two places: {part}"
        seen.add(id(part))
        part.clear()
    assert objects_of(spec, identity=IDENTITY, hash_key=KEY) == expected


def _containers(value: Any) -> list[Any]:
    if not isinstance(value, dict | list):
        return []
    items = value.values() if isinstance(value, dict) else value
    return [part for item in items for part in _containers(item)] + [value]


# The pod


def test_pods_may_do_nothing_that_serving_does_not_need() -> None:
    pod, engine = pod_of(hosted()), engine_of(hosted())
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] != 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert engine["securityContext"]["allowPrivilegeEscalation"] is False
    assert engine["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@given(drain=st.integers(0, 3600), drains=st.booleans())
@settings(max_examples=50, deadline=None)
def test_the_grace_period_is_longer_than_hook_and_engine_together(drain: int, drains: bool) -> None:
    shutdown = shutdown_of(drain, drains=drains)
    assert shutdown.grace_seconds > shutdown.pre_stop_seconds + shutdown.engine_seconds
    assert shutdown.pre_stop_seconds + shutdown.engine_seconds >= drain


def test_without_draining_there_is_no_hook_to_wait_for() -> None:
    spec = hosted({"drain_seconds": 0})
    assert "lifecycle" not in engine_of(spec)
    assert pod_of(spec)["terminationGracePeriodSeconds"] > 0


def test_an_engine_that_cannot_drain_is_told_to_stop_after_its_requests() -> None:
    spec = hosted({"runtime_version": "v0.14.0", "drain_seconds": 60})
    assert engine_of(spec)["lifecycle"] == {"preStop": {"sleep": {"seconds": 70}}}
    assert pod_of(spec)["terminationGracePeriodSeconds"] > 70


@pytest.mark.parametrize("startup_seconds", [10, 11, 1800, 86_400])
def test_the_startup_probe_allows_the_declared_time_and_a_rollout_more(
    startup_seconds: int,
) -> None:
    spec = hosted({"startup_seconds": startup_seconds})
    probe = engine_of(spec)["startupProbe"]
    budget = probe["periodSeconds"] * probe["failureThreshold"]
    assert startup_seconds <= budget < startup_seconds + probe["periodSeconds"]
    deadline = rendered(spec)["Deployment"]["spec"]["progressDeadlineSeconds"]
    assert deadline > budget


def test_gpu_and_memory_are_requested_in_full_and_cpu_is_never_throttled() -> None:
    resources = engine_of(hosted({"cpu": 2, "memory_gib": 8}))["resources"]
    assert resources["limits"] == {"memory": "8Gi", "nvidia.com/gpu": "2"}
    assert resources["requests"] == {"cpu": "2", "memory": "8Gi", "nvidia.com/gpu": "2"}


def test_a_claim_with_a_model_is_mounted_read_only() -> None:
    spec = hosted({"model": {"uri": "pvc://weights/a"}})
    mount = engine_of(spec)["volumeMounts"][-1]
    assert mount == {"name": "model", "mountPath": "/models/weights", "readOnly": True}
    claim = {"claimName": "weights", "readOnly": True}
    assert pod_of(spec)["volumes"][-1] == {"name": "model", "persistentVolumeClaim": claim}


def test_every_mount_has_its_volume() -> None:
    spec = hosted({"model": {"uri": "pvc://weights/a"}})
    mounts = [each["name"] for each in engine_of(spec)["volumeMounts"]]
    assert mounts == [each["name"] for each in pod_of(spec)["volumes"]]


@pytest.mark.parametrize(
    ("cores", "text"),
    [(4.0, "4"), (0.5, "500m"), (1.5, "1500m"), (0.29, "290m"), (0.0001, "1m"), (1000, "1k")],
)
def test_cpu_is_written_as_the_api_server_writes_it(cores: float, text: str) -> None:
    assert cpu_quantity(cores) == text


@pytest.mark.parametrize(
    ("gib", "text"),
    [
        (16.0, "16Gi"),
        (1.5, "1536Mi"),
        (0.1, "103Mi"),
        (0.00001, "1Mi"),
        (1024, "1Ti"),
        (65536, "64Ti"),
        (1536, "1536Gi"),
    ],
)
def test_memory_is_written_as_the_api_server_writes_it(gib: float, text: str) -> None:
    assert memory_quantity(gib) == text


# Placement


@pytest.mark.parametrize(
    ("gpu", "alternatives"),
    [
        ({"min_memory_gib": 40}, ["memory>40959"]),
        ({"compute_capability": 9.0}, ["compute.major>8"]),
        (
            {"compute_capability": 8.9},
            ["compute.major>8", "compute.major=8 compute.minor>8"],
        ),
        ({"min_memory_gib": 1, "compute_capability": 12}, ["memory>1023 compute.major>11"]),
    ],
)
def test_what_a_gpu_must_have_becomes_alternatives_of_node_labels(
    gpu: dict[str, Any], alternatives: list[str]
) -> None:
    signs = {"Gt": ">", "In": "="}
    found = [
        " ".join(
            each["key"].removeprefix("nvidia.com/gpu.")
            + signs[each["operator"]]
            + ",".join(each["values"])
            for each in term["matchExpressions"]
        )
        for term in node_terms(hosted({"gpu": gpu}))
    ]
    assert found == alternatives


def test_the_runtime_s_least_capability_counts_where_it_is_more() -> None:
    runtime = {"name": "engine", "image": "a/b:c", "min_compute_capability": 9.0}
    more = hosted({"runtime": runtime, "gpu": {"compute_capability": 8.0}})
    assert node_terms(more) == node_terms(hosted({"gpu": {"compute_capability": 9.0}}))


def test_declared_affinity_and_the_gpu_s_must_both_hold() -> None:
    terms = [{"matchExpressions": [{"key": key, "operator": "Exists"}]} for key in ("a", "b")]
    required = {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms},
    }
    declared = {"nodeAffinity": required, "podAffinity": {}}
    spec = hosted({"gpu": {"compute_capability": 8.9}, "affinity": declared})
    keys = [[each["key"] for each in term["matchExpressions"]] for term in node_terms(spec)]
    major, minor = "nvidia.com/gpu.compute.major", "nvidia.com/gpu.compute.minor"
    assert keys == [["a", major], ["a", major, minor], ["b", major], ["b", major, minor]]


def test_a_service_without_gpu_asks_for_no_special_node() -> None:
    pod = pod_of(hosted({"gpu": None}))
    assert not {"nodeSelector", "affinity", "tolerations"} & pod.keys()


def test_the_vendor_s_taint_is_tolerated_once() -> None:
    declared = [{"key": "nvidia.com/gpu"}, {"key": "mine", "effect": "NoExecute"}]
    assert pod_of(hosted({"tolerations": declared}))["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists"},
        {"key": "mine", "operator": "Exists", "effect": "NoExecute"},
    ]


# Rollouts


@pytest.mark.parametrize(
    ("replicas", "strategy", "surge", "unavailable"),
    [
        (0, {}, 1, 0),
        (1, {}, 1, 0),
        (2, {}, 0, 1),
        (9, {}, 0, 1),
        (1, {"max_surge": 0}, 0, 1),
        (1, {"max_surge": 2}, 2, 0),
        (1, {"max_unavailable": 1}, 1, 1),
        (3, {"max_unavailable": 0}, 1, 0),
        (3, {"max_surge": 2}, 2, 1),
        (3, {"max_surge": 1, "max_unavailable": 0}, 1, 0),
    ],
)
def test_the_default_surge_depends_on_replicas_alone_and_something_can_always_move(
    replicas: int, strategy: dict[str, int], surge: int, unavailable: int
) -> None:
    spec = hosted({"replicas": replicas, "strategy": strategy})
    rolling = rendered(spec)["Deployment"]["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxSurge": surge, "maxUnavailable": unavailable}


# Secrets


def test_other_secret_values_make_other_pods_without_showing_the_values() -> None:
    def annotations(value: str, key: bytes = KEY) -> Any:
        spec = hosted({"secret_env": {"A": value}})
        template = rendered(spec, hash_key=key)["Deployment"]["spec"]["template"]
        return template["metadata"]["annotations"]

    assert annotations("one") == annotations("one")
    assert annotations("one") != annotations("two")
    assert annotations("one") != annotations("one", b"other key")
    assert "one" not in str(annotations("one"))


def test_a_secret_hash_cannot_be_confused_by_moving_text_between_values() -> None:
    assert secret_hash({"A": "b", "C": ""}, key=KEY) != secret_hash({"A": "", "C": "b"}, key=KEY)
    assert secret_hash({"A": "1", "B": "2"}, key=KEY) == secret_hash({"B": "2", "A": "1"}, key=KEY)


PLANTED = "planted-secret-value"


@pytest.mark.parametrize(
    "spec",
    [
        hosted({"secret_env": {"A": PLANTED}}),
        external(provider_settings={"api_key": PLANTED}),
    ],
)
def test_a_secret_value_stands_in_the_data_of_secrets_and_nowhere_else(
    spec: ModelServiceSpec,
) -> None:
    objects = objects_of(spec, identity=IDENTITY, hash_key=KEY)
    planted = {PLANTED, base64.b64encode(PLANTED.encode()).decode()}
    for each in objects:
        outside = {key: value for key, value in each.items() if key != "data"}
        assert not any(text in json.dumps(outside) for text in planted)
    elsewhere = repr((record_spec_of(spec), planned_of(spec), spec))
    assert not any(text in elsewhere for text in planted)


def test_a_record_still_says_that_there_are_secrets() -> None:
    record = record_spec_of(hosted({"secret_env": {"B": PLANTED, "A": PLANTED}}))
    assert record["deployment"]["secret_env"] == {"A": "", "B": ""}
    record = record_spec_of(external(provider_settings={"api_key": PLANTED}))
    assert record["provider_settings"]["api_key"] == ""


def test_the_template_does_not_depend_on_secret_values() -> None:
    one, two = (hosted({"secret_env": {"A": value}}) for value in ("one", "two"))
    assert pod_template_of(one) == pod_template_of(two)
    assert pod_template_hash(one) == pod_template_hash(two)
    assert pod_template_hash(one) != pod_template_hash(hosted())
    assert pod_template_of(spec_of(record_spec_of(one))) == pod_template_of(one)


# Values known beforehand


def test_a_hosted_service_is_known_before_it_is_there() -> None:
    spec = hosted({"replicas": 3}, workspace_id="team", provider_settings={"model_names": ["m"]})
    assert planned_of(spec) == {
        "model_service_id": "models/qwen",
        "access_name": "team/qwen",
        "endpoint": "http://qwen.models.svc",
        "base_url": "http://qwen.models.svc/v1",
        "model_names": ["team/qwen", "m"],
        "gpu_total": 6,
        "pod_template_hash": pod_template_hash(spec),
    }


@pytest.mark.parametrize(
    ("base_url", "endpoint"),
    [
        ("https://api.example.com/v1", "https://api.example.com"),
        ("https://api.example.com/v1/", "https://api.example.com"),
        ("https://api.example.com/openai", "https://api.example.com/openai"),
    ],
)
def test_an_external_service_is_where_its_provider_is(base_url: str, endpoint: str) -> None:
    planned = planned_of(external(provider_settings={"base_url": base_url}))
    assert (planned["base_url"], planned["endpoint"]) == (base_url, endpoint)
    assert planned["model_names"] == ["a", "b"]
    assert (planned["gpu_total"], planned["pod_template_hash"]) == (0, "")


def test_planned_values_are_computed_from_raw_numbers_too() -> None:
    _, formula = PLANNED["gpu_total"]
    total = formula(2.0, 4.0)
    assert (total, type(total)) == (8, int)


def test_the_hash_of_a_template_is_frozen() -> None:
    # Changed on purpose only: every pod of every fleet restarts with it.
    assert pod_template_hash(hosted(), renderer_version=1) == "29fe5d028c"
    assert pod_template_hash(hosted(), renderer_version=2) == "1d5edd8b84"


# Which changes reach the pods


def test_identity_and_scale_never_reach_the_pods() -> None:
    other = Identity(owner="x/y/z", urn=None, incarnation="2", cluster_uid="d")
    template = rendered(hosted())["Deployment"]["spec"]["template"]
    assert rendered(hosted(), identity=other)["Deployment"]["spec"]["template"] == template
    scaled = rendered(hosted({"replicas": 7}))["Deployment"]["spec"]["template"]
    assert scaled == template


OTHER_VALUES: dict[str, Any] = {
    "provider": "custom",
    "description": "other",
    "model_info_configs": [{"model_name": "m"}],
    "network_configuration.allow_from": [{"pod_labels": {"a": "b"}}],
    "tags": {"a": "b"},
    "deletion_protection": True,
    "adopt": True,
    "wait.until": "all",
    "wait.timeout_seconds": 5,
    "wait.on_failure": "rollback",
    "deployment.replicas": 5,
    "deployment.strategy.type": "recreate",
    "deployment.strategy.max_surge": 3,
    "deployment.strategy.max_unavailable": 3,
    "deployment.disruption.min_available": 1,
    "deployment.disruption.max_unavailable": 1,
}
"""Another value of every field that is declared to change in place."""

NOT_FOR_HOSTED = {
    "credential_name": "refused for hosted services",
    "provider_settings.api_key": "refused for hosted services",
    "provider_settings.base_url": "makes a service external",
    "network_configuration.network_mode": "has one value so far",
}
AT_LEAST_IN_PLACE = {
    "workspace_id": "x",
    "model_type": "rerank",
    "provider_settings.model_names": ["x"],
    "deployment.storage.size_gib": 10,
}
"""Declared in place as the least they mean: for a built-in engine they are options, and the limit
of an empty_dir stands in the pod, as the size of a claim does not."""


def in_place_paths(model: Any, at: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        nested = model_in(field.annotation)
        is_list = "tuple" in str(field.annotation)
        if nested is not None and not is_list:
            yield from in_place_paths(nested, f"{at}{name}.")
        elif change_class(field) is ChangeClass.IN_PLACE:
            yield f"{at}{name}"


def test_every_in_place_field_is_in_the_tables_of_this_test() -> None:
    tables = OTHER_VALUES.keys() | NOT_FOR_HOSTED.keys() | AT_LEAST_IN_PLACE.keys()
    assert set(in_place_paths(ModelServiceSpec)) == tables


def changed(path: str, value: Any) -> ModelServiceSpec:
    tree: Any = value
    for step in reversed(path.split(".")):
        tree = {step: tree}
    return ModelServiceSpec.model_validate(merged(HOSTED, tree))


@pytest.mark.parametrize("path", sorted(OTHER_VALUES))
def test_an_in_place_change_leaves_the_pod_template_as_it_is_to_the_byte(path: str) -> None:
    before, after = hosted(), changed(path, OTHER_VALUES[path])
    assert before != after
    assert json.dumps(pod_template_of(before)) == json.dumps(pod_template_of(after))


@pytest.mark.parametrize("path", sorted(AT_LEAST_IN_PLACE))
def test_what_is_more_than_its_least_shows_in_the_pod_template_hash(path: str) -> None:
    after = changed(path, AT_LEAST_IN_PLACE[path])
    assert pod_template_hash(hosted()) != pod_template_hash(after)


# Whatever is declared

NAMES = st.text("abcxyz", min_size=2, max_size=6)
VALUES = st.booleans() | st.integers(-5, 5) | st.floats(0, 9, width=16) | NAMES
FULL_RUNTIME = st.fixed_dictionaries(
    {"name": NAMES, "image": NAMES},
    optional={
        "args": st.lists(NAMES, max_size=2),
        "min_compute_capability": st.sampled_from([7.5, 8, 9.0]),
    },
)
DEPLOYMENTS = st.fixed_dictionaries(
    {"model": st.builds(lambda name: {"uri": f"hf://{name}"}, NAMES)},
    optional={
        "runtime": st.just("vllm") | FULL_RUNTIME,
        "runtime_version": st.sampled_from(["v0.30.0", "v0.12.0", "nightly", "mine"]),
        "args": st.dictionaries(NAMES, VALUES | st.lists(VALUES, max_size=3), max_size=3),
        "env": st.dictionaries(NAMES, VALUES | NAMES.map(lambda name: {"secret": name})),
        "replicas": st.integers(0, 9),
        "gpu": st.fixed_dictionaries(
            {},
            optional={
                "vendor": st.sampled_from(["nvidia", "amd"]),
                "count": st.integers(1, 8).map(float),
                "min_memory_gib": st.floats(0.5, 200, width=16),
                "compute_capability": st.sampled_from([7.5, 8, 9.0, 12.1]),
            },
        ),
        "cpu": st.floats(0.125, 64, width=16),
        "memory_gib": st.floats(0.125, 2000, width=16),
        "drain_seconds": st.integers(0, 3600),
        "affinity": st.just({"podAffinity": {}}) | st.just({}),
        "strategy": st.fixed_dictionaries({}, optional={"max_surge": st.integers(0, 3)}),
    },
)
DECLARATIONS = st.fixed_dictionaries(
    {"model_service_name": NAMES, "deployment": DEPLOYMENTS},
    optional={
        "workspace_id": NAMES,
        "model_type": st.sampled_from(["llm", "rerank", "tts"]),
        "tags": st.dictionaries(NAMES, NAMES, max_size=2),
        "provider_settings": st.fixed_dictionaries(
            {}, optional={"model_names": st.lists(NAMES, max_size=3)}
        ),
    },
)


@given(declaration=DECLARATIONS)
@settings(max_examples=40, deadline=None)
def test_a_record_gives_back_the_spec_it_was_made_of(declaration: dict[str, Any]) -> None:
    spec = ModelServiceSpec.model_validate(declaration)
    record = json.loads(json.dumps(record_spec_of(spec)))
    assert ModelServiceSpec.model_validate(record) == spec
    assert record_spec_of(ModelServiceSpec.model_validate(record)) == record


@given(declaration=DECLARATIONS)
@settings(max_examples=40, deadline=None)
def test_whatever_is_declared_can_be_rendered_as_json(declaration: dict[str, Any]) -> None:
    spec = ModelServiceSpec.model_validate(pinned(declaration, None))
    objects = objects_of(spec, identity=IDENTITY, hash_key=KEY)
    assert json.loads(json.dumps(objects)) == objects
    assert all(isinstance(arg, str) for arg in launch_of(spec).args)


@given(declaration=DECLARATIONS, data=st.data())
@settings(max_examples=40, deadline=None)
def test_the_order_of_declaration_does_not_reach_the_pods(
    declaration: dict[str, Any], data: st.DataObject
) -> None:
    shuffled = _shuffled(declaration, data)
    one, other = (ModelServiceSpec.model_validate(each) for each in (declaration, shuffled))
    assert json.dumps(pod_template_of(one)) == json.dumps(pod_template_of(other))


def _shuffled(value: Any, data: st.DataObject) -> Any:
    if not isinstance(value, dict):
        return value
    keys = data.draw(st.permutations(list(value)))
    return {key: _shuffled(value[key], data) for key in keys}


def test_the_declarations_of_this_test_are_such_as_rules_accept() -> None:
    spec_of(HOSTED, rules=(*SPEC_RULES, *ENGINE_RULES))
    spec_of(EXTERNAL, rules=(*SPEC_RULES, *ENGINE_RULES))
