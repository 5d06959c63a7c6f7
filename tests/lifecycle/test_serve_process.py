"""``modelfleet serve`` as a process: TLS, its files, its audit, its end, a server that goes away.

All with the rights that its manifests ask for, and no more.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from rights import least_kubeconfig
from served_process import (
    PASSWORD,
    Process,
    serving_process,
    until,
    write_accounts,
    write_certificate,
)
from test_serve_rights import printed, role_of

from agentrun_signing import Signer
from conftest import PlaneFactory
from modelfleet.adapters.query_api.passwords import Cost, PasswordHash, sha512_of
from modelfleet.local import Plane
from modelfleet.local.api import Api

LOGIN = "/zstack/v1/accounts/login"
SERVICES = "/2025-09-10/agents/model-services"
SECRET = "not-a-real-secret-of-a-key"
API_KEY = "sk-not-a-real-key-0001"


def account(name: str, namespace: str = "default", **others: Any) -> dict[str, Any]:
    """Return an entry with a password and the access key ``key-of-<name>``."""
    hashed = PasswordHash.made(sha512_of(PASSWORD), cost=Cost(n=16, r=1, p=1))
    return {
        "name": name,
        "namespace": namespace,
        "password_hash": hashed.text,
        "access_keys": [{"id": f"key-of-{name}", "secret": SECRET}],
        **others,
    }


def login_of(name: str) -> dict[str, Any]:
    said = {"accountName": name, "password": sha512_of(PASSWORD)}
    return {"logInByAccount": said}


def signed(process: Process, name: str) -> httpx.Client:
    return process.client(auth=Signer(f"key-of-{name}", SECRET))


@pytest.fixture(scope="session")
def serve_kubeconfig(
    plane: Plane, plane_api: Api, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The kubeconfig of a user who may do what the printed ClusterRole grants."""
    folder = tmp_path_factory.mktemp("serve")
    return least_kubeconfig(
        plane,
        plane_api,
        folder,
        user="serve-under-test",
        role=role_of(printed()),
    )


def accounts_in(namespace: str) -> list[dict[str, Any]]:
    """Return an account that may write, and one that may not."""
    return [account("ci", namespace, may_write=True), account("viewer", namespace)]


@pytest.fixture
def process(serve_kubeconfig: Path, namespace: str, tmp_path: Path) -> Iterator[Process]:
    """A server of the test's own, which waits long for what runs when it is to end."""
    drain = ("--drain-seconds", "600")
    with serving_process(
        tmp_path, serve_kubeconfig, *drain, accounts=accounts_in(namespace)
    ) as running:
        yield running


@pytest.fixture(scope="module")
def shared(
    serve_kubeconfig: Path, plane_api: Api, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Process, str]]:
    """A server, and the namespace of its accounts, for tests that leave it as it is."""
    folder, namespace = tmp_path_factory.mktemp("shared"), f"t-{uuid.uuid4().hex[:10]}"
    plane_api.send("POST", "/api/v1/namespaces", json={"metadata": {"name": namespace}})
    with serving_process(folder, serve_kubeconfig, accounts=accounts_in(namespace)) as running:
        yield running, namespace
    plane_api.send("DELETE", f"/api/v1/namespaces/{namespace}")


SHARED = pytest.mark.xdist_group("served")
"""Keeps those who share a server where it is."""


def external(name: str) -> dict[str, Any]:
    settings = {"baseUrl": "https://api.example.com/v1", "apiKey": API_KEY}
    return {
        "modelServiceName": name,
        "modelType": "llm",
        "provider": "openai",
        "providerSettings": settings,
    }


