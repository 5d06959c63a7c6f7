"""Users with the least rights: what the shipped ClusterRole grants, by impersonation."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from modelfleet.local import Plane
from modelfleet.local.api import Api

DOCS = Path(__file__).parents[2] / "docs"


def shipped_role(file: str = "rbac.yaml") -> dict[str, Any]:
    """Return a ClusterRole that ships with the project."""
    role: dict[str, Any] = yaml.safe_load((DOCS / file).read_text())
    return role


def least_kubeconfig(
    plane: Plane,
    api: Api,
    folder: Path,
    *,
    user: str,
    role: str | Mapping[str, Any] = "rbac.yaml",
    beside: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Return the kubeconfig of ``user``, whom ``api`` grants ``role`` and those ``beside``.

    ``role`` is a ClusterRole, or the file of one that ships with the project.
    Not the plane's limited user: others test what that one may not do.
    """
    whole: Mapping[str, Any] = shipped_role(role) if isinstance(role, str) else role
    roles: list[Mapping[str, Any]] = [whole, *beside]
    for granted in roles:
        name = granted["metadata"]["name"]
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"{user}-{name}"},
            "subjects": [{"kind": "User", "name": user}],
            "roleRef": {"kind": "ClusterRole", "name": name},
        }
        for plural, obj in (("clusterroles", granted), ("clusterrolebindings", binding)):
            api.send(
                "PATCH",
                f"/apis/rbac.authorization.k8s.io/v1/{plural}/{obj['metadata']['name']}",
                params={"fieldManager": "tests", "force": "true"},
                headers={"Content-Type": "application/apply-patch+yaml"},
                json=obj,
            )
        _wait_until_granted(api, user, granted)
    kubeconfig = yaml.safe_load(plane.kubeconfig.read_text())
    kubeconfig["users"][0]["user"]["as"] = user
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(kubeconfig))
    return path


def _wait_until_granted(api: Api, user: str, role: Mapping[str, Any]) -> None:
    """Wait until the authorizer has heard of a binding, which it does by a watch."""
    rule = role["rules"][0]
    asked = {
        "verb": rule["verbs"][0],
        "group": rule["apiGroups"][0],
        "resource": rule["resources"][0],
    }
    review = {"spec": {"user": user, "resourceAttributes": asked}}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    deadline = time.monotonic() + 240
    while not api.send("POST", path, json=review)["status"]["allowed"]:
        assert time.monotonic() < deadline, "the ClusterRoleBinding has no effect"
        time.sleep(0.05)
