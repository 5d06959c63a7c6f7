"""Around every request: bounds, headers, and an answer in the form of the API that was asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from served import PASSWORD, ClusterApi, asking, cheap_hash, operation, parts, until
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from modelfleet.adapters.query_api import received
from modelfleet.adapters.query_api.application import application
from modelfleet.adapters.query_api.parts import Parts
from modelfleet.adapters.query_api.passwords import sha512_of
from modelfleet.adapters.query_api.refusal import RefusedError, request_id_of
from modelfleet.adapters.query_api.upkeep import upkept
from modelfleet.fleet import Fleet

SECRET = "not-a-real-secret"


async def read(request: Request, parts: Parts) -> Response:
    """Answer with how many bytes came."""
    return PlainTextResponse(str(len(await request.body())))


async def fail(request: Request, parts: Parts) -> Response:
    raise KeyError(f"a bug that holds {SECRET}")


def shouting(refused: RefusedError, request_id: str) -> Response:
    """Word a refusal as no API does."""
    return PlainTextResponse(f"NO! {refused.code} {request_id}", status_code=refused.status)


def ready(http: httpx.AsyncClient) -> Callable[[], Awaitable[bool]]:
    """Return what says whether the server is ready."""

    async def is_ready() -> bool:
        return (await http.get("/readyz")).status_code == 200

    return is_ready


async def pieces(count: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


async def test_a_body_may_have_as_many_bytes_as_are_allowed_and_not_one_more() -> None:
    reading = operation(read, method="POST")
    async with asking(parts(body_bytes=2_000), [reading]) as http:
        assert (await http.post("/asked", content=b"x" * 2_000)).text == "2000"
        for content in (b"x" * 2_001, pieces(3, 1_000)):
            refused = await http.post("/asked", content=content)
            assert refused.status_code == 413
            assert refused.json()["message"] == "The body is larger than 2000 bytes."
            assert refused.headers["Connection"] == "close"
        lying = await http.post("/asked", content=pieces(3, 1_000), headers={"Content-Length": "9"})
        assert lying.status_code == 413


async def test_too_many_requests_from_one_address_are_told_when_to_come_again() -> None:
    async with asking(parts(address_rate=1.0), [operation(read)]) as http:
        replies = [await http.get("/asked") for _ in range(3)]
        assert [each.status_code for each in replies] == [200, 200, 429]
        assert int(replies[-1].headers["Retry-After"]) >= 1
        assert (await http.get("/healthz")).status_code == 200, "probes are not counted"


async def test_too_many_requests_of_one_account_are_refused_whatever_their_address() -> None:
    async def admitted(request: Request, parts: Parts) -> Response:
        account = parts.accounts.named("ci")
        assert account
        parts.admit(request, account)
        return PlainTextResponse("")

    served = parts({"name": "ci"}, account_rate=1.0)
    async with asking(served, [operation(admitted)]) as http:
        replies = [await http.get("/asked") for _ in range(3)]
    assert [each.status_code for each in replies] == [200, 200, 429]
    assert "account 'ci'" in replies[-1].json()["message"]


async def test_passwords_cannot_be_guessed_for_long_from_one_address() -> None:
    async def login(request: Request, parts: Parts) -> Response:
        proof = sha512_of((await request.body()).decode())
        account = await parts.logged_in(request, "ci", password_sha512=proof)
        return PlainTextResponse("", status_code=200 if account else 401)

    served = parts({"name": "ci", "password_hash": cheap_hash()})
    async with asking(served, [operation(login, method="POST")]) as http:
        right = [await http.post("/asked", content=PASSWORD) for _ in range(30)]
        wrong = [await http.post("/asked", content="guessed") for _ in range(21)]
        locked = await http.post("/asked", content=PASSWORD)
    assert {each.status_code for each in right} == {200}
    assert [each.status_code for each in wrong] == [401] * 20 + [429]
    assert locked.status_code == 429, "nor is it told whether the next guess was right"


async def test_more_requests_at_once_than_are_allowed_are_refused_and_the_others_answered() -> None:
    go_on, arrived = asyncio.Event(), list[Request]()

    async def wait(request: Request, parts: Parts) -> Response:
        arrived.append(request)
        await go_on.wait()
        return PlainTextResponse("done")

    async with asking(parts(concurrency=2), [operation(wait)]) as http:
        waiting = [asyncio.create_task(http.get("/asked")) for _ in range(2)]

        async def have_arrived() -> bool:
            return len(arrived) == 2

        await until(have_arrived)
        refused = await http.get("/asked")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert (await http.get("/healthz")).status_code == 200
        go_on.set()
        assert [each.text for each in await asyncio.gather(*waiting)] == ["done", "done"]
        assert (await http.get("/asked")).status_code == 200


async def test_a_request_that_takes_too_long_is_answered_and_ended() -> None:
    ended = asyncio.Event()

    async def hang(request: Request, parts: Parts) -> Response:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    async with asking(parts(request_seconds=0.05), [operation(hang)]) as http:
        reply = await http.get("/asked")
    assert (reply.status_code, reply.json()["code"]) == (504, "TimedOut")
    assert ended.is_set()


async def test_a_body_that_does_not_arrive_in_time_is_told_so() -> None:
    async def dribble() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.sleep(60)
        yield b"x"

    async with asking(parts(request_seconds=0.05), [operation(read, method="POST")]) as http:
        reply = await http.post("/asked", content=dribble())
    assert (reply.status_code, reply.json()["code"]) == (408, "TooSlow")


async def test_a_body_that_dribbles_in_is_told_so_long_before_the_request_would_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(received, "BODY_SECONDS", 0.05)

    async def dribble() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    async with asking(parts(), [operation(read, method="POST")]) as http:
        reply = await http.post("/asked", content=dribble())
    assert (reply.status_code, reply.json()["code"]) == (408, "TooSlow")
    assert reply.headers["Connection"] == "close"


async def test_a_body_is_not_too_slow_because_its_reader_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(received, "BODY_SECONDS", 1.0)

    async def take_time(request: Request, parts: Parts) -> Response:
        async for _ in request.stream():
            await asyncio.sleep(0.3)
        return PlainTextResponse("read")

    async def parts_of_it() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"x"

    async with asking(parts(), [operation(take_time, method="POST")]) as http:
        assert (await http.post("/asked", content=parts_of_it())).text == "read"


async def test_one_address_never_has_all_places() -> None:
    go_on, arrived = asyncio.Event(), list[Request]()

    async def wait(request: Request, parts: Parts) -> Response:
        arrived.append(request)
        await go_on.wait()
        return PlainTextResponse("done")

    served = parts(concurrency=4)
    app = application(served, [operation(wait)])

    def at(address: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app, client=(address, 50_000))
        return httpx.AsyncClient(transport=transport, base_url="http://server")

    async with at("192.0.2.1") as one, at("192.0.2.2") as other:
        waiting = [asyncio.create_task(one.get("/asked")) for _ in range(3)]

        async def have_arrived() -> bool:
            return len(arrived) == 3

        await until(have_arrived)
        assert (await one.get("/asked")).status_code == 503
        waiting.append(asyncio.create_task(other.get("/asked")))
        go_on.set()
        assert {each.status_code for each in await asyncio.gather(*waiting)} == {200}
        assert (await one.get("/asked")).status_code == 200
    await served.fleet.aclose()


async def test_a_body_of_two_lengths_is_refused() -> None:
    two = {"Content-Length": "4", "Transfer-Encoding": "chunked"}
    async with asking(parts(), [operation(read, method="POST")]) as http:
        reply = await http.post("/asked", content=b"0\r\n\r\n", headers=two)
    assert (reply.status_code, reply.headers["Connection"]) == (400, "close")


async def test_a_bug_is_told_by_the_requests_id_and_shown_in_the_log_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with asking(parts(), [operation(fail)]) as http:
        reply = await http.get("/asked")
    assert reply.status_code == 500
    assert reply.json()["requestId"] == reply.headers["X-Request-Id"]
    assert SECRET not in reply.text and "KeyError" not in reply.text
    (logged,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert reply.headers["X-Request-Id"] in logged.getMessage()
    assert logged.exc_info and logged.exc_info[0] is KeyError


async def test_an_answer_that_breaks_off_is_not_completed_by_another_one() -> None:
    async def half(request: Request, parts: Parts) -> Response:
        async def content() -> AsyncIterator[bytes]:
            yield b"half"
            raise KeyError("a bug")

        return StreamingResponse(content())

    with pytest.raises(Exception, match="Failed"):
        async with asking(parts(), [operation(half)]) as http:
            await http.get("/asked")


async def test_every_refusal_has_the_form_of_the_api_that_was_asked() -> None:
    operations = [operation(fail, path="/theirs/bug"), operation(read, path="/theirs/longer/x")]

    def whispering(refused: RefusedError, request_id: str) -> Response:
        return PlainTextResponse(f"no. {refused.code}", status_code=refused.status)

    forms = {"/theirs/": shouting, "/theirs/longer/": whispering}
    async with asking(parts(), operations, forms=forms) as http:
        bug = await http.get("/theirs/bug")
        assert (bug.status_code, bug.text) == (500, f"NO! Failed {bug.headers['X-Request-Id']}")
        missing = await http.get("/theirs/nothing")
        assert missing.text.startswith("NO! NotFound") and missing.status_code == 404
        verb = await http.delete("/theirs/longer/x")
        assert (verb.text, verb.status_code) == ("no. MethodNotAllowed", 405)
        assert set(verb.headers["Allow"].split(", ")) == {"GET", "HEAD"}
        assert (await http.get("/nobodys")).json()["code"] == "NotFound"


@pytest.mark.parametrize("path", ["/asked", "/nothing", "/healthz", "/readyz", "/openapi.json"])
async def test_every_response_has_an_id_of_its_own_and_says_how_old_it_is(path: str) -> None:
    async with asking(parts(), [operation(read)]) as http:
        first, second = await http.get(path), await http.get(path)
    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]
    assert first.headers["X-Modelfleet-Age-Seconds"].isdigit()
    assert first.headers["X-Content-Type-Options"] == "nosniff"
    assert first.headers["Cache-Control"] == "no-store"
    assert "Strict-Transport-Security" not in first.headers, "it would lock http out"


async def test_a_handler_knows_the_id_that_the_caller_is_told_and_no_other() -> None:
    async def told(request: Request, parts: Parts) -> Response:
        return PlainTextResponse(request_id_of(request))

    async with asking(parts(), [operation(told)]) as http:
        reply = await http.get("/asked", headers={"X-Request-Id": "forged\nline"})
    assert reply.text == reply.headers["X-Request-Id"] != "forged"


async def test_a_fleet_that_is_read_and_followed_is_ready_and_of_age_zero() -> None:
    served = parts()
    async with asking(served, [operation(read)]) as http:
        before = await http.get("/readyz")
        assert (before.status_code, before.json()["synced"]) == (503, False)
        async with upkept(served):
            await until(ready(http))
            assert (await http.get("/readyz")).json() == {
                "ready": True,
                "synced": True,
                "draining": False,
                "age_seconds": 0,
                "accounts": "current",
            }
            assert "X-Modelfleet-Stale" not in (await http.get("/asked")).headers
            served.readiness.draining = True
            assert (await http.get("/readyz")).status_code == 503


async def test_a_server_that_starts_before_the_api_server_becomes_ready_with_it() -> None:
    api = ClusterApi()
    api.down = True
    served = parts(fleet=Fleet(api.client()))
    async with asking(served) as http, upkept(served):

        async def has_tried() -> bool:
            return bool(served.catalogue.freshness.trouble)

        await until(has_tried)
        assert (await http.get("/readyz")).status_code == 503
        assert (await http.get("/healthz")).status_code == 200
        api.down = False
        await until(ready(http))


async def test_while_the_api_server_is_away_answers_go_on_and_say_so() -> None:
    async def admitted(request: Request, parts: Parts) -> Response:
        account = parts.accounts.named("ci")
        assert account
        parts.admit(request, account)
        return PlainTextResponse("")

    api = ClusterApi()
    served = parts({"name": "ci"}, fleet=Fleet(api.client()))
    operations = [operation(read), operation(admitted, path="/admitted")]
    async with asking(served, operations) as http, upkept(served):
        await until(ready(http))
        api.down = True
        api.end_watches()

        async def is_in_trouble() -> bool:
            return bool(served.catalogue.freshness.trouble)

        await until(is_in_trouble)
        stale = await http.get("/asked")
        assert stale.status_code == 200
        to_strangers = "the API server cannot be asked at the moment"
        assert stale.headers["X-Modelfleet-Stale"] == to_strangers
        told = (await http.get("/admitted")).headers
        assert int(told["X-Modelfleet-Age-Seconds"]) >= 1
        assert told["X-Modelfleet-Stale"] != to_strangers
        assert told["X-Modelfleet-Stale"] in served.catalogue.freshness.trouble
        assert (await http.get("/readyz")).status_code == 200, "it still answers"


async def test_each_api_keeps_one_of_what_is_its_own() -> None:
    class Sessions:
        def __init__(self, parts: Parts) -> None:
            self.limit = parts.settings.sessions

    served, other = parts(sessions=7), parts()
    assert served.one(Sessions) is served.one(Sessions)
    assert served.one(Sessions).limit == 7
    assert served.one(Sessions) is not other.one(Sessions)
