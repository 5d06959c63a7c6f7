"""What is in a namespace, asked as the cluster's administrator."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modelfleet import labels
from modelfleet.local.api import Api

Object = dict[str, Any]

_PATHS = {
    "deployments": "/apis/apps/v1",
    "replicasets": "/apis/apps/v1",
    "networkpolicies": "/apis/networking.k8s.io/v1",
}
OWN_KINDS = ("deployments", "services", "secrets", "networkpolicies")
"""Everything that a service is made of."""


@dataclass(frozen=True)
class Namespace:
    """One namespace of the plane, and a few things to do to it by hand."""

    api: Api
    name: str

    def objects(self, plural: str, *, service: str = "") -> list[Object]:
        """Return the objects of a kind; of one service where it is named."""
        selector = f"{labels.NAME}={service}" if service else ""
        listed = self.api.send("GET", self._path(plural), params={"labelSelector": selector})
        items: list[Object] = listed["items"]
        return items

    def names(self, plural: str) -> list[str]:
        """Return the sorted names of the objects of a kind."""
        return sorted(obj["metadata"]["name"] for obj in self.objects(plural))

    def own(self) -> list[Object]:
        """Return every object that services here are made of, without their pods."""
        return [
            obj
            for plural in OWN_KINDS
            for obj in self.objects(plural)
            if labels.NAME in obj["metadata"].get("labels", {})
        ]

    def uids(self, plural: str, *, service: str = "") -> set[str]:
        """Return the UIDs of the objects of a kind that are not being deleted."""
        return {
            obj["metadata"]["uid"]
            for obj in self.objects(plural, service=service)
            if "deletionTimestamp" not in obj["metadata"]
        }

    def versions(self) -> dict[str, str]:
        """Return the resource version of every object of ours but its status, by UID.

        It is the generation for what has one: controllers write the status all the time.
        """
        return {
            obj["metadata"]["uid"]: str(
                obj["metadata"].get("generation", obj["metadata"]["resourceVersion"])
            )
            for obj in self.own()
        }

    def deployment(self, name: str) -> Object:
        """Return one Deployment."""
        return self.api.send("GET", f"{self._path('deployments')}/{name}")

    def send(self, method: str, plural: str, name: str, **options: Any) -> Object:
        """Send one request about an object here."""
        return self.api.send(method, f"{self._path(plural)}/{name}", **options)

    def edit(self, plural: str, name: str, patch: Object) -> None:
        """Change an object as a person does with ``kubectl edit``."""
        self.send(
            "PATCH",
            plural,
            name,
            params={"fieldManager": "kubectl-edit"},
            headers={"Content-Type": "application/merge-patch+json"},
            json=patch,
        )

    def _path(self, plural: str) -> str:
        return f"{_PATHS.get(plural, '/api/v1')}/namespaces/{self.name}/{plural}"


def owners(objects: list[Object]) -> set[str]:
    """Return the readable owners of ``objects``."""
    return {obj["metadata"]["annotations"][labels.OWNER] for obj in objects}


def incarnations(objects: list[Object]) -> set[str]:
    """Return which creations ``objects`` belong to."""
    return {obj["metadata"]["annotations"][labels.INCARNATION] for obj in objects}


def wait_until(condition: Callable[[], bool], *, timeout_seconds: float = 300) -> None:
    """Return once ``condition`` holds; fail the test when it never does."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
