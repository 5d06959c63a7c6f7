"""Applying objects on a real API server, with others who write them too.

Dimensions: is the object there x whose it is x who else writes which of its fields x when.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import yaml
from writing import (
    MANAGER,
    OURS,
    OWNER,
    Between,
    Kubectl,
    config_map,
    deployment,
    in_thread,
    interrupted,
    owned,
)

from modelfleet import labels
from modelfleet.cluster.apply import Change, apply_objects
from modelfleet.cluster.client import Client
from modelfleet.cluster.managed_fields import managers_of
from modelfleet.cluster.objects import CONFIG_MAP, Object, Ref, ref_of
from modelfleet.cluster.ownership import Ownership
from modelfleet.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    ImmutableFieldError,
    NotFoundError,
)

REPLICAS = ("spec", "replicas")
GOLDEN = sorted((Path(__file__).parent.parent / "golden" / "render").glob("*.output.yaml"))


@pytest_asyncio.fixture
async def client(kubeconfig: Path) -> AsyncIterator[Client]:
    client = Client.connect(kubeconfig=str(kubeconfig))
    yield client
    await client.aclose()


@pytest.fixture
def kubectl(plane_environment: Mapping[str, str], namespace: str) -> Kubectl:
    return Kubectl(plane_environment, namespace)


async def applied(client: Client, *objects: Object, **options: Any) -> list[Change]:
    return await apply_objects(client, objects, **{"ownership": OURS, **options})


def rendered(case: Path, namespace: str) -> list[Object]:
    objects = [each for each in yaml.safe_load_all(case.read_text()) if "kind" in each]
    for each in objects:
        each["metadata"]["namespace"] = namespace
    return objects


def actions(changes: list[Change]) -> list[str]:
    return [change.action for change in changes]


def writes(client: Client) -> int:
    return sum(n for what, n in client.requests.items() if not what.startswith("get "))


async def live_of(client: Client, obj: Object) -> Object:
    live = await client.get(ref_of(obj))
    assert live is not None
    return live


def written_by(live: Object) -> set[str]:
    return {entry["manager"] for entry in live["metadata"]["managedFields"]}


# What is there already, and ours


async def test_objects_are_made_in_order_and_a_second_apply_writes_nothing(
    client: Client, namespace: str
) -> None:
    objects = [owned(config_map(namespace, "qwen", a="1")), owned(deployment(namespace))]

    first = await applied(client, *objects)
    before = writes(client)
    second = await applied(client, *objects)

    assert actions(first) == ["created", "created"]
    made = [int(change.live["metadata"]["resourceVersion"]) for change in first]
    assert made == sorted(made)
    assert actions(second) == ["unchanged", "unchanged"]
    assert writes(client) == before


@pytest.mark.parametrize("case", GOLDEN, ids=lambda path: path.name.split(".")[0])
async def test_whatever_is_rendered_is_not_written_twice(
    case: Path, client: Client, namespace: str
) -> None:
    objects = rendered(case, namespace)
    await applied(client, *objects)
    before = writes(client)

    assert set(actions(await applied(client, *objects))) == {"unchanged"}
    assert writes(client) == before


async def test_only_what_changed_is_written(client: Client, namespace: str) -> None:
    objects = [owned(config_map(namespace, "qwen", a="1")), owned(deployment(namespace))]
    await applied(client, *objects)

    changes = await applied(client, objects[0], owned(deployment(namespace, replicas=2)))

    assert actions(changes) == ["unchanged", "configured"]
    assert changes[1].live["spec"]["replicas"] == 2


async def test_what_is_no_longer_declared_is_removed(client: Client, namespace: str) -> None:
    await applied(client, owned(config_map(namespace, "qwen", a="1", b="2")))

    [change] = await applied(client, owned(config_map(namespace, "qwen", a="1")))

    assert change.action == "configured"
    assert change.live["data"] == {"a": "1"}


async def test_an_object_with_its_label_stripped_is_still_ours(
    client: Client, namespace: str, kubectl: Kubectl
) -> None:
    desired = owned(config_map(namespace, "qwen"))
    await applied(client, desired)
    kubectl("label", "configmap", "qwen", f"{labels.OWNER_HASH}-", f"{labels.MANAGED_BY}-")

    [change] = await applied(client, desired)

    assert change.live["metadata"]["labels"] == desired["metadata"]["labels"]


async def test_two_applies_at_once_both_succeed(client: Client, namespace: str) -> None:
    objects = [owned(config_map(namespace, "qwen", a="1")), owned(deployment(namespace))]

    await asyncio.gather(*(applied(client, *objects) for _ in range(5)))

    assert actions(await applied(client, *objects)) == ["unchanged", "unchanged"]


# Somebody else's


async def test_a_foreign_object_is_refused_and_its_maker_named_before_anything_is_written(
    client: Client, namespace: str, kubectl: Kubectl
) -> None:
    kubectl("create", "-f", "-", given=deployment(namespace, container="theirs"))

    with pytest.raises(AlreadyExistsError) as caught:
        await applied(client, owned(config_map(namespace, "qwen")), owned(deployment(namespace)))

    message = str(caught.value)
    assert message.startswith(
        f"Deployment {namespace}/qwen: exists and was not made by modelfleet "
        "(last written by kubectl-create)"
    )
    assert "adopt=True" in message
    assert await client.get(Ref(CONFIG_MAP, namespace, "qwen")) is None


async def test_an_object_of_another_stack_is_refused_and_the_stack_named(
    client: Client, namespace: str
) -> None:
    theirs = owned(config_map(namespace, "qwen", a="1"), owner="acme/other/prod")
    await applied(client, theirs, ownership=Ownership("acme/other/prod"))

    with pytest.raises(AlreadyExistsError, match="belongs to stack acme/other/prod"):
        await applied(client, owned(config_map(namespace, "qwen", a="2")))

    assert (await live_of(client, theirs))["data"] == {"a": "1"}


@pytest.mark.parametrize("adopt", [False, True])
async def test_two_resources_of_one_stack_never_share_an_object(
    adopt: bool, client: Client, namespace: str
) -> None:
    await applied(client, owned(config_map(namespace, "shared"), name="first"))

    with pytest.raises(AlreadyExistsError, match="part of ModelService first, of the same stack"):
        await applied(client, owned(config_map(namespace, "shared"), name="second"), adopt=adopt)


async def test_a_missing_namespace_is_an_error_that_says_to_create_it(client: Client) -> None:
    with pytest.raises(NotFoundError, match="Create the Namespace first"):
        await applied(client, owned(config_map("not-there", "qwen")))


async def test_a_missing_right_is_named(limited_kubeconfig: Path, namespace: str) -> None:
    client = Client.connect(kubeconfig=str(limited_kubeconfig))
    try:
        with pytest.raises(ForbiddenError, match='Grant the verb "get" on "configmaps"'):
            await applied(client, owned(config_map(namespace, "qwen")))
    finally:
        await client.aclose()


# Others who write fields of ours


async def test_an_edit_by_hand_is_put_back(
    client: Client, namespace: str, kubectl: Kubectl
) -> None:
    desired = owned(deployment(namespace))
    await applied(client, desired)
    kubectl("scale", "deployment", "qwen", "--replicas=3")
    kubectl("set", "image", "deployment/qwen", "engine=nginx")
    kubectl("set", "env", "deployment/qwen", "A-")

    [change] = await applied(client, desired)

    assert change.action == "configured"
    assert change.live["spec"]["replicas"] == 0
    [container] = change.live["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "vllm:1"
    assert container["env"] == [{"name": "A", "value": "1"}]
    assert [by.name for by in managers_of(change.live, REPLICAS)] == [MANAGER]


async def test_what_others_add_is_left_alone(
    client: Client, namespace: str, kubectl: Kubectl
) -> None:
    desired = owned(deployment(namespace))
    await applied(client, desired)
    kubectl("annotate", "deployment", "qwen", "team=search")
    kubectl("set", "env", "deployment/qwen", "B=2")

    [change] = await applied(client, desired)

    assert change.action == "unchanged"
    assert change.live["metadata"]["annotations"]["team"] == "search"


def scaled_by_an_autoscaler(client: Client, kubectl: Kubectl, replicas: int) -> None:
    """Write replicas as the HorizontalPodAutoscaler's controller does."""
    kubectl(
        "patch", "deployment", "qwen", "--subresource=scale", "--type=merge",
        "--field-manager=kube-controller-manager", "-p", f'{{"spec":{{"replicas":{replicas}}}}}',
    )  # fmt: skip


