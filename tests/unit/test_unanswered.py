"""What does not answer a gateway: where it is declared, why, and whether the proxy waits for it."""

from __future__ import annotations

from typing import Any

import pytest
from proxy_declarations import proxy, reference, route

from modelfleet.gateway.upstreams import upstream_id
from modelfleet.service import Service
from modelfleet.spec import ModelProxySpec
from modelfleet.spec.proxy_routes import routes_of
from modelfleet.unanswered import unanswered_of

CHAT = Service(namespace="models", name="chat", status="READY", ready_replicas=1)
STARTING = Service(namespace="models", name="chat", status="CREATING")
EXTERNAL = reference("models/chat", base_url="https://api.example.com/v1", credential_name="s/k")
URL = {"base_url": "https://api.example.com/v1", "model_name": "m"}


def spec_of(*targets: Any) -> ModelProxySpec:
    return ModelProxySpec.model_validate(proxy(routes={"a": route(*targets)}))


def seen(spec: ModelProxySpec, status: int | None, reason: str | None = None) -> dict[str, Any]:
    """Return what one pod found, of all of its upstreams the same."""
    found = {"status": status, "reason": reason}
    ids = [upstream_id(n, each) for n, r in routes_of(spec).items() for each in r.upstreams]
    return {"upstreams": dict.fromkeys(ids, found)}


@pytest.mark.parametrize("status", [200, 302, 400, 404, 405, 429])
def test_whoever_answers_anything_but_a_refusal_or_a_failure_is_reached(status: int) -> None:
    spec = spec_of("chat", URL)
    assert unanswered_of(spec, [seen(spec, status)], services={CHAT.id: CHAT}) == []


@pytest.mark.parametrize(
    ("target", "services", "status", "blocks", "is_final"),
    [
        ("chat", [CHAT], None, True, False),
        ("chat", [CHAT], 503, True, False),
        ("chat", [CHAT], 401, True, True),
        ("chat", [STARTING], None, False, False),
        ("chat", [STARTING], 401, False, False),
        (EXTERNAL, [], None, False, False),
        (EXTERNAL, [], 403, True, True),
        (URL, [], None, False, False),
        (URL, [], 401, False, True),
    ],
)
def test_only_a_service_that_is_ready_or_refuses_its_key_holds_a_proxy_up(
    target: Any, services: list[Service], status: int | None, blocks: bool, is_final: bool
) -> None:
    spec = spec_of(target)
    states = {service.id: service for service in services}
    (found,) = unanswered_of(spec, [seen(spec, status, "why")], services=states)
    assert (found.blocks, found.is_final) == (blocks, is_final)
    assert found.text.startswith("routes.a.targets[0]: the gateway does not reach ")


def test_an_upstream_is_told_once_however_many_pods_do_not_reach_it() -> None:
    spec = spec_of("chat")
    well, ill = seen(spec, 200), seen(spec, None, "no answer within 3 s")
    services = {CHAT.id: CHAT}
    assert len(unanswered_of(spec, [ill, ill], services=services)) == 1
    assert len(unanswered_of(spec, [well, ill], services=services)) == 1


def test_what_gets_no_requests_is_not_asked_for() -> None:
    spec = spec_of({"service": "chat", "weight": 0}, URL)
    (found,) = unanswered_of(spec, [seen(spec, None)], services={CHAT.id: CHAT})
    assert "targets[1]" in found.text


@pytest.mark.parametrize(
    ("target", "reason", "hint"),
    [
        ("chat", "[Errno -2] Name or service not known", "No DNS server"),
        ("chat", "All connection attempts failed", "or a NetworkPolicy rejects"),
        (URL, "All connection attempts failed", "Nothing listens there."),
        ("chat", "no answer within 3 s", "kubectl get networkpolicies -n models"),
        (URL, "no answer within 3 s", "often a NetworkPolicy, or it is overloaded"),
        (URL, "its credential is not mounted", "targets[0].credential_name names"),
    ],
)
def test_each_kind_of_silence_has_its_hint(target: Any, reason: str, hint: str) -> None:
    spec = spec_of(target)
    (found,) = unanswered_of(spec, [seen(spec, None, reason)], services={CHAT.id: CHAT})
    assert reason in found.text
    assert hint in found.text
