"""Who wrote what: one line of JSON on stdout per write, for those that were refused as well.

Holds names, never bodies: nothing that somebody declared, and no secret, can come in.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Final, Literal

from starlette.requests import Request

from modelfleet.adapters.query_api.bounds import address_of
from modelfleet.adapters.query_api.refusal import request_id_of

LOGGER: Final = "modelfleet.audit"

Outcome = Literal["done", "refused", "failed"]

_LONGEST: Final = 256


class Audit:
    """Writes the lines."""

    def __init__(self) -> None:
        self._log = logging.getLogger(LOGGER)

    def write(
        self,
        request: Request,
        *,
        account: str,
        verb: str,
        kind: str,
        name: str,
        outcome: Outcome,
        status: int,
        namespace: str = "",
        before: str = "",
        after: str = "",
        error: str = "",
    ) -> None:
        """Tell of one write: ``verb`` is create, update, delete, login or logout.

        ``account`` is the name that was proved, "" where none was. ``before`` and ``after`` are
        the resource's incarnations, ``error`` the class of what was raised. What is "" is left out.
        """
        said = {
            "account": account,
            "client": address_of(request),
            "verb": verb,
            "kind": kind,
            "namespace": namespace,
            "name": name,
            "outcome": outcome,
            "before": before,
            "after": after,
            "error": error,
        }
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "request_id": request_id_of(request),
            **{key: value[:_LONGEST] for key, value in said.items() if value},
            "status": status,
        }
        self._log.info(json.dumps(line))
