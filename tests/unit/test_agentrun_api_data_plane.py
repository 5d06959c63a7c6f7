"""What the data endpoint hands on and what it keeps, and how it refuses OpenAI's clients."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from served import asking, operation, parts
from starlette.requests import Request
from starlette.responses import Response

from modelfleet.adapters.query_api.agentrun_api import FORMS, OPERATIONS
from modelfleet.adapters.query_api.agentrun_api.data_plane import Relayed, onward_headers
from modelfleet.adapters.query_api.parts import Parts

CHAT = "/models/gate/v1/chat/completions"
BEARER = {"Authorization": "Bearer sk-of-a-caller"}


def test_what_is_of_one_connection_or_of_this_server_is_not_handed_on() -> None:
    passing = [
        (b"authorization", b"Bearer sk-1"),
        (b"content-type", b"application/json"),
        (b"content-length", b"2"),
        (b"accept-encoding", b"gzip"),
        (b"x-request-id", b"1"),
        (b"openai-organization", b"o"),
        (b"x-multi", b"1"),
        (b"x-multi", b"2"),
    ]
    kept = [
        (b"Host", b"models.example.com"),
        (b"Connection", b"keep-alive, X-Hop"),
        (b"X-Hop", b"1"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Upgrade", b"h2c"),
        (b"Proxy-Authorization", b"Basic eA=="),
        (b"TE", b"trailers"),
        (b"Cookie", b"session=1"),
        (b"Set-Cookie", b"session=1"),
        (b"X-Forwarded-For", b"192.0.2.1"),
        (b"Agentrun-Authorization", b"AGENTRUN4-HMAC-SHA256 x"),
        (b"X-Acs-Date", b"2026-11-21T10:31:59Z"),
        (b"X-Acs-Security-Token", b"t"),
    ]
    assert onward_headers([*kept, *passing]) == passing


class Pieces(httpx.AsyncByteStream):
    """An answer of an upstream, which may break off; remembers whether it was given back."""

    def __init__(self, *, breaks: bool) -> None:
        self.breaks = breaks
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"half an "
        if self.breaks:
            raise httpx.RemoteProtocolError("the pod has died")
        yield b"answer"

    async def aclose(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize("breaks", [False, True])
async def test_an_answer_is_given_back_and_half_of_one_is_no_whole_one(
    breaks: bool, caplog: pytest.LogCaptureFixture
) -> None:
    pieces = Pieces(breaks=breaks)

    async def answer(request: Request, parts: Parts) -> Response:
        headers = {"content-type": "text/plain", "connection": "close"}
        return Relayed(httpx.Response(201, headers=headers, stream=pieces))

    async with asking(parts(), [operation(answer)]) as http:
        if breaks:
            with pytest.raises(Exception, match="unreachable"):  # which ends the connection
                await http.get("/asked")
            assert not caplog.records, "it is no bug of the server"
        else:
            reply = await http.get("/asked")
            assert (reply.status_code, reply.text) == (201, "half an answer")
            assert reply.headers["content-type"] == "text/plain"
            assert "connection" not in reply.headers
    assert pieces.is_closed


async def test_a_refusal_has_the_form_of_openai_whoever_refuses() -> None:
    async with asking(parts(inference_body_bytes=2_000), OPERATIONS, forms=FORMS) as http:
        for reply, status, code in (
            (await http.post(CHAT, content=b"x" * 2_001, headers=BEARER), 413, "TooLarge"),
            (await http.post(CHAT), 401, "missing_api_key"),
            (await http.post(f"{CHAT}/more", headers=BEARER), 404, "not_found"),
            (await http.get(CHAT, headers=BEARER), 405, "method_not_allowed"),
            (await http.put(CHAT, headers=BEARER), 405, "MethodNotAllowed"),
            (await http.get("/models/gate", headers=BEARER), 404, "NotFound"),
        ):
            error = reply.json()["error"]
            assert (reply.status_code, error["code"]) == (status, code)
            assert set(error) == {"message", "type", "param", "code", "request_id"}
            assert error["request_id"] == reply.headers["X-Request-Id"]


async def test_nobody_is_told_that_something_is_missing_before_the_fleet_is_known() -> None:
    async with asking(parts(), OPERATIONS, forms=FORMS) as http:
        reply = await http.post(CHAT, headers=BEARER)
        assert reply.status_code == 503
        assert reply.json()["error"]["code"] == "not_ready"
