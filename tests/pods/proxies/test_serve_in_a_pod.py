"""``modelfleet serve`` as a pod, by the manifests that it prints and nothing else.

Callers are pods of another namespace, which have a client, an access key and the authority of the
server's certificate: what they reach, they reach by its Service's name.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import trustme
import yaml
from client_pods import NODES, ClientPod, client_pod, wait_until
from proxies_in_pods import Proxy
from proxy_world import TEAM, WEIGHTS, World
from serve_image import IMAGE, give_image
from small_services import sentence
from stub_pod import StubPod
from typer.testing import CliRunner

from modelfleet.local import Plane
from modelfleet.local.api import Api
from modelfleet.main import app

NAME: Final = "modelfleet-serve"
DRAIN_SECONDS: Final = 240
"""How long what runs may go on. Nothing does for so long, but on a slow machine."""
LEAVING_SECONDS: Final = 10
"""How long the pod goes on before it is told to end (its ``preStop``)."""
MARGIN_SECONDS: Final = 10
"""What is left of its grace period after that and the drain."""

SIGNING: Final = Path(__file__).parents[2] / "agentrun_signing.py"
CERTIFICATES: Final = "/scripts/authority.pem"

# What a caller runs. Its arguments: URL of the server, what to do, and whatever that takes.
CALL: Final = f"""
import hashlib, json, sys
sys.path.insert(0, "/scripts")
import httpx
from agentrun_signing import Signer

server, what, *more = sys.argv[1:]
CONTROL = "/2025-09-10/agents"
http = httpx.Client(base_url=server, verify="{CERTIFICATES}", timeout=240)

def ask(model):
    body = {{"model": model, "messages": [{{"role": "user", "content": "Who are you?"}}]}}
    path = "/models/front/v1/chat/completions"
    answer = http.post(path, json=body, headers={{"Authorization": f"Bearer {{more[0]}}"}})
    return answer.status_code, answer.json()["choices"][0]["message"]["content"]

def agentrun(key, secret):
    http.auth = Signer(key, secret)
    listed = http.get(f"{{CONTROL}}/model-services").json()["data"]["items"]
    settings = {{"baseUrl": "https://api.example.com/v1", "modelNames": ["chat"]}}
    said = {{"modelServiceName": "elsewhere", "provider": "openai", "modelType": "llm",
             "providerSettings": settings}}
    made = http.post(f"{{CONTROL}}/model-services", json=said)
    gone = http.delete(f"{{CONTROL}}/model-services/elsewhere")
    return [it["modelServiceName"] for it in listed], made.status_code, gone.status_code

def zstack(account, password):
    said = {{"accountName": account, "password": hashlib.sha512(password.encode()).hexdigest()}}
    login = http.put("/zstack/v1/accounts/login", json={{"logInByAccount": said}}).json()
    http.headers["Authorization"] = "OAuth " + login["inventory"]["uuid"]
    found = http.get("/zstack/v1/ai/model-services", params={{"q": "name~=tiny%"}})
    return sorted(it["name"] for it in found.json()["inventories"])

