"""Which URL outside of a cluster leads to a Service in it, as the Ingresses of its namespace say.

Only Ingresses count that a controller has taken up, which the addresses in their status show:
another one leads nowhere yet. What a controller does with a path is its own matter; a path that
does not end where the API begins is taken to be cut off on the way, since nothing else would make
sense of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import INGRESS, Object, Ref
from modelfleet.errors import ForbiddenError, NotFoundError

_REST: Final = re.compile(r"(\(/\|\$\)\(\.\*\)|/\(\.\*\)|\(/\.\*\)\??|/?\.\*)\$?$")
"""How the path of an Ingress says "and what comes after it" where it is a regular expression."""

_PATTERN: Final = re.compile(r"[()\[\]*+?|^$\\]")


async def ingress_url(client: Client, service: Ref, *, port: int, port_name: str, path: str) -> str:
    """Return the URL at which an Ingress serves ``path`` of a Service, "" where none does.

    Whoever may not list Ingresses is told of none.
    """
    try:
        listing = await client.list(INGRESS, namespace=service.namespace)
    except (ForbiddenError, NotFoundError):
        return ""
    return url_in(listing.items, service.name, port=port, port_name=port_name, path=path)


def url_in(
    ingresses: Iterable[Object], service: str, *, port: int, port_name: str, path: str
) -> str:
    """Return where ``ingresses`` serve ``path`` of the Service of that name, "" where they do not.

    Of several the safest, then the shortest, then the first by the alphabet: always the same one.
    """
    leads = {"name": service, "port": (port, port_name)}
    urls = {url for each in ingresses for url in _urls(each, leads, path=path)}
    ordered = sorted(urls, key=lambda url: (not url.startswith("https"), len(url), url))
    return next(iter(ordered), "")


def _urls(ingress: Object, leads: Mapping[str, Any], *, path: str) -> Iterator[str]:
    spec = ingress.get("spec") or {}
    status = (ingress.get("status") or {}).get("loadBalancer") or {}
    addresses = [
        str(each.get("hostname") or each.get("ip")) for each in status.get("ingress") or ()
    ]
    if not addresses or ingress["metadata"].get("deletionTimestamp"):
        return
    rules = list(spec.get("rules") or ())
    if (backend := spec.get("defaultBackend")) and not rules:
        rules = [{"http": {"paths": [{"path": "/", "backend": backend}]}}]
    for rule in rules:
        host = str(rule.get("host") or addresses[0])
        if host.startswith("*"):
            continue
        scheme = "https" if _has_tls(spec, host) else "http"
        for each in (rule.get("http") or {}).get("paths") or ():
            if _is(each.get("backend") or {}, leads) and (at := _path_of(each, path)) is not None:
                yield f"{scheme}://{host}{at}"


def _is(backend: Mapping[str, Any], leads: Mapping[str, Any]) -> bool:
    service = backend.get("service") or {}
    port = service.get("port") or {}
    number, name = leads["port"]
    same_port = port.get("number") == number or port.get("name") == name
    return bool(service.get("name") == leads["name"] and same_port)


def _path_of(declared: Mapping[str, Any], path: str) -> str | None:
    """Return where ``path`` is to be asked for, None where a declared path does not lead there."""
    prefix = str(declared.get("path") or "/")
    if declared.get("pathType") == "Exact":
        return None
    if declared.get("pathType") != "Prefix":
        prefix = _REST.sub("", prefix)
    if _PATTERN.search(prefix):
        return None
    prefix = prefix.rstrip("/")
    return path if f"{path}/".startswith(f"{prefix}/") else f"{prefix}{path}"


def _has_tls(spec: Mapping[str, Any], host: str) -> bool:
    """Return whether a certificate is declared for a host; one may be for all below a domain."""
    named = [name for each in spec.get("tls") or () for name in each.get("hosts") or ()]
    return host in named or f"*.{host.partition('.')[2]}" in named