async def test_replicas_that_an_autoscaler_sets_are_refused_by_its_name(
    client: Client, namespace: str, kubectl: Kubectl
) -> None:
    desired = owned(deployment(namespace))
    await applied(client, owned(config_map(namespace, "qwen", a="1")), desired)
    scaled_by_an_autoscaler(client, kubectl, 3)

    with pytest.raises(ConflictError) as caught:
        await applied(client, owned(config_map(namespace, "qwen", a="2")), desired)

    assert "spec.replicas (by kube-controller-manager (through scale))" in str(caught.value)
    assert "remove the autoscaler" in str(caught.value)
    untouched = await live_of(client, config_map(namespace, "qwen"))
    assert untouched["data"] == {"a": "1"}, "checks of all objects come before the first write"


async def test_adopt_takes_replicas_back_from_an_autoscaler(
    client: Client, namespace: str, kubectl: Kubectl
) -> None:
    desired = owned(deployment(namespace))
    await applied(client, desired)
    scaled_by_an_autoscaler(client, kubectl, 3)

    [change] = await applied(client, desired, adopt=True)

    assert change.live["spec"]["replicas"] == 0
    assert actions(await applied(client, desired)) == ["unchanged"]


async def test_a_field_of_another_applier_is_refused_by_its_name(
    client: Client, namespace: str, kubectl: Kubectl
) -> None:
    desired = owned(config_map(namespace, "qwen", a="1"))
    await applied(client, desired)
    kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=argocd", "-f", "-",
            given=config_map(namespace, "qwen", a="2"))  # fmt: skip

    with pytest.raises(ConflictError, match=r"data.a \(by argocd\)"):
        await applied(client, desired)

    assert (await live_of(client, desired))["data"] == {"a": "2"}


