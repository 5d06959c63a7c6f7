"""Which proxy the environment asks for on the way to one server. Pure.

As in kubectl (and Go): HTTPS_PROXY, HTTP_PROXY and NO_PROXY in upper or lower case, with CIDR
ranges and domain suffixes in NO_PROXY, and never a proxy for this very machine.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit


def environment_proxy(server: str, environ: Mapping[str, str]) -> str | None:
    """Return the URL of the proxy to use for ``server``, or None for a direct connection."""
    url = urlsplit(server)
    host = (url.hostname or "").lower()
    proxy = _variable(environ, f"{url.scheme}_proxy")
    if not proxy or _is_loopback(host):
        return None
    exceptions = _variable(environ, "no_proxy").split(",")
    if any(_matches(host, url.port, each.strip().lower()) for each in exceptions):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name.upper()) or environ.get(name) or ""


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _matches(host: str, port: int | None, exception: str) -> bool:
    """Say whether one entry of NO_PROXY covers ``host``."""
    if not exception:
        return False
    if exception == "*":
        return True
    name, colon, wanted_port = exception.rpartition(":")
    if colon and wanted_port.isdigit() and "]" not in wanted_port and name.count(":") == 0:
        exception = name
        if port != int(wanted_port):
            return False
    address = _address(host)
    if address is not None:
        try:
            return address in ipaddress.ip_network(exception, strict=False)
        except ValueError:
            return False
    suffix = exception.removeprefix("*").removeprefix(".")
    inner_only = exception.startswith((".", "*."))
    return host.endswith(f".{suffix}") or (host == suffix and not inner_only)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
