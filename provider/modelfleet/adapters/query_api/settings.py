"""What a server is told when it starts. Read once; nothing here does anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _address(text: str) -> str:
    """Return ``text`` where it is the URL of a server, or nothing."""
    parts = urlsplit(text)
    is_url = parts.scheme in ("http", "https") and bool(parts.netloc)
    if text and (not is_url or parts.path.strip("/") or parts.query or parts.fragment):
        raise ValueError("must be a URL without a path, as https://models.example.com")
    return text


class Settings(BaseModel):
    """All of it, with the limits that hold for everybody; the command's options are its fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(8443, ge=0, le=65_535)
    tls_cert: Path | None = None
    tls_key: Path | None = None
    insecure_http: bool = False
    accounts: Path | None = None
    cluster: str = "default"
    public_address: Annotated[str, AfterValidator(_address)] = ""
    """Where proxies are reached from outside; ``{name}`` and ``{namespace}`` stand for theirs."""
    read_only: bool = False
    behind: tuple[str, ...] = ()
    """Addresses or networks of proxies whose word counts on where a request comes from."""

    body_bytes: int = Field(1_048_576, ge=1_024)
    account_rate: float = Field(50.0, gt=0)
    """Requests a second that one account may send in the long run."""
    address_rate: float = Field(100.0, gt=0)
    """Requests a second that may come from one address in the long run."""
    concurrency: int = Field(200, ge=1)
    """Requests that are answered at once, probes not counted."""
    request_seconds: float = Field(60.0, gt=0)
    drain_seconds: int = Field(30, ge=0)

    inference_body_bytes: int = Field(67_108_864, ge=1_024)
    """As much as a gateway takes, which bounds it as well."""
    inference_concurrency: int = Field(500, ge=1)
    inference_seconds: float = Field(3_600.0, gt=0)

    session_seconds: int = Field(7_200, ge=1)
    sessions: int = Field(500, ge=1)
    """Sessions at once."""
    skew_seconds: int = Field(900, ge=1)
    """How far the date of a signed request may be from this clock."""
    remembered_signatures: int = Field(400_000, ge=1)

    def endpoint_of(self, name: str, *, namespace: str) -> str:
        """Return the URL before ``/v1`` that a proxy is reached at; "" = as in the cluster.

        Where the public address does not say how its name comes in, it is this server's own.
        """
        address = self.public_address.rstrip("/")
        if address and "{name}" not in address:
            address += "/models/{name}"
        return address.replace("{name}", name).replace("{namespace}", namespace)
