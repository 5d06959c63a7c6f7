"""What the API server refuses, for real: each refusal names what was refused, by whom, and a way.

Dimensions: who refuses (quota, webhook, policy, namespace, rights) x which object x at which step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fleets import behaving, desired, external, hosted, names_in, out_of_time
from rights import shipped_role

from faults.admission import policy, quota, webhook
from faults.faulty_fleet import NEVER
from modelfleet.cluster.access import Access
from modelfleet.cluster.client import Client
from modelfleet.cluster.kubeconfig import load_access
from modelfleet.errors import (
    ForbiddenError,
    ModelFleetError,
    NotReadyError,
    UnavailableError,
)
from modelfleet.fleet import Fleet
from modelfleet.local.api import Api

STOPPED = {"replicas": 0}
HUSH = "hush-do-not-tell"


async def test_a_quota_for_objects_is_named_with_what_it_refused(
    fleet: Fleet, plane_api: Api, namespace: str
) -> None:
    with (
        quota(plane_api, namespace, resource="secrets", hard={"count/secrets": "0"}),
        pytest.raises(ForbiddenError, match=f"^Secret {namespace}/qwen-external: ") as caught,
    ):
        await fleet.apply(desired(external(namespace)))
    assert "exceeded quota: small" in str(caught.value)
    assert "ResourceQuota" in caught.value.hint
    assert await names_in(fleet.client, namespace) == []


async def test_a_quota_for_pods_is_what_a_service_is_told_to_wait_for(
    fleet: Fleet, plane_api: Api, namespace: str
) -> None:
    service = desired(hosted(namespace))
    with quota(plane_api, namespace, resource="pods", hard={"pods": "0"}):
        error = await out_of_time(fleet, service, heard="small")
    assert str(error).startswith(f"{service.subject}: is not ready after ")
    assert "small" in str(error)
    assert (await fleet.apply(desired(hosted(namespace)))).status == "READY"


async def test_a_webhook_that_denies_is_named(fleet: Fleet, plane_api: Api, namespace: str) -> None:
    refusing = webhook(plane_api, namespace, resource="secrets", denial="no keys on Fridays")
    async with refusing as name:
        with pytest.raises(ForbiddenError, match=f"^Secret {namespace}/qwen-external: ") as caught:
            await fleet.apply(desired(external(namespace, api_key=HUSH)))
    assert name in caught.value.hint
    assert "no keys" not in str(caught.value), "what is said of a Secret may quote it"
    assert HUSH not in str(caught.value)


async def test_what_a_webhook_says_of_anything_but_a_secret_is_passed_on(
    fleet: Fleet, plane_api: Api, namespace: str
) -> None:
    refusing = webhook(plane_api, namespace, resource="deployments", denial="not on Fridays")
    async with refusing as name:
        with pytest.raises(NotReadyError, match="not on Fridays") as caught:
            await fleet.apply(desired(hosted(namespace, STOPPED)))
    assert name in str(caught.value)


@pytest.mark.parametrize("resource", ["secrets", "deployments"])
async def test_a_webhook_that_does_not_answer_is_named_and_the_next_run_goes_on(
    resource: str, fleet_kubeconfig: Path, plane_api: Api, namespace: str
) -> None:
    access = load_access(kubeconfig=str(fleet_kubeconfig))
    fleet = Fleet(Client(access, retry=NEVER))
    service = desired(hosted(namespace, {**STOPPED, "secret_env": {"TOKEN": HUSH}}))
    try:
        async with webhook(plane_api, namespace, resource=resource, denial=None) as name:
            with pytest.raises(ModelFleetError) as caught:
                await fleet.apply(service)
            assert f"The admission webhook {name} " in str(caught.value)
            assert HUSH not in str(caught.value)
            assert isinstance(caught.value, NotReadyError | UnavailableError)
        assert (await fleet.apply(service)).status == "STOPPED"
    finally:
        await fleet.aclose()


async def test_a_policy_that_denies_is_named(fleet: Fleet, plane_api: Api, namespace: str) -> None:
    with (
        policy(plane_api, namespace, resource="secrets", denial="no keys here") as name,
        pytest.raises(ForbiddenError, match=f"^Secret {namespace}/qwen-external: ") as caught,
    ):
        await fleet.apply(desired(external(namespace, api_key=HUSH)))
    assert name in caught.value.hint
    assert HUSH not in str(caught.value)


@pytest.fixture
def ending_namespace(plane_api: Api, namespace: str) -> Iterator[str]:
    """A namespace that is being deleted, and held."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    held = {"metadata": {"name": "held", "finalizers": ["example.com/held"]}}
    plane_api.send("POST", path, json=held)
    plane_api.send("DELETE", f"/api/v1/namespaces/{namespace}")
    yield namespace
    plane_api.send(
        "PATCH",
        f"{path}/held",
        headers={"Content-Type": "application/merge-patch+json"},
        json={"metadata": {"finalizers": None}},
    )


