"""The upstream that does what it is told (tests/gateway/stub_upstream.py), in a pod of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx
from client_pods import CLIENT, PATIENCE_SECONDS, client_pod
from proxies_in_pods import NO_TLS, Beside

from modelfleet.local.api import Api

_SOURCE: Final = Path(__file__).parents[2] / "gateway" / "stub_upstream.py"
_PORT, _CONTROL_PORT = 8000, 8001


class StubPod:
    """One stub with a Service in front; told over a port-forward to its other port."""

    def __init__(
        self,
        name: str,
        *,
        namespace: str,
        node: str,
        api: Api,
        beside: Beside,
        environment: Mapping[str, str],
    ) -> None:
        self.name = name
        self.base_url = f"http://{name}.{namespace}.svc:{_PORT}/v1"
        self.address = f"{name}.{namespace}.svc"
        space = f"/api/v1/namespaces/{namespace}"
        scripts = {"metadata": {"name": name}, "data": {_SOURCE.name: _SOURCE.read_text()}}
        api.send("POST", f"{space}/configmaps", json=scripts)
        ports = [{"port": _PORT, "targetPort": _PORT}]
        service = {
            "metadata": {"name": name},
            "spec": {"selector": {CLIENT: name}, "ports": ports},
        }
        api.send("POST", f"{space}/services", json=service)
        options = ["--host", "0.0.0.0", "--port", str(_PORT), "--control-port", str(_CONTROL_PORT)]  # noqa: S104
        pod = client_pod(
            api,
            namespace,
            node=node,
            environment=environment,
            name=name,
            command=("python3", f"/scripts/{_SOURCE.name}", *options, "--name", name),
            scripts=name,
        )
        url = beside.url(namespace, pod.name, port=_CONTROL_PORT)
        retries = httpx.HTTPTransport(retries=10, verify=NO_TLS)
        self._control = httpx.Client(base_url=url, timeout=PATIENCE_SECONDS, transport=retries)

    def script(
        self, model: str = "*", *, then: list[dict[str, Any]] | None = None, **always: Any
    ) -> None:
        """Have it do ``then``, call by call, and ``always`` from then on."""
        told = {"model": model, "next": then or [], "always": always or None}
        self._control.post("/script", json=told).raise_for_status()

    def go_on(self) -> None:
        """Have it go on where it was told to hold."""
        self._control.post("/go_on").raise_for_status()

    def listen(self, accept: bool) -> None:
        """Have it take connections, or refuse all."""
        self._control.post("/listening", json={"accept": accept}).raise_for_status()

    def reset(self) -> None:
        """Have it forget what it was told and what it saw, and listen."""
        self._control.post("/reset").raise_for_status()

    @property
    def calls(self) -> list[dict[str, Any]]:
        """What it was asked, in order."""
        calls: list[dict[str, Any]] = self._control.get("/calls").json()
        return calls

    def count(self, model: str | None = None) -> int:
        """Return how often it was asked, or asked for one model."""
        counts = self._control.get("/counts").json()
        return int(counts["total"] if model is None else counts["by_model"].get(model, 0))

    def close(self) -> None:
        """Let go of the connection to it."""
        self._control.close()
