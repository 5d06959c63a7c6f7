"""The client's verbs over a scripted network: what is sent, what comes back, what is retried."""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from modelfleet.cluster import transport
from modelfleet.cluster.access import Access
from modelfleet.cluster.client import Client, WatchEvent, WatchExpired
from modelfleet.cluster.objects import DEPLOYMENT, POD, Ref
from modelfleet.cluster.retry import RetryPolicy
from modelfleet.cluster.subresources import pod_log_lines, read_pod_log
from modelfleet.errors import (
    ClusterError,
    ConfigError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnavailableError,
)

QWEN = Ref(DEPLOYMENT, "models", "qwen")
POD_REF = Ref(POD, "models", "qwen-0")
SOON = RetryPolicy(first_delay_seconds=0.001, longest_delay_seconds=0.001, budget_seconds=20)

Answer = httpx.Response | Exception
Network = Callable[[httpx.Request], Answer]


@asynccontextmanager
async def connected(network: Network, **options: Any) -> AsyncIterator[Client]:
    """Give a client on a network that answers with responses, or fails with exceptions."""

    def handle(request: httpx.Request) -> httpx.Response:
        answer = network(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    access = options.pop("access", None) or Access(server="https://api:6443", source="a test")
    settings = {"retry": SOON, "http": httpx.MockTransport(handle), **options}
    client = Client(access, **settings)
    try:
        yield client
    finally:
        await client.aclose()


def one_by_one(*answers: Answer) -> tuple[Network, list[httpx.Request]]:
    """Return a network that gives ``answers`` in turn, and the list of what it was asked."""
    asked: list[httpx.Request] = []

    def network(request: httpx.Request) -> Answer:
        asked.append(request)
        return answers[len(asked) - 1]

    return network, asked


def found(**metadata: Any) -> httpx.Response:
    return httpx.Response(200, json={"metadata": {"name": "qwen", **metadata}})


def no(code: int, reason: str = "", message: str = "", **headers: str) -> httpx.Response:
    body = {"kind": "Status", "reason": reason, "message": message or reason}
    return httpx.Response(code, json=body, headers=headers)


# get, list


async def test_get_returns_the_object_or_none_where_the_server_says_there_is_none() -> None:
    network, asked = one_by_one(found(uid="u"), no(404, "NotFound"))
    async with connected(network) as client:
        live = await client.get(QWEN)

        assert live == {"metadata": {"name": "qwen", "uid": "u"}}
        assert await client.get(QWEN) is None

    path = "https://api:6443/apis/apps/v1/namespaces/models/deployments/qwen"
    assert [str(request.url) for request in asked] == [path, path]


async def test_a_page_that_is_no_status_never_passes_for_a_missing_object() -> None:
    network, _ = one_by_one(httpx.Response(404, text="404 page not found"))
    async with connected(network) as client:
        with pytest.raises(ClusterError):
            await client.get(QWEN)


async def test_list_joins_pages_and_gives_every_item_its_kind() -> None:
    first = {"metadata": {"continue": "c1", "resourceVersion": "7"}, "items": [{"a": 1}]}
    last = {"metadata": {"resourceVersion": "7"}, "items": [{"a": 2}]}
    network, asked = one_by_one(httpx.Response(200, json=first), httpx.Response(200, json=last))
    async with connected(network) as client:
        listing = await client.list(
            DEPLOYMENT, label_selector="a=b", field_selector="c=d", page_size=1
        )

    assert listing.resource_version == "7"
    assert [item["a"] for item in listing.items] == [1, 2]
    assert {(item["apiVersion"], item["kind"]) for item in listing.items} == {
        ("apps/v1", "Deployment")
    }
    assert asked[0].url.path == "/apis/apps/v1/deployments"
    assert dict(asked[0].url.params) == {
        "labelSelector": "a=b", "fieldSelector": "c=d", "limit": "1",
    }  # fmt: skip
    assert asked[1].url.params["continue"] == "c1"


async def test_a_reply_needs_no_content_type() -> None:
    network, _ = one_by_one(httpx.Response(200, content=b'{"metadata": {}}'))
    async with connected(network) as client:
        assert await client.get(QWEN) == {"metadata": {}}


async def test_a_reply_that_is_no_json_is_refused_with_the_address() -> None:
    network, _ = one_by_one(httpx.Response(200, text="<html>a login page</html>"))
    async with connected(network) as client:
        with pytest.raises(UnavailableError, match="https://api:6443: its reply is not JSON"):
            await client.get(QWEN)


# apply, patch, delete


@pytest.mark.parametrize(("code", "created"), [(200, False), (201, True)])
async def test_apply_is_server_side_and_says_whether_the_object_is_new(
    code: int, created: bool
) -> None:
    obj = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "qwen", "namespace": "models"},
    }
    network, asked = one_by_one(httpx.Response(code, json=obj))
    async with connected(network) as client:
        applied = await client.apply(obj, field_manager="modelfleet-1", force=True)

    assert (applied.live, applied.created) == (obj, created)
    assert asked[0].method == "PATCH"
    assert asked[0].headers["content-type"] == "application/apply-patch+yaml"
    assert dict(asked[0].url.params) == {"fieldManager": "modelfleet-1", "force": "true"}
    assert json.loads(asked[0].content) == obj


