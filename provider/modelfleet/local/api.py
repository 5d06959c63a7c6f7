"""The few requests a plane sends to its own API server: is it there, its nodes, its GPUs in use.

Talks to loopback only, with the plane's admin token and its CA; proxies in the environment are
not for it.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from modelfleet.local.credentials import ADMIN, certificate_authority, tokens
from modelfleet.local.errors import LocalError

Object = dict[str, Any]

_FIELD_MANAGER = "modelfleet-local"
_PAGE = 500
_NODE_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


class Api:
    """A client of one plane's API server; a context manager.

    Raises LocalError when the plane's credentials are not there or not whole.
    """

    def __init__(self, folder: Path, *, server: str, timeout_seconds: float = 30) -> None:
        try:
            ca = certificate_authority((folder / "certificates" / "apiserver.crt").read_text())
            token = tokens(folder)[ADMIN]
        except (OSError, KeyError) as error:
            raise LocalError(f"local cluster: its credentials cannot be read: {error}") from None
        self._http = httpx.Client(
            base_url=server,
            headers={"Authorization": f"Bearer {token}"},
            verify=ssl.create_default_context(cadata=ca),
            timeout=timeout_seconds,
            trust_env=False,
            limits=httpx.Limits(max_connections=32),
        )

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def refusal(self) -> str:
        """Why the server is not ready for our token yet; ``""`` when it is."""
        try:
            for path in ("/readyz", "/api/v1/namespaces/default"):
                reply = self._http.get(path)
                if reply.status_code != httpx.codes.OK:
                    return f"{path} answered {reply.status_code}"
        except httpx.HTTPError as error:
            return str(error) or type(error).__name__
        return ""

    def list_nodes(self, *, pool: str = "") -> list[Object]:
        """All nodes, or those of one pool."""
        selector = f"modelfleet.local/pool={pool}" if pool else ""
        return self._list("/api/v1/nodes", labelSelector=selector)

    def held_nodes(self) -> frozenset[str]:
        """Names of the nodes that somebody keeps alive: those with a lease."""
        return frozenset(lease["metadata"]["name"] for lease in self._list(_NODE_LEASES))

    def remove_node_leases(self) -> None:
        """Forget who kept which node alive."""
        self._delete(_NODE_LEASES)

    def list_pods(self, *, node: str = "") -> list[Object]:
        """Pods of all namespaces, or those on one node."""
        return self._list("/api/v1/pods", fieldSelector=f"spec.nodeName={node}" if node else "")

    def apply_node(self, node: Object) -> None:
        """Create a node or bring it to what is given, status included."""
        path = f"/api/v1/nodes/{node['metadata']['name']}"
        live = self._apply(path, node)
        if live["status"].get("capacity") == node["status"]["capacity"]:
            return  # just created: only then does this path take the status as well
        status = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": node["metadata"]["name"]},
            "status": node["status"],
        }
        self._apply(f"{path}/status", status)

    def bind_role(self, name: str, *, role: str, user: str) -> None:
        """Give a user what a ClusterRole grants, in the whole cluster."""
        group = "rbac.authorization.k8s.io"
        binding = {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
        }
        self._apply(f"/apis/{group}/v1/clusterrolebindings/{name}", binding)

    def remove_node(self, name: str) -> None:
        """Delete a node and the pods on it, at once: nothing runs there that could be drained."""
        self._delete(f"/api/v1/nodes/{name}")
        for pod in self.list_pods(node=name):
            metadata = pod["metadata"]
            self._delete(
                f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}",
                gracePeriodSeconds=0,
            )

    def _list(self, path: str, **parameters: str) -> list[Object]:
        items: list[Object] = []
        token = ""
        while True:
            query = {**parameters, "limit": str(_PAGE), "continue": token}
            page = self.send("GET", path, params=query)
            items += page["items"]
            token = page["metadata"].get("continue", "")
            if not token:
                return items

    def _apply(self, path: str, obj: Object) -> Object:
        return self.send(
            "PATCH",
            path,
            params={"fieldManager": _FIELD_MANAGER, "force": "true"},
            headers={"Content-Type": "application/apply-patch+yaml"},
            json=obj,
        )

    def _delete(self, path: str, **options: int) -> None:
        body = {"apiVersion": "v1", "kind": "DeleteOptions", **options}
        self.send("DELETE", path, json=body)

    def send(self, method: str, path: str, **options: Any) -> Object:
        """One request, its reply as JSON; ``options`` as for httpx. Raises LocalError."""
        try:
            reply = self._http.request(method, quote(path), **options)
            if reply.status_code == httpx.codes.NOT_FOUND and method == "DELETE":
                return {}
            reply.raise_for_status()
        except httpx.HTTPStatusError as error:
            raise LocalError(f"local cluster: {method} {path}: {_message(error)}") from None
        except httpx.HTTPError as error:
            raise LocalError(f"local cluster: {method} {path}: {error}") from None
        result: Object = reply.json()
        return result


def _message(error: httpx.HTTPStatusError) -> str:
    """What the server says is wrong: the message of its Status object, or whatever it sent."""
    try:
        return str(error.response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {error.response.status_code} {error.response.text[:200]}"
