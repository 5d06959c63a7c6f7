"""What an update leaves of a resource whose secrets the caller does not have. No cluster.

Dimensions: every declaration x what is sent; and callers' keys over rotations, by hash alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from agentrun_entries import entry_of
from declarations import declarations, hosted, paths_in, replaced
from hypothesis import given, settings
from hypothesis import strategies as st
from proxy_declarations import SECRET, proxy, route, valid_proxies

from modelfleet.agentrun.hidden import refuse_what_is_hidden
from modelfleet.agentrun.kept_secrets import kept_secrets_in
from modelfleet.agentrun.matching import matches
from modelfleet.agentrun.proxy_keys import proxy_keys_of
from modelfleet.agentrun.scope import Scope, in_workspace, is_visible
from modelfleet.agentrun.writes import Write, change_of, creation_of
from modelfleet.catalogue import Snapshot
from modelfleet.cluster.objects import Object
from modelfleet.cluster.records import Record, record_of
from modelfleet.desired import Desired, Kept
from modelfleet.errors import ForbiddenError, ProviderBugError, SpecError
from modelfleet.gateway.generated_keys import GeneratedKeys, generated_keys_of
from modelfleet.gateway.keys_file import KeyEntry, entries_in, keys_file_of, sha256_of
from modelfleet.plan import plan
from modelfleet.resource_types import MODEL_PROXY, MODEL_SERVICE, ResourceType, type_of
from modelfleet.spec.merge import merged
from modelfleet.spec.proxy import ModelProxySpec

SCOPE = Scope(owner="me")
NOW = datetime(2026, 11, 21, tzinfo=UTC)
KEPT = Kept(b"k" * 32, "hush")


def objects_of(desired: Desired) -> list[Object]:
    return desired.objects(cluster_uid="uid", kept=KEPT)


def created(declaration: Mapping[str, Any], *, of: ResourceType) -> tuple[Write, Record, Object]:
    """Return a creation, its record, and the Secret it leaves in the cluster."""
    write = creation_of({"namespace": "models", **declaration}, kind=of.kind, scope=SCOPE)
    objects = objects_of(write.desired)
    record = record_of(objects[-1])
    assert record is not None
    secrets = [each for each in objects if each["kind"] == "Secret"]
    own = (f"{record.name}-proxy", f"{record.name}-env", f"{record.name}-external")
    found = [each for each in secrets if each["metadata"]["name"] in own]
    return write, record, found[0] if found else {}


def changed(record: Record, live: Object, fields: Mapping[str, Any]) -> Write:
    prior = type_of(record.kind).model.model_validate(record.spec)
    kept = kept_secrets_in(live, spec=prior)
    return change_of(record, merged(record.spec, fields), kept=kept, scope=SCOPE)


# -- nothing is lost


@given(declarations.filter(lambda each: not plan(each).problems))
@settings(max_examples=40, deadline=None)
def test_an_update_that_says_nothing_leaves_every_object_of_a_service_as_it_is(
    declaration: dict[str, Any],
) -> None:
    write, record, live = created(declaration, of=MODEL_SERVICE)
    assert objects_of(changed(record, live, {}).desired) == objects_of(write.desired)


@given(valid_proxies(), st.booleans())
@settings(max_examples=15, deadline=None)
def test_an_update_that_says_nothing_leaves_every_object_of_a_proxy_as_it_is(
    declaration: dict[str, Any], has_keys: bool
) -> None:
    keys = {
        "ci": {"key": SECRET, "expires_at": "2030-01-31T12:00:00+02:00"},
        "team": {"generate": {}},
    }
    declared = {**declaration, **({"api_keys": keys} if has_keys else {})}
    write, record, live = created(declared, of=MODEL_PROXY)
    again = changed(record, live, {})
    assert objects_of(again.desired) == objects_of(write.desired)
    assert not again.made_keys


def test_what_is_taken_back_has_its_secrets_too() -> None:
    env = {"deployment": {"model": {"uri": "hf://org/model"}, "secret_env": {"TOKEN": "hush"}}}
    declared = {"model_service_name": "qwen", **merged(env, {"deployment": {"gpu": {}}})}
    write, record, live = created(declared, of=MODEL_SERVICE)
    update = changed(record, live, {"deployment": {"secret_env": {"TOKEN": "other"}}}).desired
    assert update.taken_back is not None
    assert objects_of(update.taken_back) == objects_of(write.desired)
    assert objects_of(update) != objects_of(write.desired)


def test_no_secret_shows_in_what_is_to_be_written() -> None:
    declared = {
        "model_service_name": "qwen",
        "provider_settings": {"base_url": "https://a.example.com", "api_key": "hush"},
    }
    write, record, live = created(declared, of=MODEL_SERVICE)
    again = changed(record, live, {"description": "new"})
    assert "hush" not in repr(write) + repr(again) + repr(again.desired)
    gate, record, _ = created(proxy(api_keys={"team": {"generate": {}}}), of=MODEL_PROXY)
    (key,) = gate.made_keys.values()
    assert key not in repr(gate)


def test_a_problem_is_told_together_with_what_cannot_be_changed() -> None:
    declared = {
        "model_service_name": "qwen",
        "provider_settings": {"base_url": "https://a.example.com"},
    }
    _, record, live = created(declared, of=MODEL_SERVICE)
    with pytest.raises(SpecError) as caught:
        changed(record, live, {"namespace": "other", "description": "x" * 5000})
    assert [each.path for each in caught.value.problems] == ["description", "namespace"]
    assert caught.value.subject == "ModelService other/qwen"


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["\ud800", "\x00", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


@pytest.mark.parametrize("of", [MODEL_SERVICE, MODEL_PROXY], ids=lambda each: each.kind)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_is_sent_is_taken_or_told_to_be_wrong(of: ResourceType, data: Any) -> None:
    declared = {
        MODEL_SERVICE.kind: hosted({"secret_env": {"TOKEN": "hush"}, "gpu": {}}),
        MODEL_PROXY.kind: proxy(api_keys={"ci": {"key": SECRET}, "team": {"generate": {}}}),
    }[of.kind]
    _, record, live = created(declared, of=of)
    path = data.draw(st.sampled_from(sorted(paths_in(record.spec), key=str)))
    kept = kept_secrets_in(live, spec=of.model.model_validate(record.spec))
    sent = replaced(record.spec, path, data.draw(JUNK))
    with suppress(SpecError):
        change_of(record, sent, kept=kept, scope=SCOPE)


# -- callers' keys


def spec_with(**keys: Any) -> ModelProxySpec:
    return ModelProxySpec.model_validate(proxy(api_keys=keys))


def texts(keys: Any) -> dict[str, str | None]:
    return {entry.sha256: entry.expires_at for entry in keys}


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.sampled_from([0, 60, 7200]), st.integers(0, 5000)),
        min_size=1,
        max_size=5,
    )
)
def test_rotations_by_hash_are_those_of_who_has_the_keys(
    steps: list[tuple[int, int, int]],
) -> None:
    moment, made = NOW, iter(f"sk-{at}" for at in range(10))
    by_key, by_hash, prior = GeneratedKeys(), proxy_keys_of(spec_with()), None
    for rotation, overlap_seconds, passed in steps:
        moment += timedelta(seconds=passed)
        generate = {"rotation": rotation, "overlap_seconds": overlap_seconds}
        spec = spec_with(team={"generate": generate})
        make = partial(str, next(made))
        by_key = generated_keys_of(spec, prior=prior, before=by_key, now=moment, make=make)
        by_hash = proxy_keys_of(spec, prior=prior, before=by_hash.entries, now=moment, make=make)
        assert keys_file_of(spec, keys=by_hash.entries) == keys_file_of(spec, keys=by_key.entries)
        prior = spec


def test_a_declared_key_stays_by_its_hash_until_another_one_is_sent() -> None:
    before = (KeyEntry("ci", "aa"), KeyEntry("gone", "bb"))
    kept = proxy_keys_of(spec_with(ci={"key": ""}), prior=spec_with(ci={"key": ""}), before=before)
    assert texts(kept.entries) == {"aa": None}
    sent = proxy_keys_of(spec_with(ci={"key": SECRET}), prior=spec_with(), before=before)
    assert sent.entries == ()


def test_a_declared_key_that_becomes_generated_is_over_and_the_other_way_round() -> None:
    before = (KeyEntry("ci", "aa"),)
    declared, generated = spec_with(ci={"key": ""}), spec_with(ci={"generate": {}})
    made = proxy_keys_of(generated, prior=declared, before=before, make=lambda: "sk-new")
    assert texts(made.entries) == {sha256_of("sk-new"): None}
    own = spec_with(ci={"key": SECRET})
    assert proxy_keys_of(own, prior=generated, before=before).entries == ()


@pytest.mark.parametrize("ends", [None, "2030-01-31T12:00:00Z", "2030-01-31T14:00:00+02:00"])
def test_the_entries_of_a_file_of_keys_are_read_back_as_they_were(ends: str | None) -> None:
    spec = spec_with(team={"generate": {}, "expires_at": ends}, ci={"key": "", "expires_at": ends})
    entries = (
        KeyEntry("ci", "cc"),
        KeyEntry("team", "aa"),
        KeyEntry("team", "bb", "2027-01-01T00:00:00Z"),
    )
    read = entries_in(keys_file_of(spec, keys=entries), spec=spec)
    assert sorted(read, key=lambda each: each.sha256) == sorted(
        entries, key=lambda each: each.sha256
    )


# -- tenants and filters


SERVICE = {
    "model_service_name": "qwen",
    "namespace": "models",
    "provider_settings": {"base_url": "https://a.example.com"},
}


@pytest.mark.parametrize(
    ("workspaces", "workspace_id", "visible"),
    [
        (None, "red", True),
        (None, None, True),
        (("red",), "red", True),
        (("red",), "blue", False),
        (("red",), None, False),
        (("red", "default"), None, True),
        ((), None, False),
    ],
)
def test_who_sees_a_resource(
    workspaces: tuple[str, ...] | None, workspace_id: str | None, visible: bool
) -> None:
    declared = {**SERVICE, **({"workspace_id": workspace_id} if workspace_id else {})}
    entry = entry_of(declared, kind="ModelService")
    assert is_visible(entry, Scope(workspaces=workspaces)) is visible


@pytest.mark.parametrize(
    ("workspaces", "declared", "placed"),
    [
        (None, None, None),
        (None, "red", "red"),
        (("red", "blue"), None, "red"),
        (("red", "blue"), "blue", "blue"),
        (("default", "blue"), None, None),
    ],
)
def test_where_a_resource_is_made(
    workspaces: tuple[str, ...] | None, declared: str | None, placed: str | None
) -> None:
    fields = {"workspace_id": declared} if declared else {}
    scope = Scope(workspaces=workspaces)
    assert in_workspace(fields, scope, subject="s").get("workspace_id") == placed


@pytest.mark.parametrize("workspaces", [("red",), ("default",), ()])
def test_nothing_is_made_in_a_workspace_of_others(workspaces: tuple[str, ...]) -> None:
    with pytest.raises(ForbiddenError, match="workspace_id: blue is not"):
        in_workspace({"workspace_id": "blue"}, Scope(workspaces=workspaces), subject="s")


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        pytest.param({"routes": {"c": route("qwen")}}, "routes.c.targets[0].service", id="by name"),
        pytest.param(
            {"routes": {"c": route({"base_url": "http://qwen.models.svc/v1", "model_name": "m"})}},
            "routes.c.targets[0]",
            id="by address",
        ),
        pytest.param(
            {"routes": {"c": route({"base_url": "http://qwen:80/v1", "model_name": "m"})}},
            "routes.c.targets[0]",
            id="by the name of its Service",
        ),
        pytest.param(
            {"proxy_config": {"endpoints": [{"model_service_name": "qwen"}]}},
            "proxy_config.endpoints[0].model_service_name",
            id="in AgentRun's form",
        ),
        pytest.param({"credential_name": "qwen-external/api_key"}, "credential_name", id="its key"),
    ],
)
def test_what_another_workspace_has_is_not_used(fields: dict[str, Any], path: str) -> None:
    other = entry_of({**SERVICE, "workspace_id": "blue"}, kind="ModelService")
    snapshot = Snapshot(1, {other.key: other}, (other,))  # type: ignore[arg-type]
    spec = ModelProxySpec.model_validate(proxy(namespace="models", **fields))
    mine = Scope(workspaces=("red",))
    if "routes" not in fields and "proxy_config" not in fields:
        spec = spec.model_copy(update={"routes": {}})
    with pytest.raises(SpecError) as caught:
        refuse_what_is_hidden(spec, prior=None, snapshot=snapshot, scope=mine)
    assert {each.path for each in caught.value.problems} == {path}
    refuse_what_is_hidden(spec, prior=spec, snapshot=snapshot, scope=mine)
    for scope in (Scope(), Scope(workspaces=("red", "blue"))):
        refuse_what_is_hidden(spec, prior=None, snapshot=snapshot, scope=scope)


@pytest.mark.parametrize(
    ("where", "is_meant"),
    [
        ({}, True),
        ({"model_type": None}, True),
        ({"model_type": "llm", "workspace_id": "default"}, True),
        ({"model_type": "rerank"}, False),
        ({"provider": ["openai", "custom"]}, True),
        ({"provider": []}, False),
        ({"status": ("READY", "DEGRADED")}, True),
        ({"workspace_ids": {"red"}}, False),
        ({"proxy_mode": "single"}, False),
    ],
)
def test_a_filter_takes_one_value_or_any_of_several(where: dict[str, Any], is_meant: bool) -> None:
    entry = entry_of({**SERVICE, "provider": "custom"}, kind="ModelService")
    assert matches(entry, where) is is_meant


def test_a_filter_that_there_is_not_is_a_bug() -> None:
    with pytest.raises(ProviderBugError, match="colour"):
        matches(entry_of(SERVICE, kind="ModelService"), {"colour": "red"})