async def test_patch_sends_its_operations_as_they_are() -> None:
    network, asked = one_by_one(found())
    async with connected(network) as client:
        await client.patch(QWEN, operations=[{"op": "remove", "path": "/x"}])

    assert asked[0].headers["content-type"] == "application/json-patch+json"
    assert json.loads(asked[0].content) == [{"op": "remove", "path": "/x"}]


async def test_delete_carries_its_preconditions_and_counts_a_missing_object_as_done() -> None:
    network, asked = one_by_one(httpx.Response(200, json={}), no(404, "NotFound"), no(409, ""))
    async with connected(network) as client:
        assert await client.delete(QWEN, uid="u", resource_version="7")
        assert not await client.delete(QWEN)
        with pytest.raises(ConflictError):
            await client.delete(QWEN, uid="other")

    options = json.loads(asked[0].content)
    assert options["preconditions"] == {"uid": "u", "resourceVersion": "7"}
    assert options["propagationPolicy"] == "Foreground"
    assert "preconditions" not in json.loads(asked[1].content)


# retries


@pytest.mark.parametrize(
    "failure",
    [
        no(429, "TooManyRequests"),
        no(500, "InternalError"),
        httpx.Response(502, text="bad gateway"),
        no(503, "ServiceUnavailable"),
        no(504, "Timeout"),
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("half a body"),
    ],
    ids=lambda failure: repr(failure)[:30],
)
async def test_a_server_that_is_unavailable_is_asked_again(failure: Answer) -> None:
    network, _ = one_by_one(failure, found())
    async with connected(network) as client:
        assert await client.get(QWEN) is not None
        assert client.requests == {"get deployments": 2}


@pytest.mark.parametrize("refusal", [no(403, "Forbidden"), no(409, "Conflict"), no(422, "Invalid")])
async def test_a_refusal_is_not_asked_again(refusal: httpx.Response) -> None:
    network, asked = one_by_one(refusal)
    async with connected(network) as client:
        with pytest.raises(ClusterError):
            await client.get(QWEN)
    assert len(asked) == 1


async def test_what_the_server_asks_us_to_wait_is_waited() -> None:
    network, _ = one_by_one(no(429, "TooManyRequests", **{"retry-after": "0.2"}), found())
    async with connected(network) as client:
        started = asyncio.get_running_loop().time()
        await client.get(QWEN)

        assert asyncio.get_running_loop().time() - started >= 0.2


async def test_a_wait_longer_than_the_budget_is_given_up_at_once() -> None:
    network, asked = one_by_one(no(429, "TooManyRequests", **{"retry-after": "60"}))
    async with connected(network) as client:
        with pytest.raises(UnavailableError):
            await client.get(QWEN)
    assert len(asked) == 1


