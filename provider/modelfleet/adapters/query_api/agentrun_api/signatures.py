"""What AgentRun's SDK signs, how, and whether a signature fits. Pure: no keys, clocks or requests.

Two schemes. ``ACS3-HMAC-SHA256`` of the control API covers method, path, query, all ``x-acs-``
headers and the body. ``AGENTRUN4-HMAC-SHA256`` of the data endpoint covers no body; and as the
SDK's ``model_info()`` makes it, no request either (:func:`unbound`). The older ``acs id:…`` with
HMAC-SHA1 is not verified: the SDK cannot be made to send it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import parse_qsl, quote, unquote_plus, unquote_to_bytes

ACS3: Final = "ACS3-HMAC-SHA256"
AGENTRUN4: Final = "AGENTRUN4-HMAC-SHA256"
UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"

_LONGEST: Final = 4096
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_SCOPE_END: Final = "aliyun_v4_request"
_KEY_PREFIX: Final = "aliyun_v4"
_PRODUCT: Final = "agentrun"


class UnreadableSignatureError(Exception):
    """A header that should prove who calls is none that could; the message says why."""


@dataclass(frozen=True)
class Message:
    """A request as it came over the wire: nothing decoded, names of headers in lower case."""

    method: str
    raw_path: str
    query: str
    headers: Mapping[str, tuple[str, ...]] = field(repr=False)

    def header(self, name: str) -> str | None:
        """Return a header that there is once, else None."""
        values = self.headers.get(name, ())
        return values[0].strip() if len(values) == 1 else None


@dataclass(frozen=True)
class Claim:
    """Who somebody claims to be, and the proof: ``scope`` is the date and region of the key."""

    key_id: str
    signed_headers: tuple[str, ...]
    signature: str = field(repr=False)
    scope: tuple[str, ...] = ()


def claim_in(header: str, *, algorithm: str) -> Claim:
    """Return what a header of that algorithm claims.

    Raises:
        UnreadableSignatureError: it is of another algorithm, or incomplete.
    """
    if len(header) > _LONGEST:
        raise UnreadableSignatureError("It is too long.")
    name, _, rest = header.partition(" ")
    if name != algorithm:
        raise UnreadableSignatureError(f"Only {algorithm} is accepted.")
    pairs = [part.strip().partition("=") for part in rest.split(",")]
    parts = {key: value for key, _, value in pairs}
    if len(parts) != len(pairs) or set(parts) != {"Credential", "SignedHeaders", "Signature"}:
        raise UnreadableSignatureError("It must say Credential, SignedHeaders and Signature, once.")
    if not _HEX.fullmatch(parts["Signature"]):
        raise UnreadableSignatureError("Signature must be 64 hex digits.")
    key_id, *scope = parts["Credential"].split("/")
    if not key_id:
        raise UnreadableSignatureError("Credential names no key.")
    return Claim(key_id, tuple(parts["SignedHeaders"].split(";")), parts["Signature"], tuple(scope))


def missing_headers(message: Message, claim: Claim, *, required: frozenset[str]) -> list[str]:
    """Return the headers that the signature should cover and does not, by name.

    Those are ``required`` and every ``x-acs-`` header there is: whoever overhears a request could
    change what is not covered.
    """
    sensitive = {name for name in message.headers if name.startswith("x-acs-")}
    return sorted((required | sensitive) - set(claim.signed_headers))


def acs3_fits(message: Message, claim: Claim, *, secret: str) -> bool:
    """Return whether ``claim`` was made with ``secret`` for this very message.

    Whether the body has the hash that it says is for whoever has the body.
    """
    payload = message.header("x-acs-content-sha256") or ""
    text = _canonical(message, claim, _encoded_path(message), _sorted_query(message), payload)
    expected = hmac.new(secret.encode(), _to_sign(ACS3, text), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, claim.signature)


def agentrun4_fits(message: Message, claim: Claim, *, secret: str) -> bool:
    """Return whether ``claim`` was made with ``secret``, for this message or as ``unbound``."""
    if len(claim.scope) != 4 or claim.scope[2:] != (_PRODUCT, _SCOPE_END):
        return False
    key = (_KEY_PREFIX + secret).encode()
    for part in claim.scope:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    # Both are computed, whichever fits: how long it takes says nothing.
    fitting = [
        hmac.compare_digest(
            hmac.new(key, _to_sign(AGENTRUN4, text), hashlib.sha256).hexdigest(), claim.signature
        )
        for text in (_agentrun4(message, claim), _agentrun4(unbound(message), claim))
    ]
    return any(fitting)


def unbound(message: Message) -> Message:
    """Return what ``model_info()`` of AgentRun's SDK signs in place of a message.

    It signs before there is a request: GET of ``/`` at no host. So whoever has such headers may
    send any request with them, for as long as their date is accepted.
    """
    return replace(
        message, method="GET", raw_path="/", query="", headers={**message.headers, "host": ("",)}
    )


def _agentrun4(message: Message, claim: Claim) -> str:
    query = "&".join(
        f"{_encoded(name)}={_encoded(value)}" for name, value in sorted(_last_of_each(message))
    )
    return _canonical(message, claim, message.raw_path or "/", query, UNSIGNED_PAYLOAD)


def _canonical(message: Message, claim: Claim, path: str, query: str, payload: str) -> str:
    headers = "".join(
        f"{name}:{','.join(sorted(each.strip() for each in message.headers.get(name, ())))}\n"
        for name in claim.signed_headers
    )
    signed = ";".join(claim.signed_headers)
    return f"{message.method}\n{path}\n{query}\n{headers}\n{signed}\n{payload}"


def _to_sign(algorithm: str, text: str) -> bytes:
    return f"{algorithm}\n{hashlib.sha256(text.encode()).hexdigest()}".encode()


def _encoded_path(message: Message) -> str:
    """Return the path as it was signed: HTTP clients send some of its characters unencoded."""
    parts = message.raw_path.split("/")
    return "/".join(quote(unquote_to_bytes(part), safe="~") for part in parts) or "/"


def _sorted_query(message: Message) -> str:
    pairs = parse_qsl(message.query, keep_blank_values=True)
    return "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in sorted(pairs))


def _last_of_each(message: Message) -> list[tuple[str, str]]:
    pairs = (part.partition("=") for part in message.query.split("&") if "=" in part)
    return list({unquote_plus(name): unquote_plus(value) for name, _, value in pairs}.items())


def _encoded(text: str) -> str:
    return quote(text, safe="~")