async def test_a_namespace_that_is_being_deleted_takes_nothing_new(
    fleet: Fleet, ending_namespace: str
) -> None:
    with pytest.raises(ForbiddenError, match="it is being terminated") as caught:
        await fleet.apply(desired(external(ending_namespace)))
    assert str(caught.value).startswith(f"Secret {ending_namespace}/qwen-external: ")
    assert "wait until it is gone" in caught.value.hint


async def test_a_service_can_be_deleted_while_its_namespace_is(
    fleet: Fleet, ending_namespace: str
) -> None:
    await fleet.delete(desired(external(ending_namespace)))


# One right is missing


@pytest.fixture
def without(plane_api: Api, admin_kubeconfig: Path, namespace: str) -> Callable[..., Access]:
    """``without(verb, resource)`` gives the access of a user who lacks that one right.

    All else that the shipped ClusterRole grants, this user may do.
    """
    user = f"lacking-{namespace}"
    rbac = "/apis/rbac.authorization.k8s.io/v1"

    @contextmanager
    def lacking(verb: str, resource: str) -> Iterator[Access]:
        role = shipped_role()
        rules = [
            {**rule, "resources": [each], "verbs": [v for v in rule["verbs"] if v != verb]}
            if each == resource
            else {**rule, "resources": [each]}
            for rule in role["rules"]
            for each in rule["resources"]
            if each != resource or rule["verbs"] != [verb]
        ]
        binding = {
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": user,
            },
            "subjects": [{"kind": "User", "name": user}],
        }
        made = {"clusterroles": {"rules": rules}, "clusterrolebindings": binding}
        for plural, content in made.items():
            plane_api.send("POST", f"{rbac}/{plural}", json={"metadata": {"name": user}, **content})
        _wait_until_granted(plane_api, user)
        admin = load_access(kubeconfig=str(admin_kubeconfig))
        try:
            yield replace(admin, impersonation=(("Impersonate-User", user),))
        finally:
            for plural in made:
                plane_api.send("DELETE", f"{rbac}/{plural}/{user}")

    return lacking


def _wait_until_granted(api: Api, user: str) -> None:
    asked = {"verb": "get", "resource": "pods", "subresource": "log"}
    review = {"spec": {"user": user, "resourceAttributes": asked}}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    deadline = time.monotonic() + 240
    while not api.send("POST", path, json=review)["status"]["allowed"]:
        assert time.monotonic() < deadline, "the ClusterRoleBinding has no effect"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("verb", "resource", "subject"),
    [
        ("get", "namespaces", "Namespace kube-system"),
        ("get", "secrets", "Secret {}/qwen-env"),
        ("patch", "secrets", "Secret {}/qwen-env"),
        ("create", "secrets", "Secret {}/qwen-env"),
        ("create", "networkpolicies", "NetworkPolicy {}/qwen"),
        ("patch", "services", "Service {}/qwen"),
        ("patch", "deployments", "Deployment {}/qwen"),
        ("list", "pods", "Pod objects"),
        ("watch", "deployments", "Deployment objects"),
    ],
)
async def test_a_right_that_is_missing_for_an_apply_is_named_with_what_it_was_needed_for(
    verb: str, resource: str, subject: str, without: Callable[..., Access], namespace: str
) -> None:
    service = desired(hosted(namespace, {"secret_env": {"TOKEN": HUSH}, **behaving("never-ready")}))
    with without(verb, resource) as access:
        fleet = Fleet(Client(access))
        try:
            with pytest.raises((ForbiddenError, NotReadyError)) as caught:
                await fleet.apply(service)
        finally:
            await fleet.aclose()
    told = str(caught.value)
    assert f"{subject.format(namespace)}: " in told
    assert f'Grant the verb "{verb}" on "{resource}"' in told
    assert HUSH not in told


@pytest.mark.parametrize(
    ("verb", "resource", "subject"),
    [("delete", "services", "Service {}/qwen"), ("list", "deployments", "Deployment objects")],
)
async def test_a_right_that_is_missing_for_a_delete_is_named_and_nothing_else_goes_wrong(
    verb: str,
    resource: str,
    subject: str,
    without: Callable[..., Access],
    fleet: Fleet,
    namespace: str,
) -> None:
    service = desired(hosted(namespace, STOPPED))
    await fleet.apply(service)
    with without(verb, resource) as access:
        limited = Fleet(Client(access))
        try:
            with pytest.raises(ForbiddenError, match=f"^{subject.format(namespace)}: ") as caught:
                await limited.delete(service)
        finally:
            await limited.aclose()
    assert f'Grant the verb "{verb}" on "{resource}"' in str(caught.value)
    await fleet.delete(service)
    assert await names_in(fleet.client, namespace) == []
