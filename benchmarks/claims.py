"""The models of real nodes, as a volume claim of the namespace that a service is made in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.errors import BenchmarkError
from benchmarks.site import Site

_FOLDER = "/var/lib/modelfleet/models"
_BOUND_SECONDS = 60.0


@contextmanager
def claimed_models(site: Site, *, namespace: str) -> Iterator[None]:
    """Give ``namespace`` the claim ``models``, bound, to a volume that goes afterwards."""
    name = f"models-{namespace}"
    of_both = {"storageClassName": "", "accessModes": ["ReadOnlyMany"]}
    volume: dict[str, Any] = {
        "metadata": {"name": name},
        "spec": {
            **of_both,
            "capacity": {"storage": "1Gi"},
            "hostPath": {"path": _FOLDER},
            "claimRef": {"namespace": namespace, "name": "models"},
        },
    }
    claim: dict[str, Any] = {
        "metadata": {"name": "models"},
        "spec": {
            **of_both,
            "volumeName": name,
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    claims = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    with site.api() as api:
        api.send("POST", "/api/v1/persistentvolumes", json=volume)
        api.send("POST", claims, json=claim)
        deadline = time.monotonic() + _BOUND_SECONDS
        while api.send("GET", f"{claims}/models").get("status", {}).get("phase") != "Bound":
            if time.monotonic() > deadline:
                raise BenchmarkError(f"The claim {namespace}/models is not bound.")
            time.sleep(0.1)
        try:
            yield
        finally:
            api.send("DELETE", f"/api/v1/persistentvolumes/{name}")
