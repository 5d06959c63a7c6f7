"""Paths, rights, keys and bodies: what the gateway decides before LiteLLM is asked."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelfleet.gateway.app import watched
from modelfleet.gateway.app.access import Access
from modelfleet.gateway.app.errors import GatewayError
from modelfleet.gateway.app.forms import File, Form, form_body, read_form
from modelfleet.gateway.app.keys import ANONYMOUS, INBOUND_NAME, Keyring
from modelfleet.gateway.app.large_bodies import LargeBodies
from modelfleet.gateway.app.paths import target_of
from modelfleet.gateway.app.request_bodies import inner_body, request_of
from modelfleet.gateway.app.settings import Gateway, Route, Upstream, settings_of
from modelfleet.gateway.app.steering import Steering
from modelfleet.gateway.app.upstream_checks import UpstreamChecks
from modelfleet.gateway.app.watched import WatchedFile

ROUTE = Route("chat", 60, (), False, 300, {}, None)
CACHED = Route("chat", 60, (), True, 30, {}, None)


@pytest.mark.parametrize(
    ("raw", "path", "model"),
    [
        (b"/v1/chat/completions", "chat/completions", None),
        (b"/v1/chat/completions/", "chat/completions", None),
        (b"/v1/models", "models", None),
        (b"/v1/models/", "models", None),
        (b"/v1/models/team/chat", "models", "team/chat"),
        (b"/v1/models/team%2Fchat", "models", "team/chat"),
        (b"/v1/models/%2e%2e/chat", "models", "../chat"),
    ],
)
def test_a_path_is_a_target_as_it_is_written(raw: bytes, path: str, model: str | None) -> None:
    target = target_of("GET" if path == "models" else "POST", raw)
    assert (target.path, target.model) == (path, model)


@pytest.mark.parametrize("raw", [b"", b"/", b"*", b"/v1/models/\xff", b"/v1/models/%ff", b"/v1//"])
def test_anything_else_is_nowhere(raw: bytes) -> None:
    with pytest.raises(GatewayError) as error:
        target_of("GET", raw)
    assert (error.value.status, error.value.code) == (404, "not_found")


@pytest.mark.parametrize(
    ("allow", "deny", "name", "verdict"),
    [
        ((), (), "chat", "allowed"),
        (("team/*",), (), "team/a/b", "allowed"),
        (("team/*",), (), "chat", "not granted"),
        (("*",), ("secret*",), "secret-chat", "denied"),
        (("secret-chat",), ("secret*",), "secret-chat", "denied"),
        ((), ("CHAT",), "chat", "allowed"),
        (("cha?",), (), "chat", "allowed"),
        (("cha",), (), "chat", "not granted"),
        ((), ("chat\n",), "chat", "allowed"),
    ],
)
def test_deny_beats_allow_and_an_empty_allow_is_all(
    allow: tuple[str, ...], deny: tuple[str, ...], name: str, verdict: str
) -> None:
    assert Access(allow, deny).verdict(name) == verdict


def test_keys_with_the_same_rights_share_a_fingerprint_and_others_none() -> None:
    assert Access(("a", "b")).fingerprint == Access(("b", "a")).fingerprint
    rights = [Access(), Access(("a",)), Access((), ("a",)), Access(("a", "b")), Access(("a\nb",))]
    assert len({each.fingerprint for each in rights}) == len(rights)


def key_file(folder: Path, *keys: str, **more: Any) -> Path:
    entry: dict[str, Any] = {
        "name": "a",
        "expires_at": None,
        "models": {"allow": [], "deny": []},
        "limits": {},
    }
    known = {hashlib.sha256(key.encode()).hexdigest(): {**entry, **more} for key in keys}
    file = folder / "keys.json"
    file.write_text(json.dumps({"version": 1, "keys": known}))
    return file


def refused(call: Callable[[], object]) -> str | None:
    with pytest.raises(GatewayError) as error:
        call()
    return error.value.code


def bearer(key: str) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", f"Bearer {key}".encode())]


def test_a_key_is_known_by_its_hash_until_it_expires(tmp_path: Path) -> None:
    for expires_at, code in (
        (None, None),
        ("2999-01-01T00:00:00Z", None),
        ("2020-01-01T00:00:00+02:00", "incorrect_api_key"),
    ):
        keyring = Keyring(
            key_file(tmp_path, "sk-1", expires_at=expires_at), inbound_file=None, requires_key=True
        )
        if code is None:
            assert keyring.caller(bearer("sk-1")).name == "a"
        else:
            assert refused(lambda keyring=keyring: keyring.caller(bearer("sk-1"))) == code  # type: ignore[misc]
    assert refused(lambda: keyring.caller([])) == "missing_api_key"
    assert refused(lambda: keyring.caller(bearer("sk 1"))) == "missing_api_key"


def test_the_inbound_credential_lets_in_as_well(tmp_path: Path) -> None:
    inbound = tmp_path / "key"
    inbound.write_text("sk-inbound\n")
    keyring = Keyring(tmp_path / "keys.json", inbound_file=inbound, requires_key=True)
    assert keyring.is_read
    assert keyring.caller(bearer("sk-inbound")).name == INBOUND_NAME
    assert refused(lambda: keyring.caller(bearer(""))) == "missing_api_key"
    inbound.write_text("")
    empty = Keyring(tmp_path / "keys.json", inbound_file=inbound, requires_key=True)
    assert refused(lambda: empty.caller(bearer("x"))) == "incorrect_api_key"


def test_where_no_key_is_required_none_is_asked_for_and_a_wrong_one_is_still_wrong(
    tmp_path: Path,
) -> None:
    without = Keyring(tmp_path / "none.json", inbound_file=None, requires_key=False)
    assert without.caller([]) is ANONYMOUS
    assert without.caller(bearer("anything")) is ANONYMOUS
    some = Keyring(key_file(tmp_path, "sk-1"), inbound_file=None, requires_key=False)
    assert some.caller([]) is ANONYMOUS
    assert some.caller(bearer("sk-1")).name == "a"
    assert refused(lambda: some.caller(bearer("other"))) == "incorrect_api_key"


def test_a_file_is_read_again_when_it_changes_and_kept_while_it_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watched, "STAT_SECONDS", 0.0)
    file = tmp_path / "value"
    value = WatchedFile(file, lambda content: int(content), absent=-1)
    assert (value.current(), value.is_sound) == (-1, True)

    def write(text: str, at: int) -> None:
        file.write_text(text)
        os.utime(file, (at, at))

    write("1", 1)
    assert value.current() == 1
    write("secret 2", 2)
    assert [value.current(), value.current(), value.is_sound] == [1, 1, False]
    write("3", 3)
    assert [value.current(), value.is_sound, value.version] == [3, True, 3]
    file.unlink()
    assert value.current() == -1
    complaints = capsys.readouterr().err
    assert complaints.count("kept as it was") == 1
    assert "secret" not in complaints


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '{"version": 2, "keys": {}}',
        '{"version": 1, "keys": []}',
        '{"version": 1, "keys": {"xy": {}}}',
        "[" * 100_000,
        '{"version": 1, "keys": {',
    ],
    ids=["empty", "null", "list", "version", "keys", "entry", "nested", "cut"],
)
def test_a_broken_file_of_keys_lets_in_who_was_let_in_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(watched, "STAT_SECONDS", 0.0)
    file = key_file(tmp_path, "sk-1")
    keyring = Keyring(file, inbound_file=None, requires_key=True)
    assert keyring.caller(bearer("sk-1")).name == "a"
    file.write_text(text)
    assert keyring.caller(bearer("sk-1")).name == "a"
    assert refused(lambda: keyring.caller(bearer("sk-2"))) == "incorrect_api_key"
    from_the_start = Keyring(file, inbound_file=None, requires_key=True)
    assert not from_the_start.is_read
    assert refused(lambda: from_the_start.caller(bearer("sk-1"))) == "incorrect_api_key"


async def test_orders_go_and_what_models_are_asked_stays() -> None:
    asked = {
        "model": "chat",
        "messages": [],
        "top_k": 1,
        "guided_json": {},
        "chat_template_kwargs": {},
        "user": "u",
    }
    orders = {"api_base": 1, "own_order": 2, "_x": 3, "mock_y": 4, "metadata": {"a": "b"}}
    request = await request_of(
        "chat/completions", json.dumps({**asked, **orders}).encode(), content_type=b""
    )
    body, content_type = inner_body(
        request, ROUTE, Steering(["own_order", "user", "messages"]), namespace="n"
    )
    assert json.loads(body) == asked
    assert content_type == b"application/json"


async def test_metadata_of_responses_is_texts_only() -> None:
    given = {"a": "b", "tags": "t", "user_api_key": "x", "n": 1, "deep": {"x": "y"}, "order": "7"}
    body = json.dumps({"model": "chat", "metadata": given}).encode()
    request = await request_of("responses", body, content_type=b"")
    inner, _ = inner_body(request, ROUTE, Steering(["order"]), namespace="n")
    assert json.loads(inner)["metadata"] == {"a": "b", "order": "7"}


@pytest.mark.parametrize(
    ("stream", "options", "expected", "lacks"),
    [
        (False, None, None, False),
        (True, None, {"include_usage": True}, True),
        (True, {"include_usage": False}, {"include_usage": True}, True),
        (True, {"include_usage": True}, {"include_usage": True}, False),
        (True, {"include_usage": "please"}, {"include_usage": True}, True),
        (True, {"x": 1}, {"x": 1, "include_usage": True}, True),
        (True, "nonsense", {"include_usage": True}, True),
    ],
)
async def test_usage_of_streams_is_always_asked_for(
    stream: bool, options: Any, expected: Any, lacks: bool
) -> None:
    fields = {"model": "chat", "stream": stream}
    fields |= {} if options is None else {"stream_options": options}
    request = await request_of("chat/completions", json.dumps(fields).encode(), content_type=b"")
    body, _ = inner_body(request, ROUTE, Steering(), namespace="n")
    assert json.loads(body).get("stream_options") == expected
    assert request.lacks_usage is lacks


async def test_the_cache_is_asked_where_it_is_declared_and_kept_apart_by_namespace() -> None:
    request = await request_of("chat/completions", b'{"model": "chat"}', content_type=b"")
    body, _ = inner_body(request, CACHED, Steering(), namespace="rights-1")
    asked = json.loads(body)["cache"]
    assert asked.pop("namespace").startswith("rights-1/")
    assert asked == {"use-cache": True, "ttl": 30}
    other = await request_of("responses", b'{"model": "chat"}', content_type=b"")
    assert "cache" not in json.loads(inner_body(other, CACHED, Steering(), namespace="x")[0])


async def test_cached_answers_are_shared_between_equal_requests_only() -> None:
    async def namespace(**fields: Any) -> str:
        asked = json.dumps({"model": "chat", **fields}).encode()
        request = await request_of("chat/completions", asked, content_type=b"")
        body, _ = inner_body(request, CACHED, Steering(), namespace="rights")
        return str(json.loads(body)["cache"]["namespace"])

    assert await namespace(top_k=1, n=2) == await namespace(n=2, top_k=1)
    template = {"chat_template": "Say what I like."}
    seen = {await namespace(), await namespace(top_k=1), await namespace(**template)}
    assert len(seen) == 3


async def test_a_tool_that_litellm_would_look_for_in_itself_is_dropped() -> None:
    outside = {"type": "mcp", "server_url": "https://tools.example/mcp"}
    function = {"type": "function", "function": {"name": "f"}}
    own = {"type": "mcp", "server_url": "litellm_proxy/mcp/any"}
    asked = {"model": "chat", "tools": [outside, own, function, 7]}
    request = await request_of("responses", json.dumps(asked).encode(), content_type=b"")
    body, _ = inner_body(request, ROUTE, Steering(), namespace="n")
    assert json.loads(body)["tools"] == [outside, function, 7]


async def test_a_form_is_read_and_written_anew() -> None:
    form = Form(
        (
            ("model", "chat"),
            ("api_base", "http://elsewhere"),
            ("file", File('a".wav\r\nx: y', "audio/wav\r\nz: 1", b"RIFF\r\n--x")),
        )
    )
    body, content_type = form_body(form.without(lambda name: name == "api_base"))
    again = await read_form(body, content_type)
    file = again.parts[1][1]
    assert again.texts == {"model": "chat"}
    assert isinstance(file, File)
    assert file.content == b"RIFF\r\n--x"
    assert not set('"\r\n') & set(file.filename)


@pytest.mark.parametrize("content_type", [b"", b"application/json", b"multipart/form-data"])
async def test_what_is_no_form_is_said_to_be_none(content_type: bytes) -> None:
    with pytest.raises(GatewayError) as error:
        await read_form(b"{}", content_type)
    assert error.value.status == 400


def test_large_bodies_share_what_room_there_is_and_small_ones_always_fit() -> None:
    bodies, mib = LargeBodies(5 * 2**20), 2**20
    with bodies.room() as first:
        for size in (100, 2 * mib, 4 * mib):
            first(size)
        with bodies.room() as second, bodies.room() as small:
            small(mib - 1)
            with pytest.raises(GatewayError) as refused:
                second(2 * mib)
            assert (refused.value.status, refused.value.code) == (503, "service_unavailable")
            second(mib)
    with bodies.room() as again:
        again(5 * mib)


async def test_of_an_upstream_that_is_looked_at_only_the_head_is_read(tmp_path: Path) -> None:
    async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b" " * 1000)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    upstream = Upstream("id", "u", "routes.a", None, f"http://127.0.0.1:{port}/v1", None)
    gateway = Gateway("ns/front", {}, {"id": upstream}, {}, False, False, 1, {})
    settings = settings_of({"MODELFLEET_SECRETS": str(tmp_path)})
    async with server, asyncio.timeout(240):
        found = await UpstreamChecks(settings, gateway).document()
    assert found["upstreams"]["id"]["status"] == 200


@pytest.mark.parametrize(
    "names", [["prompt", "prompt"], ["prompt", "prompt[]"], ["model", "model"]]
)
async def test_a_form_that_can_be_read_in_two_ways_is_refused(names: list[str]) -> None:
    body, content_type = form_body(Form(tuple((name, "x") for name in names)))
    with pytest.raises(GatewayError) as refused:
        await read_form(body, content_type)
    assert refused.value.code == "invalid_request"


async def test_lists_in_a_form_are_what_litellm_makes_of_them() -> None:
    parts = (("model", "ears"), ("prompt[]", "a"), ("prompt[]", "b"), ("fallbacks[]", "other"))
    body, content_type = form_body(Form((*parts, ("tags[]", "x"), ("_x[]", "y"))))
    request = await request_of("audio/transcriptions", body, content_type=content_type)
    assert request.fields["prompt"] == ["a", "b"]
    inner, inner_type = inner_body(request, ROUTE, Steering(), namespace="n")
    assert dict((await read_form(inner, inner_type)).texts) == {
        "model": "ears",
        "prompt": ["a", "b"],
    }
    # What it is called once it is written anew is what counts.
    assert not Form((('"x', "y"),)).without(Steering().is_order).parts
