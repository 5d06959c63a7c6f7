"""The images of a gateway and of its Redis, as pods run them: any user, nothing to write on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence

import pytest
from client_pods import NODES, ClientPod, wait_until

from modelfleet.local.api import Api
from modelfleet.render.proxy.redis_pod import DEFAULT_REDIS_IMAGE
from modelfleet.spec.proxy import DEFAULT_LITELLM_VERSION

LITELLM = f"ghcr.io/berriai/litellm:{DEFAULT_LITELLM_VERSION}"
USER = 54321  # in no image's /etc/passwd

USES_THE_PROXY = """
import asyncio, os
assert os.getuid() == 54321
from litellm.proxy.proxy_server import app
from importlib.util import find_spec
import hiredis, httptools, httpx, litellm, prometheus_client, redis.asyncio, uvloop
assert find_spec("litellm_enterprise") is None
inside = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://inside")
assert asyncio.run(inside.get("/health/liveliness")).status_code == 200
assert litellm.token_counter(model="served", text="one two three") == 3
"""


@pytest.fixture
def own_namespace(api: Api) -> Iterator[str]:
    name = f"p-{uuid.uuid4().hex[:8]}"
    api.send("POST", "/api/v1/namespaces", json={"metadata": {"name": name}})
    yield name
    api.send("DELETE", f"/api/v1/namespaces/{name}")


def restricted_pod(
    api: Api,
    namespace: str,
    *,
    image: str,
    command: Sequence[str],
    writable: str,
    environment: Mapping[str, str],
) -> ClientPod:
    """Create a pod that may do as little as a pod can, and write into one folder."""
    pod = {
        "metadata": {"name": "restricted"},
        "spec": {
            "nodeName": NODES[0],
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "runAsGroup": USER,
                "fsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "restricted",
                    "image": image,
                    "command": list(command),
                    "env": [
                        # As pods of a gateway have it: the image's packages are found all the same.
                        {"name": "PYTHONPATH", "value": "/opt/modelfleet"},
                        {"name": "LITELLM_LOCAL_MODEL_COST_MAP", "value": "True"},
                    ],
                    "securityContext": {
                        "readOnlyRootFilesystem": True,
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": "writable", "mountPath": writable}],
                }
            ],
            "volumes": [{"name": "writable", "emptyDir": {}}],
        },
    }
    api.send("POST", f"/api/v1/namespaces/{namespace}/pods", json=pod)
    return ClientPod(api, namespace, "restricted", environment)


def test_litellms_proxy_loads_for_any_user_and_counts_tokens_without_a_network(
    api: Api, own_namespace: str, environment: Mapping[str, str]
) -> None:
    pod = restricted_pod(
        api,
        own_namespace,
        image=LITELLM,
        command=["python", "-c", USES_THE_PROXY],
        writable="/tmp",
        environment=environment,
    )
    wait_until(lambda: pod.status["phase"] in ("Succeeded", "Failed"))
    assert pod.status["phase"] == "Succeeded", pod.log


def test_redis_keeps_what_it_is_told_for_any_user(
    api: Api, own_namespace: str, environment: Mapping[str, str]
) -> None:
    pod = restricted_pod(
        api,
        own_namespace,
        image=DEFAULT_REDIS_IMAGE,
        command=["redis-server", "--appendonly", "yes", "--dir", "/data", "--requirepass", "x"],
        writable="/data",
        environment=environment,
    )
    pod.wait_for("Running")
    pod.wait_for_line("Ready to accept connections")
    asked = ["redis-cli", "--no-auth-warning", "-a", "x"]
    assert pod.run(*asked, "set", "a", "1").strip() == "OK"
    assert "v=7.0.15" in pod.run("redis-server", "--version")
    assert "appendonlydir" in pod.run("ls", "/data")
