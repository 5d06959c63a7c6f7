"""Fleets of earlier releases, as recorded, in the hands of this one.

Their objects are put into the plane as they were, by the same field manager, and their state into a
stack of the same name. What the cluster of the recording alone could know is replaced.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from looking import OWN_KINDS, Namespace, wait_until
from namespaces import make_namespace

from modelfleet import labels
from modelfleet.adapters.dynamic.state import SCHEMA_VERSION
from modelfleet.cluster.records import Record, record_of
from modelfleet.local.api import Api
from modelfleet.render import RENDERER_VERSION
from pulumi_stack import Run, Stack
from recorded_releases import RELEASES, Release, applied, fields_of, manager_of, without_secrets

StackFactory = Callable[..., Stack]
Object = dict[str, Any]

pytestmark = pytest.mark.xdist_group("recorded releases")

_PLURALS = {
    "Secret": "secrets",
    "NetworkPolicy": "networkpolicies",
    "Service": "services",
    "Deployment": "deployments",
}


@dataclass(frozen=True)
class Fleet:
    """A recorded fleet that runs again, and the stack that it belongs to."""

    release: Release
    here: Namespace
    stack: Stack

    @property
    def kept(self) -> dict[str, Object]:
        """What the state has of each resource, but for ciphers and times."""
        names = ("id", "inputs", "outputs", "initErrors")
        return {
            name: without_secrets({key: each.get(key) for key in names})
            for name, each in self.stack.resources().items()
        }

    def record(self, service: str) -> Record:
        """Return what is recorded in the cluster of a hosted service."""
        record = record_of(self.here.deployment(service))
        assert record is not None
        return record

    def pods(self, service: str) -> set[str]:
        return self.here.uids("pods", service=service)

    def replica_sets(self, service: str) -> set[str]:
        return self.here.uids("replicasets", service=service)

    def settle(self, service: str) -> None:
        """Wait until as many pods serve as are declared, and no others are left."""

        def is_settled() -> bool:
            deployment = self.here.deployment(service)
            replicas, status = deployment["spec"]["replicas"], deployment["status"]
            counts = [status.get(name, 0) for name in ("readyReplicas", "replicas")]
            is_seen = status.get("observedGeneration") == deployment["metadata"]["generation"]
            return is_seen and counts == [replicas] * 2 == [len(self.pods(service))] * 2

        wait_until(is_settled)


OLDER = [release for release in RELEASES if release.renderer_version < RENDERER_VERSION]


@pytest.fixture(params=OLDER, ids=lambda release: f"schema {release.schema_version}")
def fleet(
    request: pytest.FixtureRequest, plane_api: Api, stack_factory: StackFactory
) -> Iterator[Fleet]:
    release: Release = request.param
    here = Namespace(plane_api, make_namespace(plane_api, release.namespace))
    _empty(here)
    cluster_uid = plane_api.send("GET", "/api/v1/namespaces/kube-system")["metadata"]["uid"]
    for recorded in release.objects:
        _restore(here, recorded, cluster_uid=cluster_uid, instead_of=release.cluster_uid)
    stack = stack_factory(
        release.folder, stack=release.stack, project=release.project, cluster=True
    )
    state = stack.project / "state.json"
    state.write_text(_state_in(here, release, cluster_uid=cluster_uid))
    stack.pulumi("stack", "import", "--file", str(state))
    fleet = Fleet(release, here, stack)
    for service in ("chat", "embed"):
        fleet.settle(service)
    yield fleet
    _empty(here)


def _restore(here: Namespace, recorded: Object, *, cluster_uid: str, instead_of: str) -> None:
    """Apply what was applied then, and see that it stands as it stood."""
    manifest = json.loads(json.dumps(applied(recorded)).replace(instead_of, cluster_uid))
    live = here.send(
        "PATCH",
        _PLURALS[manifest["kind"]],
        manifest["metadata"]["name"],
        params={"fieldManager": manager_of(recorded)},
        headers={"Content-Type": "application/apply-patch+yaml"},
        json=manifest,
    )
    assert fields_of(live) == fields_of(recorded)


def _state_in(here: Namespace, release: Release, *, cluster_uid: str) -> str:
    """Return the recorded state with the times and the UID of this cluster."""
    state = release.state
    primaries = {
        obj["metadata"]["labels"][labels.NAME]: obj
        for kind in OWN_KINDS
        for obj in here.objects(kind)
        if labels.RECORD in obj["metadata"].get("annotations", {})
    }
    for resource in state["deployment"]["resources"]:
        outputs = resource.get("outputs", {})
        if primary := primaries.get(outputs.get("model_service_name")):
            made = primary["metadata"]["creationTimestamp"]
            outputs |= {"created_at": made, "last_updated_at": made, "cluster_uid": cluster_uid}
    return json.dumps(state)


def _empty(here: Namespace) -> None:
    for plural in OWN_KINDS:
        for obj in here.objects(plural):
            if labels.NAME in obj["metadata"].get("labels", {}):
                here.send("DELETE", plural, obj["metadata"]["name"])
    wait_until(lambda: not here.own() and not here.names("pods"))


def shown_of(preview: Run, service: str) -> str:
    """Return what a preview with ``--diff`` shows of one service, ids left out."""
    blocks = re.split(r"^    [~+-] (?=pulumi)", preview.output, flags=re.MULTILINE)
    (block,) = [each for each in blocks if f"::{service}]\n" in each]
    body = block.partition(f"::{service}]\n")[2]
    return re.split(r"^(?:\S|  \S)", body, flags=re.MULTILINE)[0]


def test_an_upgrade_changes_nothing_but_goes_on_with_what_was_not_ready(fleet: Fleet) -> None:
    before = fleet.here.versions()
    preview = fleet.stack.preview("--diff")
    assert "~ 1 to update" in preview.output
    assert "4 unchanged" in preview.output
    assert "renderer_version" not in preview.output
    assert "crash-loop" in shown_of(preview, "broken")

    state = fleet.stack.resources()
    ready = [state[name]["urn"] for name in ("chat", "embed", "far")]
    targets = [f"--target={urn}" for urn in ready]
    fleet.stack.up("--refresh", "--expect-no-changes", *targets)
    after = fleet.stack.resources()
    for name in ("chat", "embed", "far"):
        assert after[name]["inputs"].keys() == state[name]["inputs"].keys()
        assert after[name]["outputs"].keys() == state[name]["outputs"].keys()
    assert fleet.here.versions() == before


def test_scaling_restarts_no_pod_and_keeps_the_renderer(fleet: Fleet) -> None:
    pods, replica_sets = fleet.pods("chat"), fleet.replica_sets("chat")
    others = fleet.pods("embed")
    fleet.stack.set_config("replicas", "3")
    fleet.stack.set_config("repaired", "true")
    preview = fleet.stack.preview("--diff")
    shown = " ".join(shown_of(preview, "chat").split())
    assert shown == "~ deployment: { ~ replicas: 2 => 3 } ~ gpu_total : 2 => 3"
    assert "in place: deployment.replicas 2 → 3\n" in preview.output

    fleet.stack.up()
    fleet.settle("chat")
    assert pods < fleet.pods("chat")
    assert fleet.replica_sets("chat") == replica_sets
    assert fleet.pods("embed") == others
    assert fleet.record("chat").renderer_version == fleet.release.renderer_version
    # What did not serve got new pods anyway, and with them what was rendered better since.
    assert fleet.record("broken").renderer_version == RENDERER_VERSION

    assert "5 unchanged" in fleet.stack.up("--refresh", "--expect-no-changes").output


def test_a_change_that_replaces_pods_brings_the_newest_renderer_and_says_so(fleet: Fleet) -> None:
    pods, others = fleet.pods("chat"), fleet.pods("embed")
    fleet.stack.set_config("sequences", "128")
    fleet.stack.set_config("repaired", "true")
    preview = fleet.stack.preview("--diff")
    shown = shown_of(preview, "chat")
    assert "~ max-num-seqs: 64 => 128" in shown
    assert re.search(rf"\+ renderer_version *: {RENDERER_VERSION}\n", shown)
    assert (
        "rolling, pods are replaced while others serve: deployment.args.max-num-seqs 64 → 128; "
        f"with that renderer_version {fleet.release.renderer_version} → {RENDERER_VERSION}: "
    ) in preview.output

    fleet.stack.up()
    fleet.settle("chat")
    assert fleet.pods("chat").isdisjoint(pods)
    assert fleet.pods("embed") == others
    assert fleet.record("chat").renderer_version == RENDERER_VERSION
    assert fleet.record("embed").renderer_version == fleet.release.renderer_version
    assert fleet.stack.resources()["chat"]["outputs"]["renderer_version"] == RENDERER_VERSION
    assert "5 unchanged" in fleet.stack.up("--refresh", "--expect-no-changes").output


def test_another_secret_replaces_pods_and_so_brings_the_newest_renderer_too(fleet: Fleet) -> None:
    fleet.stack.set_config("token", "another-token", secret=True)
    fleet.stack.set_config("repaired", "true")
    assert "renderer_version" in shown_of(fleet.stack.preview("--diff"), "chat")
    fleet.stack.up()
    assert fleet.record("chat").renderer_version == RENDERER_VERSION
    assert "5 unchanged" in fleet.stack.up("--expect-no-changes").output


def test_a_state_of_a_later_release_is_refused_by_every_command_and_kept(fleet: Fleet) -> None:
    state = fleet.stack.export()
    for resource in state["deployment"]["resources"]:
        if "schema_version" in resource.get("outputs", {}):
            resource["outputs"]["schema_version"] = 99
    later = fleet.stack.project / "later.json"
    later.write_text(json.dumps(state))
    fleet.stack.pulumi("stack", "import", "--file", str(later))
    before, objects = fleet.kept, fleet.here.versions()

    for command in (
        fleet.stack.preview,
        fleet.stack.up,
        fleet.stack.refresh,
        fleet.stack.destroy,
    ):
        refused = command(expect_failure=True)
        assert "Traceback" not in refused.output
        assert re.search(
            r"The state of recorded/\w+ has schema version 99; this release of modelfleet knows up "
            rf"to {SCHEMA_VERSION}\. Upgrade modelfleet to at least the release that wrote it\.",
            " ".join(refused.output.split()),
        )
    assert fleet.kept == before
    assert fleet.here.versions() == objects
