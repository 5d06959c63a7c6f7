"""The claim on the tiny models of real nodes, for namespaces that tests make."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import yaml

from modelfleet.local.api import Api

_AS_IN_DEV = Path(__file__).parent.parent / "stacks" / "local.yaml"


@contextlib.contextmanager
def claimed_models(api: Api, *, namespace: str) -> Iterator[None]:
    """Give ``namespace`` the claim ``models``, on a volume of its own that goes afterwards."""
    _, volume, claim = yaml.safe_load_all(_AS_IN_DEV.read_text())
    name = f"models-{namespace}"
    volume["metadata"]["name"] = claim["spec"]["volumeName"] = name
    volume["spec"]["claimRef"]["namespace"] = claim["metadata"]["namespace"] = namespace
    api.send("POST", "/api/v1/persistentvolumes", json=volume)
    api.send("POST", f"/api/v1/namespaces/{namespace}/persistentvolumeclaims", json=claim)
    yield
    claims = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    api.send("DELETE", f"{claims}/{claim['metadata']['name']}")
    api.send("DELETE", f"/api/v1/persistentvolumes/{name}")
