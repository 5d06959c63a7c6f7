"""What is printed for people: tables that fit, ages, durations, names."""

from __future__ import annotations

import io
from datetime import datetime

import pytest
import typer
from rich.console import Console

from modelfleet.adapters.cli.ls import fleet_table
from modelfleet.adapters.cli.naming import address_of
from modelfleet.adapters.cli.status import routes_told
from modelfleet.adapters.cli.tables import age_of, seconds_in
from modelfleet.named import Address
from modelfleet.routing_report import proxy_report_of
from modelfleet.service import Service
from modelfleet.spec.proxy import ModelProxySpec

NOW = datetime.fromisoformat("2026-01-02T00:00:00Z")
OWNER = "acme/fleet/prod"


def service(name: str, *, owner: str = OWNER) -> Service:
    return Service(
        "models-eu",
        name,
        "READY",
        owner=owner,
        created_at="2026-01-01T12:00:00Z",
        replicas=2,
        ready_replicas=2,
        gpus=16,
        model="hf://Qwen/Qwen3-235B-A22B-Instruct-2507",
        kind="ModelService",
    )


def printed(*services: Service, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    for part in fleet_table(services, now=NOW, width=width):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_wide_terminal_has_a_column_for_everything() -> None:
    assert printed(service("chat"), service("embed"), width=140) == [
        "KIND          NAMESPACE  NAME   STATUS  READY  GPUS  AGE  MODEL"
        "                                    OWNER",
        "ModelService  models-eu  chat   READY   2/2    16    12h  "
        "hf://Qwen/Qwen3-235B-A22B-Instruct-2507  acme/fleet/prod",
        "ModelService  models-eu  embed  READY   2/2    16    12h  "
        "hf://Qwen/Qwen3-235B-A22B-Instruct-2507  acme/fleet/prod",
    ]


def test_a_narrow_terminal_is_told_once_what_holds_for_all() -> None:
    assert printed(service("chat"), service("embed"), width=80) == [
        "NAMESPACE  NAME   STATUS  READY  GPUS  AGE  MODEL",
        "models-eu  chat   READY   2/2    16    12h  hf://Qwen/Qwen3-235B-A22B-Instruct-2",
        "                                            507",
        "models-eu  embed  READY   2/2    16    12h  hf://Qwen/Qwen3-235B-A22B-Instruct-2",
        "                                            507",
        "",
        "All of kind ModelService, owner acme/fleet/prod",
    ]


def test_a_narrow_terminal_loses_nothing_where_services_have_several_owners() -> None:
    lines = printed(service("chat"), service("embed", owner="acme/other/prod"), width=100)
    assert lines[0].split()[-2:] == ["MODEL", "OWNER"]
    assert "".join(line[-15:].strip() for line in lines if "embed" in line) == "acme/other/prod"
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(
    ("time", "age"),
    [
        ("2026-01-01T23:59:59Z", "1s"),
        ("2026-01-01T23:58:01Z", "119s"),
        ("2026-01-01T23:58:00Z", "2m"),
        ("2026-01-01T22:00:00Z", "2h"),
        ("2025-12-31T00:00:00+00:00", "2d"),
        ("2026-01-02T00:00:30Z", "0s"),
        ("", "-"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(time: str, age: str) -> None:
    assert age_of(time, now=NOW) == age


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1h30m", 5400)])
def test_a_duration_is_a_number_of_seconds(text: str, seconds: int) -> None:
    assert seconds_in(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "10 m", "-5m", "1.5h"])
def test_what_is_no_duration_is_wrong_usage(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="not a duration such as 90s, 10m or 1h30m"):
        seconds_in(text)


@pytest.mark.parametrize(
    ("name", "namespace", "address"),
    [
        ("chat", None, Address("chat")),
        ("chat", "models", Address("chat", "models")),
        ("models/chat", None, Address("chat", "models")),
        ("models/chat", "models", Address("chat", "models")),
        ("proxy/chat", None, Address("chat", None, "ModelProxy")),
        ("service/chat", "models", Address("chat", "models", "ModelService")),
        ("proxy/models/chat", None, Address("chat", "models", "ModelProxy")),
        ("service/proxy/chat", None, Address("chat", "proxy", "ModelService")),
        ("chat", "proxy", Address("chat", "proxy")),
        ("proxy", None, Address("proxy")),
    ],
)
def test_what_is_meant_is_called_by_its_name_with_or_without_namespace_and_kind(
    name: str, namespace: str | None, address: Address
) -> None:
    assert address_of(name, namespace) == address


@pytest.mark.parametrize("name", ["chat", "models/chat", "proxy/chat", "service/proxy/chat"])
def test_an_address_is_told_as_it_can_be_typed(name: str) -> None:
    assert str(address_of(name, None)) == name


@pytest.mark.parametrize(
    ("name", "namespace", "says"),
    [
        ("models/chat", "other", "models/chat is not in namespace other; say one of the two"),
        ("models/", None, "neither a name nor namespace/name"),
        ("/chat", None, "neither a name nor namespace/name"),
        ("a/b/c", None, "neither a name nor namespace/name"),
        ("proxy/a/b/c", None, "neither a name nor namespace/name"),
        ("proxy/", None, "neither a name nor namespace/name"),
        ("proxy//chat", None, "or one of them after a kind: service/NAME, proxy/NAME"),
        ("proxy/models/chat", "other", "models/chat is not in namespace other; say one of the two"),
        ("", None, "neither a name nor namespace/name"),
    ],
)
def test_a_name_that_means_nothing_is_wrong_usage(
    name: str, namespace: str | None, says: str
) -> None:
    with pytest.raises(typer.BadParameter, match=says):
        address_of(name, namespace)


SPLIT = ModelProxySpec.model_validate(
    {
        "model_proxy_name": "gate",
        "namespace": "models",
        "workspace_id": "acme",
        "routes": {
            "chat": {
                "targets": [
                    {"service": "large", "weight": 80},
                    {"base_url": "https://api.example.com/v1", "model_name": "big", "weight": 20},
                ],
                "fallbacks": ["spare", "shared/last"],
            },
            "spare": {"targets": [{"service": "others/small"}]},
            "shared/last": {"targets": [{"service": "last"}]},
        },
        "api_keys": {"team-a": {"generate": {}}, "team-b": {"generate": {}}},
        "credential_name": "old-key",
    }
)


def test_the_routes_of_a_proxy_have_a_row_for_each_upstream() -> None:
    told = proxy_report_of(SPLIT, ())
    assert list(map(list, routes_told(told))) == [
        ["acme/chat", "80", "models/large", "large", "acme/spare, shared/last"],
        ["", "20", "https://api.example.com/v1", "big", ""],
        ["acme/spare", "1", "others/small", "small", "-"],
        ["shared/last", "1", "models/last", "last", "-"],
    ]
    assert told.keys == 3
    assert told.redis == ""


@pytest.mark.parametrize(
    ("redis", "objects", "says"),
    [
        ({"host": "redis.example.com", "port": 6380}, [], "redis.example.com:6380"),
        ({"managed": True}, [], "gate-redis, missing"),
        ({"managed": True}, [{}], "gate-redis, not ready"),
        ({"managed": True}, [{"status": {"readyReplicas": 1}}], "gate-redis, ready"),
    ],
)
def test_the_redis_of_a_proxy_is_told_with_how_it_is(
    redis: dict[str, object], objects: list[dict[str, object]], says: str
) -> None:
    spec = SPLIT.model_validate({**SPLIT.model_dump(exclude_unset=True), "redis": redis})
    metadata = {"name": "gate-redis", "namespace": "models"}
    live = [
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, **each}
        for each in objects
    ]
    assert proxy_report_of(spec, live).redis == says
