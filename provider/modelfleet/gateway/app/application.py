"""The ASGI application of the gateway: LiteLLM's, and around it all that callers meet first."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from .asgi import Message, Receive, Send
from .concurrency import slots_of
from .engine import Engine
from .errors import GatewayError, internal_error, model_not_found
from .exchange import CALLER_GONE_STATUS, CallerGoneError, Exchange, Parts, elapsed_ms
from .guardrails import Guardrail
from .keys import Caller, Keyring
from .large_bodies import LargeBodies
from .limits import limiter_of
from .metrics import Metrics
from .paths import Target, target_of
from .records import RecordWriter, UsageRecord
from .replies import OuterHead, listed_models, one_model
from .settings import Gateway, Settings
from .steering import Steering
from .watched import STAT_SECONDS


class Application:
    """``on_ready`` is called once everything that a request needs is loaded."""

    def __init__(
        self, settings: Settings, gateway: Gateway, *, on_ready: Callable[[], None]
    ) -> None:
        self._records = RecordWriter()
        engine = Engine(settings, gateway)
        self._parts = Parts(
            settings=settings,
            gateway=gateway,
            engine=engine,
            steering=Steering(engine.own_parameters),
            limiter=limiter_of(gateway.raw, password_file=settings.redis_password_file),
            slots=slots_of(gateway.raw),
            bodies=LargeBodies(settings.max_bodies_bytes),
            guardrails={
                name: Guardrail(route.guardrail)
                for name, route in gateway.routes.items()
                if route.guardrail is not None
            },
        )
        self._metrics = Metrics(has_redis=self._parts.limiter.has_redis)
        self._keyring = Keyring(
            settings.keys_file,
            inbound_file=settings.inbound_file if gateway.has_inbound_credential else None,
            requires_key=gateway.requires_key,
        )
        self._on_ready = on_ready
        self.is_draining = False
        """Set when the process is to end: replies then ask callers to connect elsewhere."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._parts.engine.app(scope, receive, self._when_started(send))
        else:
            # No path takes web sockets; to close before accepting is a 403.
            await send({"type": "websocket.close", "code": 1008})

    def _when_started(self, send: Send) -> Send:
        async def inner_send(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                if not self._parts.engine.is_loaded:
                    await send({"type": "lifespan.startup.failed", "message": "no upstreams"})
                    return
                self._parts.engine.started()
                self._starting = asyncio.create_task(self._become_ready())
            elif message["type"] == "lifespan.shutdown.complete":
                await self._parts.limiter.close()
            await send(message)

        return inner_send

    async def _become_ready(self) -> None:
        # Nothing tells when a file has changed.
        while not self._keyring.is_read:  # noqa: ASYNC110
            await asyncio.sleep(STAT_SECONDS)
        self._on_ready()

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        started_at = time.perf_counter()
        head = OuterHead(uuid.uuid4().hex)
        record = UsageRecord(head.request_id, path="")
        if self.is_draining:
            head.more["connection"] = "close"
        self._metrics.in_flight.inc()
        try:
            await self._answer(scope, receive, send, head=head, record=record, at=started_at)
        except GatewayError as error:
            await _refuse(send, error, head=head, record=record)
        except CallerGoneError:
            record.status, record.error_code = CALLER_GONE_STATUS, "caller_gone"
        except Exception as error:
            print(f"request {head.request_id} failed: {_place(error)}", file=sys.stderr)
            await _refuse(send, internal_error(), head=head, record=record)
        finally:
            self._metrics.in_flight.dec()
            record.latency_ms = elapsed_ms(started_at)
            self._records.write(record)
            self._metrics.observe(record)
            self._metrics.note_redis(is_up=not self._parts.limiter.is_away)

    async def _answer(
        self,
        scope: Message,
        receive: Receive,
        send: Send,
        *,
        head: OuterHead,
        record: UsageRecord,
        at: float,
    ) -> None:
        target = target_of(scope["method"], scope.get("raw_path") or scope["path"].encode())
        record.path = target.path
        caller = self._keyring.caller(scope["headers"])
        record.key_name = caller.name
        if not target.is_inference:
            record.status = 200
            await _reply(send, 200, self._models(target, caller), head=head)
            return
        exchange = Exchange(self._parts, caller, record=record, head=head, started_at=at)
        await exchange.run(scope, receive, send)

    def _models(self, target: Target, caller: Caller) -> bytes:
        """The models that the caller may use, all or one."""
        gateway = self._parts.gateway
        usable = [n for n in gateway.routes if caller.access.verdict(n) == "allowed"]
        if target.model is None:
            return listed_models(usable, owner=gateway.proxy)
        if target.model not in usable:
            raise model_not_found(target.model)
        return one_model(target.model, owner=gateway.proxy)


async def _refuse(send: Send, error: GatewayError, *, head: OuterHead, record: UsageRecord) -> None:
    record.status, record.error_code = error.status, error.code
    head.more.update(error.headers)
    await _reply(send, error.status, error.body(), head=head)


async def _reply(send: Send, status: int, body: bytes, *, head: OuterHead) -> None:
    headers = head.raw(content_type=b"application/json", content_length=len(body))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _place(error: Exception) -> str:
    """The kind of an error and where it was raised: its text may hold what a caller sent."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    file = Path(trace.tb_frame.f_code.co_filename).name
    return f"{type(error).__name__} in {file}, line {trace.tb_lineno}"
