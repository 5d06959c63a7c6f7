"""Signs requests as AgentRun's SDK does, for tests that send none of it: written from its wire.

The vectors in tests/unit/test_agentrun_api_signatures.py, which the SDK itself made, tie both down.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, unquote_plus

import httpx


@dataclass
class Signer(httpx.Auth):
    """Signs every request of a client with one access key for the control API.

    ``ahead`` is by how much its clock is wrong; ``nonce`` is used for all requests, unless it is
    ``""``; ``headers`` are added, and signed like the others.
    """

    key_id: str
    secret: str = field(repr=False)
    ahead: timedelta = timedelta()
    nonce: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers.update(
            {
                "x-acs-date": f"{datetime.now(UTC) + self.ahead:%Y-%m-%dT%H:%M:%SZ}",
                "x-acs-signature-nonce": self.nonce or secrets.token_hex(16),
                "x-acs-content-sha256": hashlib.sha256(request.content).hexdigest(),
                "x-acs-version": "2025-09-10",
                **self.headers,
            }
        )
        request.headers["authorization"] = self.authorization(request)
        yield request

    def authorization(self, request: httpx.Request) -> str:
        """Return the header that signs the others of a request."""
        signed = {
            name: value.strip()
            for name, value in sorted(request.headers.items())
            if name in ("host", "content-type") or name.startswith("x-acs-")
        }
        query = parse_qsl(request.url.query.decode(), keep_blank_values=True)
        text = "\n".join(
            [
                request.method,
                request.url.raw_path.decode().partition("?")[0],
                "&".join(
                    f"{quote(name, safe='~')}={quote(value, safe='~')}"
                    for name, value in sorted(query)
                ),
                "".join(f"{name}:{value}\n" for name, value in signed.items()),
                ";".join(signed),
                request.headers["x-acs-content-sha256"],
            ]
        )
        to_sign = f"ACS3-HMAC-SHA256\n{hashlib.sha256(text.encode()).hexdigest()}"
        signature = hmac.new(self.secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
        return (
            f"ACS3-HMAC-SHA256 Credential={self.key_id},SignedHeaders={';'.join(signed)},"
            f"Signature={signature}"
        )


@dataclass
class DataSigner(httpx.Auth):
    """Signs every request of a client for the data endpoint.

    With ``unbound`` it does so as ``model_info()`` of the SDK: before there is a request.
    """

    key_id: str
    secret: str = field(repr=False)
    ahead: timedelta = timedelta()
    unbound: bool = False
    sha256: str = "UNSIGNED-PAYLOAD"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        url = httpx.URL() if self.unbound else request.url
        method = "GET" if self.unbound else request.method
        host = "" if self.unbound else request.headers["host"]
        now = datetime.now(UTC) + self.ahead
        headers = {
            "host": host,
            "x-acs-content-sha256": self.sha256,
            "x-acs-date": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        }
        pairs = [part.partition("=") for part in url.query.decode().split("&") if "=" in part]
        query = sorted((unquote_plus(name), unquote_plus(value)) for name, _, value in pairs)
        text = "\n".join(
            [
                method,
                url.raw_path.decode().partition("?")[0] or "/",
                "&".join(
                    f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in query
                ),
                "".join(f"{name}:{value}\n" for name, value in headers.items()),
                ";".join(headers),
                self.sha256,
            ]
        )
        scope = (f"{now:%Y%m%d}", "cn-hangzhou", "agentrun", "aliyun_v4_request")
        key = f"aliyun_v4{self.secret}".encode()
        for part in scope:
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        to_sign = f"AGENTRUN4-HMAC-SHA256\n{hashlib.sha256(text.encode()).hexdigest()}"
        signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
        request.headers.update({name: headers[name] for name in headers if name != "host"})
        request.headers["agentrun-authorization"] = (
            f"AGENTRUN4-HMAC-SHA256 Credential={self.key_id}/{'/'.join(scope)},"
            f"SignedHeaders={';'.join(headers)},Signature={signature}"
        )
        yield request