async def test_a_value_that_another_applier_shares_is_refused_when_it_would_change(
    client: Client, namespace: str, kubectl: Kubectl
) -> None:
    await applied(client, owned(config_map(namespace, "qwen", a="1")))
    kubectl.apply(config_map(namespace, "qwen", a="1"), manager="argocd")

    assert actions(await applied(client, owned(config_map(namespace, "qwen", a="1")))) == [
        "unchanged"
    ]
    with pytest.raises(ConflictError, match=r"data.a \(by argocd\)"):
        await applied(client, owned(config_map(namespace, "qwen", a="2")))


# Changing hands


async def test_a_renamed_stack_keeps_its_objects_and_their_fields(
    client: Client, namespace: str
) -> None:
    renamed = Ownership("acme/fleet/live", also=frozenset({OWNER}))
    await applied(client, owned(config_map(namespace, "qwen", a="1", b="2")))
    desired = owned(config_map(namespace, "qwen", a="1"), owner=renamed.owner)

    [change] = await applied(client, desired, ownership=renamed)

    assert change.action == "configured"
    assert change.live["data"] == {"a": "1"}, "what only the old name declared is gone"
    assert written_by(change.live) == {renamed.field_manager}
    before = writes(client)
    assert actions(await applied(client, desired, ownership=renamed)) == ["unchanged"]
    assert writes(client) == before


async def test_adopting_makes_an_object_what_is_declared_and_nothing_more(
    client: Client, namespace: str, kubectl: Kubectl
) -> None:
    theirs = deployment(namespace, minReadySeconds=7)
    theirs["metadata"]["labels"] = {"team": "search"}
    beside = {"name": "beside", "image": "proxy:1"}
    theirs["spec"]["template"]["spec"]["containers"].append(beside)
    kubectl("create", "-f", "-", given=theirs)
    desired = owned(deployment(namespace))

    [change] = await applied(client, desired, adopt=True)

    assert change.action == "configured"
    containers = change.live["spec"]["template"]["spec"]["containers"]
    assert [container["name"] for container in containers] == ["engine"]
    assert "minReadySeconds" not in change.live["spec"]
    assert change.live["metadata"]["labels"]["team"] == "search", "what is beside it stays"
    assert actions(await applied(client, desired)) == ["unchanged"]


async def test_adopting_the_object_of_another_stack_leaves_one_owner(
    client: Client, namespace: str
) -> None:
    other = Ownership("acme/other/prod")
    theirs = owned(config_map(namespace, "qwen", a="1", b="2"), owner=other.owner)
    await applied(client, theirs, ownership=other)
    desired = owned(config_map(namespace, "qwen", a="2"))

    [change] = await applied(client, desired, adopt=True)

    assert change.live["data"] == {"a": "2"}
    with pytest.raises(AlreadyExistsError, match=f"belongs to stack {OWNER}"):
        await applied(client, theirs, ownership=other)


