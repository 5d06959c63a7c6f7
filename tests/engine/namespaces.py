"""Namespaces of fixed names, for tests whose text a person reads; all others get a random one."""

from __future__ import annotations

from modelfleet.local.api import Api


def make_namespace(api: Api, name: str) -> str:
    """Make the namespace, unless another test has, and return its name."""
    api.send(
        "PATCH",
        f"/api/v1/namespaces/{name}",
        params={"fieldManager": "tests"},
        headers={"Content-Type": "application/apply-patch+yaml"},
        json={"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
    )
    return name
