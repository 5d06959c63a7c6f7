"""The plumbing under the SDK's own server, as an engine would speak to it over gRPC.

The engine here is a fake at the transport; what the real one makes of the answers is shown by
``tests/engine/test_engine_contract.py``.
"""

from __future__ import annotations

import base64
import queue
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi.dynamic.dynamic import PROVIDER_KEY
from pulumi.runtime import rpc
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    provider_pb2,
    provider_pb2_grpc,
    status_pb2,
)

PROJECT = Path(__file__).parent.parent / "fixtures" / "toy_project"
URN = "urn:pulumi:dev::toys::pulumi-python:dynamic/toys:Toy::bear"
BLOB = base64.b64encode(b"\x80\x04ctoy\ntoy_provider\n)R.").decode()


class FakeEngine(engine_pb2_grpc.EngineServicer):
    def __init__(self) -> None:
        self.logged: queue.Queue[engine_pb2.LogRequest] = queue.Queue()

    def Log(self, request: engine_pb2.LogRequest, _: grpc.ServicerContext) -> Empty:  # noqa: N802
        self.logged.put(request)
        return Empty()


class Plugin:
    """A dynamic provider's process and the engine it believes in."""

    def __init__(self) -> None:
        self.engine = FakeEngine()
        self.server = grpc.server(futures.ThreadPoolExecutor(2))
        engine_pb2_grpc.add_EngineServicer_to_server(self.engine, self.server)
        port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pulumi.dynamic", f"127.0.0.1:{port}"],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.channel = grpc.insecure_channel(f"127.0.0.1:{int(self.process.stdout.readline())}")
        self.provider = provider_pb2_grpc.ResourceProviderStub(self.channel)

    def create(self, **props: object) -> provider_pb2.CreateResponse:
        properties = Struct()
        properties.update({"name": "bear", **props, PROVIDER_KEY: BLOB})
        return self.provider.Create(
            provider_pb2.CreateRequest(
                urn=URN, name="bear", type="t:t:Toy", properties=properties, timeout=90
            )
        )

    def close(self) -> None:
        self.channel.close()
        self.server.stop(None).wait()
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture(scope="module")
def plugin() -> Iterator[Plugin]:
    plugin = Plugin()
    yield plugin
    plugin.close()


def failure(plugin: Plugin, how: str) -> status_pb2.Status:
    with pytest.raises(grpc.RpcError) as caught:
        plugin.create(fails=how, key="s3cr3t")
    trailers = {each.key: each.value for each in caught.value.trailing_metadata()}
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    assert status.code == caught.value.code().value[0], "the engine ignores any other code"
    return status


def test_a_verb_sees_its_urn_and_timeout_although_the_sdk_drops_them(plugin: Plugin) -> None:
    outs = plugin.create().properties
    assert (outs["urn_seen"], outs["timeout_seen"]) == (URN, 90)


def test_a_message_reaches_the_engine_with_the_urn_of_its_resource(plugin: Plugin) -> None:
    plugin.create()
    logged = plugin.engine.logged.get(timeout=60)
    assert (logged.urn, logged.ephemeral, logged.severity) == (URN, True, engine_pb2.INFO)


def test_an_error_for_the_user_is_answered_with_its_text_alone(plugin: Plugin) -> None:
    status = failure(plugin, "refused")
    assert status.message == "Toy bear: denied by quota. Ask for more toys."
    assert not status.details


def test_a_bug_is_answered_with_its_traceback_and_says_whose_it_is(plugin: Plugin) -> None:
    message = failure(plugin, "bug").message
    assert message.startswith("Traceback (most recent call last):")
    assert "LookupError: nobody thought of this" in message
    assert message.endswith(
        "Toy bear: create ended with LookupError. This is a bug in modelfleet; "
        "please report it with the traceback above."
    )


def test_what_is_not_ready_is_answered_with_its_id_outputs_and_reasons(plugin: Plugin) -> None:
    (packed,) = failure(plugin, "not ready").details
    detail = provider_pb2.ErrorResourceInitFailed()
    assert packed.Unpack(detail)
    assert detail.id == "toy/bear"
    assert detail.properties[PROVIDER_KEY] == BLOB
    token = rpc.deserialize_properties(detail.properties)["token"]
    assert rpc.is_rpc_secret(token)
    assert list(detail.reasons) == [
        "pod toy-0 cannot be scheduled: 0/3 nodes have 8 GPUs (deployment.gpu.count)."
    ]


def test_a_plugin_ends_when_its_engine_is_gone() -> None:
    plugin = Plugin()
    try:
        plugin.create()
        plugin.server.stop(None).wait()
        assert plugin.process.wait(timeout=60) == 70
    finally:
        plugin.close()
