"""Outside of a plugin's process the plumbing does nothing, and says so to its callers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import AsyncMock

import grpc  # type: ignore[import-untyped]
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2_grpc

from modelfleet.adapters.dynamic import announcements, engine_link
from modelfleet.adapters.dynamic.calls import Call, calling_request
from modelfleet.adapters.dynamic.check_failures import check_failures
from modelfleet.adapters.dynamic.engine_link import end_with_engine, engine_address, log
from modelfleet.adapters.dynamic.init_failed import keep_as_init_failed
from modelfleet.adapters.dynamic.reporting import reported
from modelfleet.errors import NotFoundError, Problem, ProviderBugError


def test_no_call_is_found() -> None:
    assert calling_request() is None


def test_init_failed_cannot_be_arranged_so_the_caller_has_to_roll_back() -> None:
    assert not keep_as_init_failed("models/qwen", {}, reasons=["not ready"])


def test_there_is_no_engine_to_follow() -> None:
    assert engine_address() is None
    end_with_engine()


def test_a_message_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    log("warning", "the pool is small", urn="urn:pulumi:dev::toys::t::bear")
    assert capsys.readouterr().err == "warning: the pool is small\n"


@dataclass
class Engine(engine_pb2_grpc.EngineServicer):
    """What an engine was told, and how long each message would have been waited for."""

    told: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def Log(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's spelling
        self.told.append(request.message)
        self.seconds.append(context.time_remaining())
        return empty_pb2.Empty()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    engine = Engine()
    with ThreadPoolExecutor(1) as threads:
        server = grpc.server(threads)
        engine_pb2_grpc.add_EngineServicer_to_server(engine, server)  # type: ignore[no-untyped-call]
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        monkeypatch.setattr(engine_link, "engine_address", lambda: f"127.0.0.1:{port}")
        yield engine
        server.stop(None).wait()


def test_an_engine_that_is_slow_is_waited_for(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    log("info", "rolling")
    # A message that is given up is told on stderr, beside no resource, and perhaps for a second
    # time.
    assert engine.told == ["rolling"]
    assert engine.seconds[0] > 30
    assert capsys.readouterr() == ("", "")


async def test_what_is_waited_for_is_not_shown_any_more_once_it_is_over(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcements, "SETTLED_SECONDS", 0.0)
    call = Call("create", "urn:bear", "bear", "t", None, empty_pb2.Empty(), AsyncMock())
    progress, held = announcements.Progress(call), threading.Event()
    with ThreadPoolExecutor(1) as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        threads.submit(held.wait, 10)  # as on a machine that has no time for another thread
        progress("waiting: a node")
        await asyncio.sleep(0.05)
        progress.end()
        held.set()
    assert engine.told == ["waited 0 s"]


def test_an_ephemeral_message_is_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    log("info", "waiting", ephemeral=True)
    assert capsys.readouterr() == ("", "")


def test_an_error_for_the_user_passes_as_it_is() -> None:
    error = NotFoundError("Namespace models", "does not exist.", status=404)

    @reported()
    def verb() -> None:
        raise error

    with pytest.raises(NotFoundError) as caught:
        verb()
    assert caught.value is error


def test_anything_else_becomes_a_bug_of_ours_and_keeps_its_cause() -> None:
    with pytest.raises(ProviderBugError, match="ended with KeyError") as caught, reported():
        {}["missing"]
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_failed_check_names_no_property_because_the_engine_would_print_its_value() -> None:
    (failure,) = check_failures([Problem("provider_settings.api_key", "is empty")])
    assert (failure.property, failure.reason) == ("", "provider_settings.api_key: is empty")
