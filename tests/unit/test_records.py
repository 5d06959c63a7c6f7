"""Records: what is written can be read, and what cannot be read is said and never guessed at."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelfleet import labels
from modelfleet.cluster.objects import Object
from modelfleet.cluster.records import (
    Record,
    record_annotations,
    record_of,
    refuse_newer,
    refuse_too_large,
)
from modelfleet.errors import ConflictError, SpecError

RECORD = Record(
    kind="ModelService",
    name="qwen",
    namespace="models",
    owner="acme/fleet/prod",
    urn="urn:pulumi:prod::fleet::modelfleet:ModelService::qwen",
    incarnation="0123456789abcdef",
    cluster_uid="the-cluster",
    spec={"model_service_name": "qwen", "tags": ["é"]},
    schema_version=1,
    renderer_version=2,
)


def primary(annotations: dict[str, str]) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "qwen",
            "namespace": "models",
            "labels": labels.object_labels(
                kind="ModelService", name="qwen", owner="acme/fleet/prod"
            ),
            "annotations": annotations,
        },
    }


def edited(**changes: Any) -> Object:
    """Return an object whose record has ``changes``; None removes a key."""
    annotations = record_annotations(RECORD)
    content = {**json.loads(annotations[labels.RECORD]), **changes}
    content = {key: value for key, value in content.items() if value is not None}
    return primary({**annotations, labels.RECORD: json.dumps(content)})


def test_a_record_comes_back_as_it_was_written() -> None:
    assert record_of(primary(record_annotations(RECORD))) == RECORD


def test_a_record_outside_of_a_program_has_no_address_in_one() -> None:
    record = Record(**{**vars(RECORD), "urn": ""})

    assert labels.URN not in record_annotations(record)
    assert record_of(primary(record_annotations(record))) == record


def test_the_same_record_is_written_the_same_to_the_byte() -> None:
    turned = Record(**{**vars(RECORD), "spec": dict(reversed(list(RECORD.spec.items())))})

    assert record_annotations(turned) == record_annotations(RECORD)
    assert record_annotations(RECORD)[labels.RECORD].startswith(
        '{"cluster_uid":"the-cluster","incarnation":"0123456789abcdef","renderer_version":2,'
    )


@pytest.mark.parametrize("annotations", [{}, {"other": "x"}])
def test_an_object_without_a_record_has_none(annotations: dict[str, str]) -> None:
    assert record_of(primary(annotations)) is None


def test_a_record_of_a_newer_version_is_refused_and_not_guessed_at() -> None:
    with pytest.raises(ConflictError) as caught:
        record_of(edited(v=2))

    assert "made by a newer one" in str(caught.value)
    assert "Upgrade modelfleet" in str(caught.value)


@pytest.mark.parametrize(
    ("newer", "told"),
    [
        ({"v": 2}, "its record has version 2, this modelfleet reads up to 1"),
        ({"schema_version": 2}, "its record has schema version 2, this modelfleet reads up to 1"),
        ({"renderer_version": 3}, "has renderer version 3, this modelfleet reads up to 2"),
    ],
)
def test_a_record_of_what_is_not_known_here_is_refused_by_its_version(
    newer: dict[str, int], told: str
) -> None:
    with pytest.raises(ConflictError, match=told):
        refuse_newer(edited(**newer), schema_version=1, renderer_version=2)


@pytest.mark.parametrize(
    "live",
    [
        edited(),
        edited(renderer_version="x"),
        primary({labels.RECORD: "{broken"}),
        primary({labels.RECORD: "[]"}),
        primary({}),
    ],
    ids=["as known", "no version", "no json", "no map", "none"],
)
def test_a_record_that_tells_no_later_version_may_be_written_anew(live: Object) -> None:
    refuse_newer(live, schema_version=1, renderer_version=2)


@pytest.mark.parametrize(
    "live",
    [
        primary({**record_annotations(RECORD), labels.RECORD: "{broken"}),
        primary({**record_annotations(RECORD), labels.RECORD: "[]"}),
        edited(v="x"),
        edited(spec=None),
        edited(spec="text"),
        primary({labels.RECORD: record_annotations(RECORD)[labels.RECORD]}),
    ],
    ids=["no json", "no map", "no version", "no spec", "a spec that is none", "no owner"],
)
def test_a_record_that_was_edited_is_named_with_the_way_out(live: Object) -> None:
    with pytest.raises(ConflictError) as caught:
        record_of(live)

    assert str(caught.value).startswith("Deployment models/qwen: its annotation")
    assert "edited by hand" in str(caught.value)


def test_annotations_at_the_limit_pass_and_beyond_it_are_refused_before_the_server_is_asked() -> (
    None
):
    room = labels.ANNOTATIONS_LIMIT_BYTES - len("key")

    refuse_too_large("ModelService models/qwen", {"key": "x" * room})
    with pytest.raises(SpecError, match="the declaration is too large") as caught:
        refuse_too_large("ModelService models/qwen", {"key": "x" * (room - 1) + "é"})
    assert caught.value.problems[0].path == ""