LOST = httpx.ReadTimeout("slow")
NOW = RetryPolicy(budget_seconds=0.0)


@pytest.mark.parametrize(
    ("answers", "maybe_written"),
    [
        ([no(403, "Forbidden")], False),
        ([no(409, "Conflict")], False),
        ([no(429, "TooManyRequests"), no(403, "Forbidden")], False),
        ([LOST, no(403, "Forbidden")], True),
        ([LOST, no(429, "TooManyRequests"), no(409, "Conflict")], True),
        ([no(503, "ServiceUnavailable"), no(409, "Conflict")], True),
        ([no(500, "InternalError"), no(422, "Invalid")], True),
    ],
)
async def test_an_error_says_whether_a_write_before_it_got_no_answer(
    answers: list[Answer], maybe_written: bool
) -> None:
    network, _ = one_by_one(*answers)
    async with connected(network) as client:
        with pytest.raises(ClusterError) as caught:
            await client.patch(QWEN, operations=[])
    assert caught.value.maybe_written == maybe_written


@pytest.mark.parametrize(("method", "maybe_written"), [("get", False), ("delete", True)])
async def test_only_what_writes_may_have_been_written(method: str, maybe_written: bool) -> None:
    network, _ = one_by_one(LOST)
    async with connected(network, retry=NOW) as client:
        with pytest.raises(UnavailableError) as caught:
            await getattr(client, method)(QWEN)
    assert caught.value.maybe_written == maybe_written


@pytest.mark.parametrize("code", [200, 404, 500])
async def test_half_a_reply_does_not_pass_for_an_answer(code: int) -> None:
    half = httpx.Response(code, content=no(code, "NotFound", "a message").content[:-20])
    network, _ = one_by_one(half, found())
    async with connected(network) as client:
        assert await client.get(QWEN) is not None
        assert client.requests == {"get deployments": 2}


async def test_an_answer_to_a_write_that_cannot_be_read_leaves_open_what_it_did() -> None:
    network, _ = one_by_one(httpx.Response(200, text="<html>"))
    async with connected(network) as client:
        with pytest.raises(UnavailableError) as caught:
            await client.patch(QWEN, operations=[])
    assert caught.value.maybe_written


async def test_a_server_that_stays_away_is_named_with_what_to_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = itertools.count()  # one passes from look to look, however busy the machine is
    clock = SimpleNamespace(monotonic=lambda: float(next(seconds)))
    monkeypatch.setattr(transport, "time", clock)
    refused = httpx.ConnectError("connection refused")
    async with connected(lambda _: refused) as client:
        with pytest.raises(UnavailableError) as caught:
            await client.get(QWEN)

        message = str(caught.value)
        assert message.startswith("Deployment models/qwen: no answer from the API server")
        assert "https://api:6443: connection refused" in message
        assert "the server of a test" in message
        assert client.requests["get deployments"] > 2


async def test_a_certificate_that_is_not_trusted_is_an_error_of_configuration() -> None:
    distrust = ssl.SSLCertVerificationError("self-signed")
    distrust.verify_message = "self-signed certificate"
    failure = httpx.ConnectError("tls")
    failure.__cause__ = distrust
    network, asked = one_by_one(failure)
    async with connected(network) as client:
        with pytest.raises(ConfigError, match="not trusted: self-signed certificate"):
            await client.get(QWEN)
    assert len(asked) == 1


# in flight


async def test_requests_in_flight_are_bounded_and_none_is_lost_in_a_queue() -> None:
    in_flight, most = 0, 0

    async def handle(_: httpx.Request) -> httpx.Response:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0.001)
        in_flight -= 1
        return found()

    access = Access(server="https://api", source="a test")
    client = Client(access, in_flight=8, http=httpx.MockTransport(handle))
    try:
        answers = await asyncio.gather(*(client.get(QWEN) for _ in range(800)))
    finally:
        await client.aclose()

    assert len(answers) == 800
    assert most == 8