does = {{"ask": lambda key, model: ask(model), "agentrun": agentrun, "zstack": zstack}}
print(json.dumps(does[what](*more)))
"""

# Says of the pod itself who runs it, and as whom the API server knows it.
WHO: Final = """
import json, os, pathlib, httpx
account = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")
review = httpx.post(
    "https://kubernetes.default.svc/apis/authentication.k8s.io/v1/selfsubjectreviews",
    json={"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
    headers={"Authorization": "Bearer " + (account / "token").read_text()},
    verify=str(account / "ca.crt"),
)
def may_write(folder):
    try:
        pathlib.Path(folder, "mine").write_text("")
    except OSError as error:
        return os.strerror(error.errno)
    return True
written = [may_write(folder) for folder in ("/usr/local/bin", "/etc/modelfleet/tls", "/tmp")]
print(json.dumps([os.getuid(), review.json()["status"]["userInfo"]["username"], written]))
"""

CONNECT: Final = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3)
    print("answered")
except TimeoutError:
    print("timed out")
except ConnectionRefusedError:
    print("refused")
"""


@dataclass(frozen=True)
class Served:
    """The server in its pod, its one account, and a pod that calls it."""

    namespace: str
    api: Api
    environment: Mapping[str, str]
    caller: ClientPod
    password: str
    key: tuple[str, str]

    @property
    def address(self) -> str:
        return f"{NAME}.{self.namespace}.svc"

    @property
    def pods(self) -> list[dict[str, Any]]:
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        selector = {"labelSelector": f"app.kubernetes.io/name={NAME}"}
        items: list[dict[str, Any]] = self.api.send("GET", path, params=selector)["items"]
        return items

    @property
    def pod(self) -> ClientPod:
        """Its pod; fails the test where there is another one, or none."""
        (pod,) = self.pods
        return ClientPod(
            self.api, self.namespace, pod["metadata"]["name"], environment=self.environment
        )

    def call(self, what: str, *arguments: str) -> Any:
        return json.loads(self.caller.python(CALL, f"https://{self.address}", what, *arguments))


def printed(*arguments: str) -> Any:
    """Run ``modelfleet serve`` in this process; return what it printed."""
    result = CliRunner().invoke(app, ["serve", *arguments])
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def elsewhere(api: Api) -> Iterator[str]:
    """The namespace of callers."""
    name = f"p-{uuid.uuid4().hex[:8]}"
    api.send("POST", "/api/v1/namespaces", json={"metadata": {"name": name}})
    yield name
    api.send("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="module")
def served(
    world: World,
    real_plane: Plane,
    elsewhere: str,
    environment: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    """The server, ready, in the namespace of what it serves."""
    give_image(real_plane)
    folder, namespace, api = tmp_path_factory.mktemp("serve"), world.namespace, world.api

    def kubectl(*arguments: str, text: str | None = None) -> str:
        command = ["kubectl", f"--namespace={namespace}", *arguments]
        ended = subprocess.run(
            command, env=environment, input=text, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, f"{command}:\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
    port = api.send("GET", slices)["ports"][0]["port"]
    manifests = printed(
        *("--manifests", "--image", IMAGE, "--namespace", namespace),
        *("--api-server-port", str(port), "--drain-seconds", str(DRAIN_SECONDS)),
    ).stdout
    kubectl("apply", "--server-side", "-f", "-", text=manifests)

    account = printed("--account", "ci", "--namespace", namespace)
    (folder / "accounts.yaml").write_text(f"accounts:\n{account.stdout}")
    authority = trustme.CA()
    certificate = authority.issue_cert(f"{NAME}.{namespace}.svc")
    certificate.private_key_pem.write_to_path(str(folder / "tls.key"))
    (folder / "tls.crt").write_bytes(b"".join(it.bytes() for it in certificate.cert_chain_pems))
    files = f"--from-file={folder / 'accounts.yaml'}"
    made = ("create", "secret", "generic", f"{NAME}-accounts", files, "--dry-run=client", "-oyaml")
    kubectl("apply", "--server-side", "-f", "-", text=kubectl(*made))
    pair = (f"--cert={folder / 'tls.crt'}", f"--key={folder / 'tls.key'}")
    kubectl("create", "secret", "tls", f"{NAME}-tls", *pair)

    scripts = {
        "metadata": {"name": "caller"},
        "data": {
            SIGNING.name: SIGNING.read_text(),
            Path(CERTIFICATES).name: authority.cert_pem.bytes().decode(),
        },
    }
    api.send("POST", f"/api/v1/namespaces/{elsewhere}/configmaps", json=scripts)
    where = {"environment": environment, "name": "caller", "image": IMAGE, "scripts": "caller"}
    caller = client_pod(api, elsewhere, node=NODES[1], **where)
    entry = yaml.safe_load(account.stdout)[0]["access_keys"][0]
    password = re.search(r"said this once: (\S+)", account.stderr)
    assert password
    kubectl("rollout", "status", f"deployment/{NAME}", "--timeout=600s")
    try:
        yield Served(
            namespace, api, environment, caller, password[1], (entry["id"], entry["secret"])
        )
    finally:
        kubectl("delete", "--wait=false", "--ignore-not-found", "-f", "-", text=manifests)


def test_it_runs_as_nobody_on_what_it_cannot_write_under_an_account_of_its_own(
    served: Served,
) -> None:
    (pod,) = served.pods
    (container,) = pod["status"]["containerStatuses"]
    assert container["ready"] and container["restartCount"] == 0
    user, known_as, written = json.loads(served.pod.python(WHO))
    assert user == 2000
    assert known_as == f"system:serviceaccount:{served.namespace}:{NAME}"
    assert written == ["Read-only file system", "Read-only file system", True]


def test_both_apis_answer_a_pod_of_another_namespace_and_writes_are_lines_of_the_log(
    served: Served,
) -> None:
    services, made, gone = served.call("agentrun", *served.key)
    assert set(services) >= set(WEIGHTS)
    assert (made, gone) == (200, 200)
    assert served.call("zstack", "ci", served.password) == sorted(WEIGHTS)
    log = served.pod.log
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    told = [(each["account"], each["verb"], each["outcome"]) for each in lines]
    assert told == [("ci", "create", "done"), ("ci", "delete", "done"), ("ci", "login", "done")]
    caller = served.caller.status["podIP"]
    assert {(each["client"], each["namespace"]) for each in lines[:2]} == {
        (caller, served.namespace)
    }
    assert "Traceback" not in log


def test_a_completion_reaches_a_real_gateway_by_its_service(served: Served, front: Proxy) -> None:
    status, text = served.call("ask", TEAM, "chat")
    assert status == 200
    assert text in map(sentence, WEIGHTS)


def test_nobody_reaches_another_port_of_it_and_it_reaches_nobody_outside_of_the_fleet(
    served: Served, front: Proxy, a: StubPod
) -> None:
    own, address = served.pod, served.pod.status["podIP"]
    ways = [
        (served.caller, address, 8443, "answered"),
        (served.caller, address, 9999, "timed out"),
        (own, f"front-proxy.{served.namespace}.svc", 80, "answered"),
        (own, a.address, 8000, "timed out"),
        (served.caller, a.address, 8000, "answered"),
    ]

    def is_so(way: tuple[ClientPod, str, int, str]) -> bool:
        pod, host, port, wanted = way
        found = pod.python(CONNECT, host, str(port))
        # On a slow machine it may take longer than anybody waits.
        assert found in (wanted, "timed out"), way
        return found == wanted

    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda way: wait_until(lambda: is_so(way)), ways))


def test_told_to_end_it_finishes_what_runs_and_is_gone_in_time(
    served: Served, front: Proxy, a: StubPod, tmp_path: Path
) -> None:
    name, seen = served.pod.name, tmp_path / "seen"
    path = f"/api/v1/namespaces/{served.namespace}/pods/{name}"
    a.script("one", then=[{"hold": True, "text": "at last"}])
    watch = ["kubectl", "get", "pod", "-n", served.namespace, name, "--watch", "-o", "json"]
    with ThreadPoolExecutor() as pool, seen.open("w") as out:
        answer = pool.submit(served.call, "ask", TEAM, "one")
        wait_until(lambda: a.count("one") == 1)
        with subprocess.Popen(watch, env=served.environment, stdout=out) as watching:
            try:
                started = time.monotonic()
                served.api.send("DELETE", path)
                # Longer than it goes on for the sake of those who have not heard: it is drained.
                time.sleep(LEAVING_SECONDS + 2)
                a.go_on()
                wait_until(lambda: name not in [it["metadata"]["name"] for it in served.pods])
                took_seconds = time.monotonic() - started
                wait_until(lambda: "exitCode" in seen.read_text())
            finally:
                watching.terminate()
        assert answer.result() == [200, "at last"]
    assert LEAVING_SECONDS < took_seconds < LEAVING_SECONDS + DRAIN_SECONDS + MARGIN_SECONDS
    # It ended by itself; 137 would be the kubelet's doing.
    assert set(re.findall(r'"exitCode": (\d+)', seen.read_text())) == {"0"}
