"""Field ownership, read from managedFields as API servers write them.

Dimensions: who owns a field (we, a person, an applier, nobody) x its value (same, other, gone, a
server's spelling) x its place (field, keyed list, list as one value, map as one value).
"""

from __future__ import annotations

from typing import Any

import pytest

from modelfleet.cluster.field_paths import (
    ABSENT,
    Key,
    Member,
    contains,
    members,
    path_text,
    union,
    value_at,
)
from modelfleet.cluster.managed_fields import (
    Manager,
    Taken,
    handed_over,
    managers_of,
    quantity,
    taken,
    unchanged,
)

OURS = "modelfleet-1"
US = Manager(OURS, "Apply")
PERSON = Manager("kubectl-edit", "Update")
ARGO = Manager("argocd", "Apply")
HPA = Manager("kube-controller-manager", "Update", "scale")

ENGINE = Key((("name", "engine"),))
CONTAINERS = ("spec", "template", "spec", "containers")

Fields = dict[str, Any]


def claim(manager: Manager, fields: Fields, *, version: str = "apps/v1") -> dict[str, Any]:
    entry = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": version,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    return {**entry, **({"subresource": manager.subresource} if manager.subresource else {})}


def deployment(*, claims: dict[Manager, Fields] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "qwen",
            "namespace": "models",
            **({"managedFields": [claim(*each) for each in claims.items()]} if claims else {}),
        },
        "spec": spec,
    }


def pods(**container: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "engine", **container}]}}


def of_container(**fields: Fields) -> Fields:
    """Return the FieldsV1 of fields of the container ``engine``."""
    named = {f"f:{name}": each for name, each in fields.items()}
    item = {".": {}, "f:name": {}, **named}
    return {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"engine"}': item}}}}}


def spec_of(*names: str) -> Fields:
    return {"f:spec": {f"f:{name}": {} for name in names}}


# Who owns what


def test_the_managers_of_a_field_are_those_with_it_or_with_something_around_or_in_it() -> None:
    live = deployment(claims={
        US: of_container(image={}),
        PERSON: {"f:spec": {"f:template": {}}},
        ARGO: of_container(env={'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}}),
        HPA: spec_of("replicas"),
    })  # fmt: skip

    assert managers_of(live, (*CONTAINERS, ENGINE, "image")) == [PERSON, US]
    assert managers_of(live, (*CONTAINERS, ENGINE, "env")) == [ARGO, PERSON]
    assert managers_of(live, ("spec", "replicas")) == [HPA]
    assert managers_of(live, ("spec", "paused")) == []


def test_paths_are_written_as_people_write_them() -> None:
    port = Key((("containerPort", 80), ("protocol", "TCP")))
    path = (*CONTAINERS, ENGINE, "ports", port, "name")

    assert path_text(path) == (
        "spec.template.spec.containers[name=engine].ports[containerPort=80,protocol=TCP].name"
    )
    assert path_text(("metadata", "finalizers", Member("a/b"))) == "metadata.finalizers[a/b]"


def test_a_union_has_the_paths_of_all_its_sets() -> None:
    joined = union([{}, spec_of("a"), {"f:spec": {}}, {"f:spec": {"f:b": {"f:c": {}}}}])

    assert set(members(joined)) == {("spec", "a"), ("spec", "b", "c")}
    assert contains(joined, ("spec",))
    assert not contains(union([]), ("spec",))


def test_items_are_found_by_key_also_where_a_key_has_its_default() -> None:
    obj = {"ports": [{"port": 80}, {"port": 80, "protocol": "UDP"}], "set": ["a"]}

    assert value_at(obj, ("ports", Key((("port", 80), ("protocol", "TCP"))))) == {"port": 80}
    assert value_at(obj, ("set", Member("a"))) == "a"
    assert value_at(obj, ("set", Member("b"))) is ABSENT
    assert value_at(obj, ("ports", "port")) is ABSENT


# What was taken from us


def test_a_field_that_a_person_changed_is_taken_by_that_person() -> None:
    live = deployment(
        replicas=3, paused=True, claims={US: spec_of("paused"), PERSON: spec_of("replicas")}
    )

    found = taken(deployment(replicas=1, paused=True), live, field_manager=OURS)

    assert found == [Taken(("spec", "replicas"), 1, 3, (PERSON,))]
    assert str(found[0]) == "spec.replicas (by kubectl-edit)"


def test_a_field_that_was_removed_is_taken_by_nobody() -> None:
    live = deployment(template=pods(image="a"), claims={US: of_container(image={})})
    desired = deployment(template=pods(image="a", workingDir="/x"))

    [found] = taken(desired, live, field_manager=OURS)

    assert found == Taken((*CONTAINERS, ENGINE, "workingDir"), "/x", None, ())
    assert str(found) == "spec.template.spec.containers[name=engine].workingDir"


def test_a_field_that_only_we_own_is_not_taken_when_we_want_another_value() -> None:
    live = deployment(replicas=1, claims={US: spec_of("replicas")})

    assert taken(deployment(replicas=2), live, field_manager=OURS) == []


def test_a_field_that_is_shared_is_taken_once_we_want_another_value() -> None:
    live = deployment(replicas=1, claims={US: spec_of("replicas"), ARGO: spec_of("replicas")})

    assert taken(deployment(replicas=1), live, field_manager=OURS) == []
    assert taken(deployment(replicas=2), live, field_manager=OURS) == [
        Taken(("spec", "replicas"), 2, 1, (ARGO,))
    ]


def test_a_field_that_others_own_at_our_value_is_not_taken() -> None:
    live = deployment(replicas=1, claims={PERSON: spec_of("replicas")})

    assert taken(deployment(replicas=1), live, field_manager=OURS) == []


def test_an_item_in_a_keyed_list_is_compared_by_its_key_and_not_by_its_place() -> None:
    env = {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}}
    live = deployment(
        template=pods(env=[{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]),
        claims={US: of_container(env=env)},
    )
    desired = deployment(template=pods(env=[{"name": "A", "value": "1"}]))

    assert taken(desired, live, field_manager=OURS) == []
    assert unchanged(desired, live, field_manager=OURS)


def test_the_values_of_a_secret_never_show() -> None:
    live = {
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": {"key": "dGhlaXJz"},
        "metadata": {"name": "s", "managedFields": [claim(PERSON, {"f:data": {"f:key": {}}})]},
    }  # fmt: skip
    desired = {**live, "data": {"key": "b3Vycw==", "gone": "Z29uZQ=="}}

    found = taken(desired, live, field_manager=OURS)

    assert [(each.desired, each.live) for each in found] == [
        ("(secret)", "(secret)"),
        ("(secret)", None),
    ]


# What would change


@pytest.mark.parametrize(
    ("desired", "live", "fields"),
    [
        ({"replicas": 1}, {"replicas": 1, "paused": True}, spec_of("replicas")),
        ({"hostNetwork": False, "args": []}, {}, spec_of("hostNetwork", "args")),
        ({"emptyDir": {}}, {"emptyDir": {"medium": "Memory"}}, spec_of("emptyDir")),
        (
            {"ingress": [{"ports": [{"port": 1}]}]},
            {"ingress": [{"ports": [{"port": 1, "protocol": "TCP"}]}]},
            spec_of("ingress"),
        ),
        (
            {"limits": {"cpu": 2, "memory": "1024Mi", "gpu": "1"}},
            {"limits": {"cpu": "2", "memory": "1Gi", "gpu": "1"}},
            {"f:spec": {"f:limits": {"f:cpu": {}, "f:memory": {}, "f:gpu": {}}}},
        ),
    ],
    ids=["others' fields", "empty values", "an empty map", "defaults in one value", "quantities"],
)
def test_what_the_server_would_store_alike_is_unchanged(
    desired: dict[str, Any], live: dict[str, Any], fields: Fields
) -> None:
    assert unchanged(
        deployment(**desired), deployment(**live, claims={US: fields}), field_manager=OURS
    )


@pytest.mark.parametrize(
    ("desired", "live", "claims"),
    [
        ({"replicas": 2}, {"replicas": 1}, {US: spec_of("replicas")}),
        ({"replicas": 1}, {"replicas": 1}, {PERSON: spec_of("replicas")}),
        ({"replicas": 1}, {"replicas": 1}, {US: spec_of("replicas", "paused")}),
        ({"hostNetwork": False}, {}, {US: {}}),
        ({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "a", "effect": "b"}]},
         {US: spec_of("tolerations")}),
        ({"selector": {"a": "1"}}, {"selector": {"a": "1", "b": "2"}}, {US: spec_of("selector")}),
        ({"version": "1.0"}, {"version": "1"}, {US: spec_of("version")}),
        ({"limits": {"cpu": "2"}}, {"limits": {"cpu": "3"}},
         {US: {"f:spec": {"f:limits": {"f:cpu": {}}}}}),
    ],
    ids=["another value", "another's field", "a field too many", "a field that was removed",
         "another value in a list", "a key too many", "text is no quantity", "another quantity"],
)  # fmt: skip
def test_what_the_server_would_store_otherwise_is_not_unchanged(
    desired: dict[str, Any], live: dict[str, Any], claims: dict[Manager, Fields]
) -> None:
    assert not unchanged(
        deployment(**desired), deployment(**live, claims=claims), field_manager=OURS
    )