async def test_a_deployment_with_another_selector_cannot_be_adopted_and_says_why(
    client: Client, namespace: str, kubectl: Kubectl
) -> None:
    theirs = deployment(namespace)
    theirs["spec"]["selector"]["matchLabels"] = {"app": "qwen"}
    theirs["spec"]["template"]["metadata"] = {"labels": {"app": "qwen"}}
    kubectl("create", "-f", "-", given=theirs)

    with pytest.raises(ImmutableFieldError) as caught:
        await applied(client, owned(config_map(namespace, "qwen")), owned(deployment(namespace)),
                      adopt=True)  # fmt: skip

    message = str(caught.value)
    assert "selects pods by app=qwen" in message
    assert "modelfleet.dev/kind=ModelService, modelfleet.dev/name=qwen" in message
    assert "Choose another name" in message
    assert await client.get(Ref(CONFIG_MAP, namespace, "qwen")) is None


# Between our read and our write


async def test_an_edit_between_read_and_write_is_seen_before_writing(
    client: Client, namespace: str, kubectl: Kubectl, kubeconfig: Path
) -> None:
    await applied(client, owned(deployment(namespace)))

    async def edit() -> None:
        await in_thread(lambda: kubectl("scale", "deployment", "qwen", "--replicas=3"))

    racing = interrupted(str(kubeconfig), Between(str(kubeconfig), happens=edit))
    try:
        [change] = await applied(racing, owned(deployment(namespace, replicas=1)))
    finally:
        await racing.aclose()

    assert change.live["spec"]["replicas"] == 1
    assert racing.requests["apply deployments"] > 1, "refused, then read again"


async def test_an_autoscaler_that_comes_between_read_and_write_is_not_overwritten(
    client: Client, namespace: str, kubectl: Kubectl, kubeconfig: Path
) -> None:
    await applied(client, owned(deployment(namespace)))

    async def scale() -> None:
        await in_thread(lambda: scaled_by_an_autoscaler(client, kubectl, 3))

    racing = interrupted(str(kubeconfig), Between(str(kubeconfig), happens=scale))
    try:
        with pytest.raises(ConflictError, match="through scale"):
            await applied(racing, owned(deployment(namespace, replicas=1)))
    finally:
        await racing.aclose()

    assert (await live_of(client, deployment(namespace)))["spec"]["replicas"] == 3


async def test_an_object_that_somebody_makes_in_the_same_moment_is_left_as_it_was(
    client: Client, namespace: str, kubectl: Kubectl, kubeconfig: Path
) -> None:
    theirs = config_map(namespace, "qwen", b="2")
    kubectl("create", "-f", "-", given=theirs)
    missing = httpx.Response(404, json={"kind": "Status", "reason": "NotFound"})

    racing = interrupted(str(kubeconfig), Between(str(kubeconfig), answer=missing))
    try:
        with pytest.raises(AlreadyExistsError, match="last written by kubectl-create"):
            await applied(racing, owned(config_map(namespace, "qwen", a="1")))
    finally:
        await racing.aclose()

    live = await live_of(client, theirs)
    assert live["data"] == {"b": "2"}
    assert written_by(live) == {"kubectl-create"}
    assert "labels" not in live["metadata"]


# On its way out


async def test_an_object_that_is_being_deleted_is_waited_for_and_made_anew(
    client: Client, namespace: str, kubectl: Kubectl
) -> None:
    desired = owned(config_map(namespace, "qwen", a="1"))
    [first] = await applied(client, desired)
    kubectl("patch", "configmap", "qwen", "-p", '{"metadata":{"finalizers":["test.dev/hold"]}}')
    await client.delete(first.ref)

    apply = asyncio.create_task(applied(client, desired))
    await asyncio.sleep(0.5)
    assert not apply.done()
    kubectl("patch", "configmap", "qwen", "-p", '{"metadata":{"finalizers":null}}')
    [second] = await apply

    assert second.action == "created"
    assert second.live["metadata"]["uid"] != first.live["metadata"]["uid"]


async def test_an_object_that_will_not_go_is_an_error_with_what_holds_it(
    client: Client, namespace: str, kubectl: Kubectl
) -> None:
    desired = owned(config_map(namespace, "qwen"))
    await applied(client, desired)
    kubectl("patch", "configmap", "qwen", "-p", '{"metadata":{"finalizers":["test.dev/hold"]}}')
    await client.delete(ref_of(desired))

    with pytest.raises(ConflictError, match=r"finalizers: test\.dev/hold"):
        await applied(client, desired, deletion_timeout_seconds=0.3)

    kubectl("patch", "configmap", "qwen", "-p", '{"metadata":{"finalizers":null}}')