@SHARED
def test_both_apis_answer_over_tls_and_writes_leave_one_line_each_without_secrets(
    shared: tuple[Process, str],
) -> None:
    process, namespace = shared
    before = len(process.audited)
    with signed(process, "ci") as http:
        made = http.post(SERVICES, json=external("qwen"))
        assert made.status_code == 200, made.text
        assert made.headers["Strict-Transport-Security"]
        assert made.headers["X-Modelfleet-Age-Seconds"] == "0"
        gone = http.delete(f"{SERVICES}/qwen")
        assert gone.status_code == 200
    with signed(process, "viewer") as http:
        refused = http.post(SERVICES, json=external("other"))
        assert refused.status_code == 403
        assert http.get(SERVICES).status_code == 200
    with process.client() as http:
        login = http.put(LOGIN, json=login_of("ci"))
        assert login.status_code == 200, login.text
        session = login.json()["inventory"]["uuid"]
        headers = {"Authorization": f"OAuth {session}"}
        assert http.get("/zstack/v1/ai/model-services", headers=headers).status_code == 200

    lines = process.audited[before:]
    told = [(each["account"], each["verb"], each["outcome"], each["status"]) for each in lines]
    assert told == [
        ("ci", "create", "done", 200),
        ("ci", "delete", "done", 200),
        ("viewer", "create", "refused", 403),
        ("ci", "login", "done", 200),
    ]
    create, delete, *_ = lines
    assert (create["kind"], create["namespace"], create["name"]) == (
        "ModelService",
        namespace,
        "qwen",
    )
    assert create["request_id"] == made.headers["X-Request-Id"]
    assert create["client"] == "127.0.0.1"
    assert create["after"] == delete["before"], "it is the very one that was made"
    everything = (process.folder / "stdout").read_text() + process.log
    for secret in (API_KEY, SECRET, PASSWORD, sha512_of(PASSWORD), session):
        assert secret not in everything


def told_of_a_forwarded_login(process: Process) -> str:
    """Return whom a login is said to come from, of which a header says it was forwarded."""
    with process.client(headers={"X-Forwarded-For": "203.0.113.9"}) as http:
        assert http.put(LOGIN, json=login_of("ci")).status_code == 200
    return str(process.audited[-1]["client"])


@SHARED
def test_only_a_named_proxy_is_believed_where_a_request_comes_from(
    shared: tuple[Process, str], serve_kubeconfig: Path, tmp_path: Path
) -> None:
    assert told_of_a_forwarded_login(shared[0]) == "127.0.0.1"
    behind = ("--behind", "127.0.0.0/8")
    with serving_process(tmp_path, serve_kubeconfig, *behind, accounts=[account("ci")]) as process:
        assert told_of_a_forwarded_login(process) == "203.0.113.9"


@SHARED
def test_whoever_speaks_plain_http_or_does_not_trust_the_certificate_gets_nothing(
    shared: tuple[Process, str],
) -> None:
    process, _ = shared
    plain = process.url.replace("https", "http")
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{plain}/healthz", trust_env=False)
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{process.url}/healthz", trust_env=False, verify=ssl.create_default_context())


def test_renewed_accounts_and_certificates_are_taken_up_and_wrong_ones_are_not(
    process: Process, namespace: str
) -> None:
    def status_of(name: str) -> int:
        with signed(process, name) as http:
            return http.get(SERVICES).status_code

    assert (status_of("ci"), status_of("new")) == (200, 401)
    write_accounts(process.folder, account("new", namespace))
    until(lambda: status_of("new") == 200)
    assert status_of("ci") == 401
    write_accounts(process.folder, {"name": "ci", "no_such_field": True})
    with process.client() as http:
        until(lambda: http.get("/readyz").json()["accounts"] == "outdated")
        assert http.get("/readyz").status_code == 200
    assert status_of("new") == 200
    assert "accounts[0].no_such_field: is no such field" in process.log

    other = trustme.CA()
    write_certificate(process.folder, other)

    def is_trusted() -> bool:
        context = ssl.create_default_context()
        other.configure_trust(context)
        try:
            return httpx.get(f"{process.url}/healthz", verify=context, trust_env=False).is_success
        except httpx.ConnectError:
            return False

    until(is_trusted)