def test_an_object_nobody_wrote_is_not_unchanged() -> None:
    assert not unchanged(deployment(), deployment(), field_manager=OURS)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), (2, 2), ("500m", "0.5"), ("1Ki", 1024), ("1k", 1000), ("1.5Gi", 1610612736),
     ("2E", 2 * 10**18), ("1e3", 1000), ("x", None), ("", None)],
)  # fmt: skip
def test_quantities_are_numbers(text: Any, value: Any) -> None:
    found = quantity(text)

    assert found == (None if value is None else quantity(value))


# Changing hands


def test_what_is_handed_over_joins_what_the_receiver_has() -> None:
    live = deployment(claims={
        US: spec_of("a"),
        PERSON: {"f:metadata": {"f:labels": {"f:team": {}}}, **spec_of("b")},
        HPA: spec_of("replicas"),
    })  # fmt: skip

    fields = handed_over(live, to=OURS, whose=lambda by: by == PERSON, with_metadata=False)

    after = {**live, "metadata": {**live["metadata"], "managedFields": fields}}
    assert managers_of(after, ("spec", "a")) == [US]
    assert managers_of(after, ("spec", "b")) == [US]
    assert managers_of(after, ("spec", "replicas")) == [HPA]
    assert managers_of(after, ("metadata", "labels", "team")) == [PERSON]


def test_metadata_goes_along_when_it_is_meant_to() -> None:
    live = deployment(claims={ARGO: {"f:metadata": {"f:labels": {"f:team": {}}}}})

    fields = handed_over(live, to=OURS, whose=lambda by: by == ARGO, with_metadata=True)

    assert [(entry["manager"], entry["operation"]) for entry in fields] == [(OURS, "Apply")]


def test_fields_of_another_api_version_stay_where_they_are() -> None:
    live = deployment()
    live["metadata"]["managedFields"] = [claim(ARGO, spec_of("a"), version="apps/v1beta1")]

    fields = handed_over(live, to=OURS, whose=lambda by: by == ARGO, with_metadata=True)

    assert fields[0]["manager"] == "argocd"
