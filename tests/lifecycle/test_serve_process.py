"""``modelfleet serve`` as a process: TLS, its files, its audit, its end, a server that goes away.

All with the rights that its manifests ask for, and no more.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
from collections.abc import Iterator
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


@pytest.fixture
def process(serve_kubeconfig: Path, namespace: str, tmp_path: Path) -> Iterator[Process]:
    """A server with an account that may write, and one that may not."""
    accounts = [account("ci", namespace, may_write=True), account("viewer", namespace)]
    with serving_process(tmp_path, serve_kubeconfig, accounts=accounts) as running:
        yield running


def external(name: str) -> dict[str, Any]:
    settings = {"baseUrl": "https://api.example.com/v1", "apiKey": API_KEY}
    return {
        "modelServiceName": name,
        "modelType": "llm",
        "provider": "openai",
        "providerSettings": settings,
    }


def test_both_apis_answer_over_tls_and_writes_leave_one_line_each_without_secrets(
    process: Process, namespace: str
) -> None:
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

    lines = process.audited
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


@pytest.mark.parametrize(
    ("arguments", "client"), [([], "127.0.0.1"), (["--behind", "127.0.0.0/8"], "203.0.113.9")]
)
def test_only_a_named_proxy_is_believed_where_a_request_comes_from(
    serve_kubeconfig: Path, tmp_path: Path, arguments: list[str], client: str
) -> None:
    with (
        serving_process(
            tmp_path, serve_kubeconfig, *arguments, accounts=[account("ci")]
        ) as process,
        process.client(headers={"X-Forwarded-For": "203.0.113.9"}) as http,
    ):
        assert http.put(LOGIN, json=login_of("ci")).status_code == 200
        assert [line["client"] for line in process.audited] == [client]


def test_whoever_speaks_plain_http_or_does_not_trust_the_certificate_gets_nothing(
    process: Process,
) -> None:
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


def is_listening(process: Process) -> bool:
    host, port = process.url.removeprefix("https://").split(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def test_sigterm_lets_what_runs_finish_takes_nothing_new_and_ends_with_0(process: Process) -> None:
    with Half(process, "ci") as half, process.client() as idle:
        idle.get("/healthz")
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


def test_a_port_that_is_taken_is_said_in_one_line(
    process: Process, serve_kubeconfig: Path, tmp_path: Path
) -> None:
    port = process.url.rpartition(":")[2]
    folder = tmp_path / "second"
    folder.mkdir()
    with (
        pytest.raises(AssertionError, match=f"error: Cannot listen on .* --port {port}") as raised,
        serving_process(folder, serve_kubeconfig, "--port", port),
    ):
        pass
    assert "Traceback" not in str(raised.value)


@pytest.mark.timeout(180)
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
