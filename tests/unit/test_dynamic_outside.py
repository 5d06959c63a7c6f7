"""Outside of a plugin's process the plumbing does nothing, and says so to its callers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2_grpc

from modelfleet.adapters.dynamic import engine_link
from modelfleet.adapters.dynamic.calls import calling_request
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


def test_an_engine_that_is_slow_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds: list[float] = []

    class Engine(engine_pb2_grpc.EngineServicer):
        def Log(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - as gRPC has it
            seconds.append(context.time_remaining())
            return empty_pb2.Empty()

    with ThreadPoolExecutor(1) as threads:
        server = grpc.server(threads)
        engine_pb2_grpc.add_EngineServicer_to_server(Engine(), server)  # type: ignore[no-untyped-call]
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        monkeypatch.setattr(engine_link, "engine_address", lambda: f"127.0.0.1:{port}")
        log("info", "rolling")
        server.stop(None).wait()
    (waits,) = seconds
    # A message that is given up is told on stderr, beside no resource, and perhaps for a second
    # time.
    assert waits > 30
    assert capsys.readouterr() == ("", "")


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
