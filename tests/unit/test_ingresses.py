"""Which URL leads to a Service, as Ingresses say it."""

from __future__ import annotations

from typing import Any

import pytest

from modelfleet.cluster.ingresses import url_in

HOST = "models.example.com"


def ingress(
    path: str | None = "/",
    *,
    path_type: str = "Prefix",
    host: str | None = HOST,
    service: str = "qwen",
    port: dict[str, Any] | None = None,
    tls: list[dict[str, Any]] | None = None,
    addresses: list[dict[str, str]] | None = None,
    deleted: bool = False,
) -> dict[str, Any]:
    backend = {"service": {"name": service, "port": port or {"number": 80}}}
    one = {"pathType": path_type, "backend": backend, **({"path": path} if path else {})}
    rule = {"http": {"paths": [one]}, **({"host": host} if host else {})}
    metadata = {"name": "in", **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {})}
    taken_up = [{"ip": "192.0.2.1"}] if addresses is None else addresses
    return {
        "metadata": metadata,
        "spec": {"rules": [rule], "tls": tls or []},
        "status": {"loadBalancer": {"ingress": taken_up}},
    }


def url(*ingresses: dict[str, Any]) -> str:
    return url_in(ingresses, "qwen", port=80, port_name="http", path="/v1")


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        (ingress(), f"http://{HOST}/v1"),
        (ingress(None), f"http://{HOST}/v1"),
        (ingress("/v1"), f"http://{HOST}/v1"),
        (ingress("/v1/"), f"http://{HOST}/v1"),
        (ingress(port={"name": "http"}), f"http://{HOST}/v1"),
        (ingress("/models/qwen"), f"http://{HOST}/models/qwen/v1"),
        (ingress("/v"), f"http://{HOST}/v/v1"),
        (
            ingress("/qwen(/|$)(.*)", path_type="ImplementationSpecific"),
            f"http://{HOST}/qwen/v1",
        ),
        (ingress("/qwen/(.*)", path_type="ImplementationSpecific"), f"http://{HOST}/qwen/v1"),
        (ingress("/(.*)", path_type="ImplementationSpecific"), f"http://{HOST}/v1"),
        (ingress("/[a-z]+/(.*)", path_type="ImplementationSpecific"), ""),
        (ingress("/v1", path_type="Exact"), ""),
        (ingress(host=None), "http://192.0.2.1/v1"),
        (
            ingress(host=None, addresses=[{"hostname": "lb.example.com"}]),
            "http://lb.example.com/v1",
        ),
        (ingress(host="*.example.com"), ""),
        (ingress(service="other"), ""),
        (ingress(port={"number": 9090}), ""),
        (ingress(addresses=[]), ""),
        (ingress(deleted=True), ""),
    ],
)
def test_host_and_path_of_a_rule_that_leads_to_the_service(
    declared: dict[str, Any], found: str
) -> None:
    assert url(declared) == found


@pytest.mark.parametrize(
    ("tls", "scheme"),
    [
        ([{"hosts": [HOST]}], "https"),
        ([{"hosts": ["other.example.com"]}, {"hosts": [HOST]}], "https"),
        ([{"hosts": ["*.example.com"]}], "https"),
        ([{"hosts": ["*.com"]}], "http"),
        ([{"hosts": ["other.example.com"]}], "http"),
        ([{}], "http"),
    ],
)
def test_it_is_https_where_a_certificate_is_declared_for_the_host(
    tls: list[dict[str, Any]], scheme: str
) -> None:
    assert url(ingress(tls=tls)) == f"{scheme}://{HOST}/v1"


def test_a_default_backend_serves_every_path_of_the_address() -> None:
    backend = {"service": {"name": "qwen", "port": {"number": 80}}}
    status = {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}]}}
    alone = {"metadata": {"name": "in"}, "spec": {"defaultBackend": backend}, "status": status}
    assert url(alone) == "http://lb.example.com/v1"


def test_of_several_it_is_the_safest_then_the_shortest_whatever_their_order() -> None:
    several = [
        ingress("/models/qwen", tls=[{"hosts": [HOST]}]),
        ingress(host="a.example.com"),
        ingress(host="b.example.com", tls=[{"hosts": ["b.example.com"]}]),
        ingress(host="c.example.com", tls=[{"hosts": ["c.example.com"]}]),
    ]
    for order in (several, several[::-1]):
        assert url(*order) == "https://b.example.com/v1"


def test_an_ingress_of_another_shape_is_no_reason_to_fail() -> None:
    resource = {"backend": {"resource": {"kind": "Bucket", "name": "files"}}}
    odd = {
        "metadata": {"name": "odd"},
        "spec": {"rules": [{"host": HOST}, {"host": HOST, "http": {"paths": [resource]}}]},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
    }
    assert url(odd, {"metadata": {"name": "bare"}}) == ""
