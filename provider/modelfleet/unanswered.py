"""Which upstreams a gateway cannot reach, and what that means for its proxy. Pure.

What the gateway's own application found (``/upstreams`` of each pod) is set beside what is known of
the services: one that is Ready must answer, of all others it is only said that they do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from modelfleet.gateway.upstreams import served_by, upstream_id
from modelfleet.service import Service
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_routes import Upstream, routes_of

_DENIED: Final = (401, 403)
_UNKNOWN_NAME: Final = ("name or service not known", "name resolution", "nodename nor servname")
_REFUSED: Final = ("refused", "connection attempts failed")


@dataclass(frozen=True)
class Unanswered:
    """An upstream that does not answer a gateway: a sentence or two on where, what and why.

    ``blocks``: the proxy is not ready before it does. ``is_final``: waiting does not help.
    """

    text: str
    blocks: bool
    is_final: bool = False


def unanswered_of(
    spec: ModelProxySpec,
    documents: Sequence[Mapping[str, Any]],
    *,
    services: Mapping[str, Service],
) -> list[Unanswered]:
    """Return what does not answer, once for each place in the declaration.

    ``documents`` are what ``/upstreams`` says in each pod, ``services`` the hosted services of the
    cluster by id.
    """
    found: dict[str, Unanswered] = {}
    for identity, upstream in _upstreams(spec):
        for document in documents:
            seen = (document.get("upstreams") or {}).get(identity)
            if seen is not None and not _answers(seen):
                found.setdefault(upstream.path, _told(upstream, seen, services))
    return list(found.values())


def _upstreams(spec: ModelProxySpec) -> Iterator[tuple[str, Upstream]]:
    for name, route in routes_of(spec).items():
        for upstream in served_by(route):
            yield upstream_id(name, upstream), upstream


def _answers(seen: Mapping[str, Any]) -> bool:
    """Return whether an upstream is there: not every one has a list of models to show."""
    status = seen.get("status")
    return isinstance(status, int) and status < 500 and status not in _DENIED


def _told(
    upstream: Upstream, seen: Mapping[str, Any], services: Mapping[str, Service]
) -> Unanswered:
    reason = str(seen.get("reason") or "it does not answer").rstrip(".")
    called = upstream.service or upstream.base_url
    at = "" if upstream.service is None else f" at {upstream.base_url}"
    text = f"{upstream.path}: the gateway does not reach {called}{at}: {reason}."
    service = services.get(upstream.service or "")
    if service is not None and not _serves(service):
        return Unanswered(f"{text} It is {service.status}; it gets requests once it serves.", False)
    is_denied = seen.get("status") in _DENIED
    blocks = service is not None or (upstream.service is not None and is_denied)
    return Unanswered(f"{text} {_hint(upstream, seen, reason)}", blocks, is_final=is_denied)


def _serves(service: Service) -> bool:
    return service.ready_replicas > 0


def _hint(upstream: Upstream, seen: Mapping[str, Any], reason: str) -> str:
    if seen.get("status") in _DENIED:
        field = f"{upstream.path}.credential_name"
        if upstream.credential_name is None:
            return f"It asks for a key: name the Secret that has it in {field}."
        return f"Correct {field}, or the key in that Secret ({upstream.credential_name})."
    said = reason.lower()
    if "credential is not mounted" in said:
        return f"Look at the Secret that {upstream.path}.credential_name names."
    if any(word in said for word in _UNKNOWN_NAME):
        return "No DNS server of the cluster knows that name: correct it."
    if isinstance(seen.get("status"), int):
        return "It is there, and fails: look at its log."
    hosted = upstream.service is not None
    if any(word in said for word in _REFUSED):
        return (
            "Nothing listens there, or a NetworkPolicy rejects the gateway."
            if hosted
            else "Nothing listens there."
        )
    namespace = (upstream.service or "").partition("/")[0]
    where = f" (kubectl get networkpolicies -n {namespace})" if hosted else ""
    return f"Something on the way drops it, often a NetworkPolicy{where}, or it is overloaded."