async def test_watches_do_not_take_the_place_of_requests() -> None:
    never = asyncio.Event()

    class Silent(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"\n"
            await never.wait()

    def network(request: httpx.Request) -> Answer:
        if "watch" in request.url.params:
            return httpx.Response(200, stream=Silent())
        return found()

    async def look(client: Client) -> None:
        async for _ in client.watch(DEPLOYMENT, resource_version="1"):
            pass

    async with connected(network, in_flight=1) as client:
        watches = [asyncio.create_task(look(client)) for _ in range(3)]
        async with asyncio.timeout(60):
            while client.requests["watch deployments"] < 3:  # noqa: ASYNC110 - of other tasks
                await asyncio.sleep(0.01)

        assert await client.get(QWEN) is not None
        assert client.requests["watch deployments"] == 3
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)


# who we are


async def test_a_refused_token_is_read_anew_once(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old")

    def network(request: httpx.Request) -> Answer:
        file.write_text("new")
        accepted = request.headers["authorization"] == "Bearer new"
        return found() if accepted else no(401, "Unauthorized")

    access = Access(server="https://api", source="a test", token_file=file)
    async with connected(network, access=access) as client:
        assert await client.get(QWEN) is not None
        assert client.requests["get deployments"] == 2


async def test_credentials_that_stay_refused_are_an_error_with_their_source(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old")
    access = Access(server="https://api", source="a test", token_file=file)
    async with connected(lambda _: no(401, "Unauthorized"), access=access) as client:
        with pytest.raises(ForbiddenError, match="Renew the credentials of a test"):
            await client.get(QWEN)

        assert client.requests["get deployments"] == 2


async def test_impersonation_and_server_name_go_with_every_request() -> None:
    network, asked = one_by_one(found())
    access = Access(
        server="https://api",
        source="a test",
        token="t",
        tls_server_name="inner",
        impersonation=(("Impersonate-User", "u"), ("Impersonate-Group", "a"),
                       ("Impersonate-Group", "b")),
    )  # fmt: skip
    async with connected(network, access=access) as client:
        await client.get(QWEN)

    assert asked[0].headers["authorization"] == "Bearer t"
    assert asked[0].headers["impersonate-user"] == "u"
    assert asked[0].headers.get_list("impersonate-group") == ["a", "b"]
    assert asked[0].extensions["sni_hostname"] == "inner"


# watch


def stream(*events: dict[str, Any] | str) -> httpx.Response:
    lines = (each if isinstance(each, str) else json.dumps(each) for each in events)
    return httpx.Response(200, content="\n".join(lines).encode() + b"\n")


async def watched(client: Client) -> list[WatchEvent]:
    return [event async for event in client.watch(DEPLOYMENT, resource_version="5")]


async def test_a_watch_yields_events_of_its_kind_and_ends_with_the_reply() -> None:
    network, asked = one_by_one(
        stream(
            {"type": "ADDED", "object": {"metadata": {"name": "a", "resourceVersion": "6"}}},
            {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}},
        )
    )
    async with connected(network) as client:
        events = await watched(client)

    assert [(event.type, event.resource_version) for event in events] == [
        ("ADDED", "6"),
        ("BOOKMARK", "9"),
    ]
    assert events[0].object["kind"] == "Deployment"
    parameters = dict(asked[0].url.params)
    assert 200 <= int(parameters.pop("timeoutSeconds")) <= 300
    assert parameters == {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": "5"}


@pytest.mark.parametrize(
    "answer",
    [
        no(410, "Expired"),
        stream({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}),
    ],
    ids=["as a reply", "as an event"],
)
async def test_a_version_that_is_too_old_expires_the_watch(answer: httpx.Response) -> None:
    network, _ = one_by_one(answer)
    async with connected(network) as client:
        with pytest.raises(WatchExpired):
            await watched(client)


@pytest.mark.parametrize(
    "answer",
    [
        stream('{"type": "ADDED", "obj'),
        stream({"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "etcd"}}),
        httpx.ReadTimeout("silence"),
        httpx.ConnectError("refused"),
        no(503, "ServiceUnavailable"),
    ],
    ids=["half an event", "an error event", "silence", "refused", "not ready"],
)
async def test_a_broken_watch_is_unavailable_and_not_retried_here(answer: Answer) -> None:
    network, asked = one_by_one(answer)
    async with connected(network) as client:
        with pytest.raises(UnavailableError):
            await watched(client)
    assert len(asked) == 1


async def test_a_watch_that_is_left_early_is_closed() -> None:
    is_closed = False

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                yield b'{"type": "ADDED", "object": {}}\n'

        async def aclose(self) -> None:
            nonlocal is_closed
            is_closed = True

    network, _ = one_by_one(httpx.Response(200, stream=Endless()))
    async with (
        connected(network) as client,
        aclosing(client.watch(DEPLOYMENT, resource_version="1")) as events,
    ):
        async for _event in events:
            break
    assert is_closed


async def test_a_request_that_is_given_up_after_the_end_leaves_no_connection_open() -> None:
    class Silent(httpx.AsyncBaseTransport):
        is_asked = asyncio.Event()
        closed = 0

        async def handle_async_request(self, _: httpx.Request) -> httpx.Response:
            self.is_asked.set()
            await asyncio.Event().wait()
            raise AssertionError

        async def aclose(self) -> None:
            self.closed += 1

    network = Silent()
    client = Client(Access(server="https://api:6443", source="a test"), http=network)
    asking = asyncio.ensure_future(client.get(POD_REF))
    await network.is_asked.wait()
    await client.aclose()
    asking.cancel()
    await asyncio.wait([asking])
    assert network.closed == 1


# logs, identity


async def test_a_log_is_text_and_none_is_empty() -> None:
    network, asked = one_by_one(
        httpx.Response(200, content=b"one\ntw\xff"), no(400, "BadRequest"), no(404, "NotFound")
    )
    async with connected(network) as client:
        logs = [
            await read_pod_log(client, POD_REF, container="engine", previous=True) for _ in range(3)
        ]

    assert logs == ["one\ntw�", "", ""]
    assert asked[0].url.path.endswith("/pods/qwen-0/log")
    assert asked[0].url.params["tailLines"] == "20"
    assert asked[0].url.params["previous"] == "true"


async def test_what_a_kubelet_says_of_a_log_that_is_gone_is_no_log() -> None:
    gone = "unable to retrieve container logs for containerd://2640d0e2916a"
    network, _ = one_by_one(httpx.Response(200, text=gone), httpx.Response(200, text=gone))
    async with connected(network) as client:
        assert await read_pod_log(client, POD_REF, container="engine") == ""
        lines = pod_log_lines(client, POD_REF, container="engine")
        assert [line async for line in lines] == []


async def test_a_log_is_asked_for_once() -> None:
    network, asked = one_by_one(no(500, "InternalError"))
    async with connected(network) as client:
        with pytest.raises(UnavailableError):
            await read_pod_log(client, POD_REF, container="engine")
    assert len(asked) == 1


async def test_the_identity_of_the_cluster_is_asked_for_once() -> None:
    network, asked = one_by_one(found(uid="the-uid"))
    async with connected(network) as client:
        uids = await asyncio.gather(*(client.cluster_uid() for _ in range(20)))

    assert set(uids) == {"the-uid"}
    assert asked[0].url.path == "/api/v1/namespaces/kube-system"


async def test_all_who_ask_who_a_silent_cluster_is_wait_for_it_together() -> None:
    network, asked = one_by_one(no(403, "Forbidden"), found(uid="the-uid"))
    async with connected(network) as client:
        answers = await asyncio.gather(
            *(client.cluster_uid() for _ in range(20)), return_exceptions=True
        )
        assert {type(answer) for answer in answers} == {ForbiddenError}
        assert len(asked) == 1
        assert await client.cluster_uid() == "the-uid"


async def test_a_cluster_without_identity_is_an_error() -> None:
    network, _ = one_by_one(no(404, "NotFound"))
    async with connected(network) as client:
        with pytest.raises(NotFoundError):
            await client.cluster_uid()