class Half:
    """A login of which one half was sent."""

    def __init__(self, process: Process, name: str) -> None:
        host, port = process.url.removeprefix("https://").split(":")
        self._body = httpx.Request("PUT", "https://x", json=login_of(name)).content
        plain = socket.create_connection((host, int(port)))
        self._socket = process.context.wrap_socket(plain, server_hostname=host)
        head = (
            f"PUT {LOGIN} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(self._body)}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + self._body[:10])

    def rest(self) -> str:
        """Send the other half, and return all that comes back until the server hangs up."""
        self._socket.sendall(self._body[10:])
        answer = b""
        while piece := self._socket.recv(65_536):
            answer += piece
        return answer.decode()

    def __enter__(self) -> Half:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


@contextmanager
def connected_client(process: Process) -> Iterator[httpx.Client]:
    """Give a client that keeps the connection it has."""
    with process.client() as http:
        http.get("/healthz")
        yield http


def is_listening(process: Process) -> bool:
    host, port = process.url.removeprefix("https://").split(":")
    try:
        socket.create_connection((host, int(port)), timeout=60).close()
    except ConnectionRefusedError:
        return False
    return True


def test_sigterm_lets_what_runs_finish_takes_nothing_new_and_ends_with_0(process: Process) -> None:
    # A body that stands still is ended after a while: it is begun last.
    with connected_client(process), Half(process, "ci") as half:
        process.popen.send_signal(signal.SIGHUP)
        process.popen.send_signal(signal.SIGTERM)
        until(lambda: not is_listening(process))
        assert process.popen.poll() is None
        answer = half.rest()
        assert answer.startswith("HTTP/1.1 200 ")
        assert "connection: close" in answer.lower()
        assert '"inventory"' in answer
        # Neither of the two has hung up yet.
        assert process.ended() == 0
    assert "Traceback" not in process.log
    assert "Cancel" not in process.log, "nothing was cut off"


def test_a_second_sigterm_ends_it_at_once_and_with_0_as_well(process: Process) -> None:
    with Half(process, "ci"):
        process.popen.send_signal(signal.SIGTERM)
        until(lambda: not is_listening(process))
        assert process.popen.poll() is None
        process.popen.send_signal(signal.SIGTERM)
        assert process.ended() == 0


def test_what_never_finishes_does_not_keep_it_beyond_the_drain_time(
    serve_kubeconfig: Path, tmp_path: Path
) -> None:
    with (
        serving_process(
            tmp_path, serve_kubeconfig, "--drain-seconds", "1", accounts=[account("ci")]
        ) as process,
        Half(process, "ci"),
    ):
        process.popen.send_signal(signal.SIGTERM)
        assert process.ended() == 0


@SHARED
def test_a_port_that_is_taken_is_said_in_one_line(
    shared: tuple[Process, str], serve_kubeconfig: Path, tmp_path: Path
) -> None:
    port = shared[0].url.rpartition(":")[2]
    folder = tmp_path / "second"
    folder.mkdir()
    with (
        pytest.raises(AssertionError, match=f"error: Cannot listen on .* --port {port}") as raised,
        serving_process(folder, serve_kubeconfig, "--port", port),
    ):
        pass
    assert "Traceback" not in str(raised.value)


@pytest.mark.timeout(1800)
def test_answers_go_on_while_the_api_server_is_away_and_are_new_again_when_it_is_back(
    plane_factory: PlaneFactory, tmp_path: Path
) -> None:
    plane = plane_factory("restarts")
    plane.up(gpus="l4-24gb:1x1")
    with plane.api() as api:
        kubeconfig = least_kubeconfig(
            plane,
            api,
            tmp_path,
            user="serve-under-test",
            role=role_of(printed()),
        )
    accounts = [account("ci", may_write=True)]
    with (
        serving_process(tmp_path, kubeconfig, accounts=accounts) as process,
        signed(process, "ci") as http,
    ):
        assert http.post(SERVICES, json=external("before")).status_code == 200
        os.kill(plane.status().components["kube-apiserver"], signal.SIGKILL)

        def listed() -> httpx.Response:
            return http.get(SERVICES)

        until(lambda: int(listed().headers["X-Modelfleet-Age-Seconds"]) >= 2)
        stale = listed()
        assert stale.status_code == 200
        assert [each["modelServiceName"] for each in stale.json()["data"]["items"]] == ["before"]
        assert stale.headers["X-Modelfleet-Stale"]
        assert http.get("/readyz").json()["ready"] is True
        lost = http.post(SERVICES, json=external("lost"))
        assert lost.status_code == 503, lost.text

        plane.up()
        until(lambda: listed().headers["X-Modelfleet-Age-Seconds"] == "0")
        assert "X-Modelfleet-Stale" not in listed().headers
        assert http.post(SERVICES, json=external("after")).status_code == 200
        names = [each["modelServiceName"] for each in listed().json()["data"]["items"]]
        assert names == ["after", "before"]
