"""A resource that exists but did not become ready stays in the state.

A create that raises leaves nothing in the state, and an update that raises leaves the old inputs
there, so that putting the program back looks like "nothing to do" while the failed specification
is still live. For plugins in other languages the protocol has ``ErrorResourceInitFailed``: the
engine keeps the resource with its new inputs and outputs, remembers the reasons, and calls update
on the next run even if nothing changed. The Python SDK has no way to send it; this module
attaches it to the failure of the running call.

It rests on ``calls.py``. Where that finds nothing the answer is False, and the caller has to take
back what it made before it raises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.struct_pb2 import Struct
from pulumi.dynamic.dynamic import PROVIDER_KEY
from pulumi.runtime import rpc
from pulumi.runtime.proto import provider_pb2

from modelfleet.adapters.dynamic.calls import Call, calling_request
from modelfleet.adapters.dynamic.rpc_status import set_failure
from modelfleet.errors import ProviderBugError


def keep_as_init_failed(
    id_: str,
    outs: Mapping[str, Any],
    *,
    reasons: Sequence[str],
    inputs: Mapping[str, Any] | None = None,
) -> bool:
    """Have the engine keep the resource although the running verb is about to raise.

    ``outs`` are the full outputs, as a successful call would return them; values that the user
    gave as secrets stay secret by their key, computed ones are wrapped with
    ``secrets_wire.secret``. ``reasons`` are what the user is shown, one item each, in place of
    the exception. ``inputs`` are for a read only: the live inputs.

    Returns whether it could be arranged. Either way the caller raises next: after True its error;
    after False its error once what it made is taken back.
    """
    call = calling_request()
    if call is None:
        return False
    blob = _provider_blob(call)
    detail = provider_pb2.ErrorResourceInitFailed(
        id=id_,
        properties=_marshalled({**outs, PROVIDER_KEY: blob}),
        inputs=_marshalled({**inputs, PROVIDER_KEY: blob}) if inputs is not None else None,
        reasons=reasons,
    )
    set_failure(call, " ".join(reasons), detail=detail)
    return True


def _provider_blob(call: Call) -> str:
    # Later calls find our code through this property. The SDK's server adds it to results.
    for bag in ("news", "properties", "inputs"):
        properties = getattr(call.request, bag, {})
        if PROVIDER_KEY in properties:
            return str(properties[PROVIDER_KEY])
    raise ProviderBugError(f"{call.verb} of {call.urn} came without {PROVIDER_KEY}")


def _marshalled(properties: Mapping[str, Any]) -> Struct:
    # The same function, on a loop of its own, by which the SDK's server marshals results.
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(rpc.serialize_properties(dict(properties), {}))
    finally:
        loop.close()
