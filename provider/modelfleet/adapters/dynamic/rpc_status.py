"""The answer to a failed call, in the form that the engine reads first.

The SDK's server answers every exception with its traceback. The engine prefers a
``google.rpc.Status`` in the trailing metadata where there is one: its message is shown instead,
and its details can say more than a text. Only that record is written here; raising is the
caller's.
"""

from __future__ import annotations

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from pulumi.runtime.proto import status_pb2

from modelfleet.adapters.dynamic.calls import Call

_TRAILER = "grpc-status-details-bin"

# The engine takes the record only if its code is that of the call, and the SDK's server fails
# every call with this one (google.rpc.Code.UNKNOWN).
_UNKNOWN = 2


def set_failure(call: Call, message: str, *, detail: Message | None = None) -> None:
    """Let the engine read ``message``, and ``detail``, once ``call`` ends with an exception.

    A detail set earlier in the same call stays.
    """
    status = _failure(call)
    status.code = _UNKNOWN
    status.message = message
    if detail is not None:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    call.context.set_trailing_metadata(((_TRAILER, status.SerializeToString()),))


def _failure(call: Call) -> status_pb2.Status:
    trailers = dict(call.context.trailing_metadata() or ())
    return status_pb2.Status.FromString(trailers.get(_TRAILER, b""))
