"""ModelProxy on the real engine: what a preview tells, what a state keeps, in which order it goes.

That a gateway answers is proved on pods that run (``tests/pods``); here nobody waits for one.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from declaring import ACCEPTED, Code, external, hosted, program, proxy
from looking import Namespace

from modelfleet.local.api import Api
from pulumi_stack import Stack

StackFactory = Callable[..., Stack]
Transcript = Callable[..., None]

PLANTED = "sk-planted-0123456789-0f9e"


@pytest.fixture
def here(plane_api: Api, namespace: str) -> Namespace:
    return Namespace(plane_api, namespace)


def fleet(here: Namespace, *, rotation: int = 1, weight: int = 80, **fields: Any) -> str:
    """Return a program with a hosted and an external service, and a proxy over both."""
    targets = [
        {"service": Code("large"), "weight": weight},
        {"service": Code("far"), "weight": 20},
    ]
    keys = {
        "team-a": {
            "generate": {"rotation": rotation, "overlap_seconds": 3600},
            "models": {"allow": ["chat"]},
        },
        "team-b": {"key": Code(f"pulumi.Output.secret({PLANTED!r})"), "limits": {"rpm": 60}},
    }
    settings = {"model_names": ["big"], "api_key": Code(f"pulumi.Output.secret({PLANTED!r})")}
    front = proxy(
        "front",
        namespace=here.name,
        routes={"chat": {"targets": targets}},
        api_keys=keys,
        cpu=1,
        **fields,
    )
    return program(
        f"large = {hosted('large', namespace=here.name, wait=ACCEPTED)}",
        f"far = {external('far', namespace=here.name, provider_settings=settings)}",
        f"front = {front}",
        "pulumi.export('keys', front.generated_keys)",
        "pulumi.export('base_url', front.base_url)",
        "pulumi.export('access_names', front.access_names)",
    )


def key_entries(here: Namespace) -> dict[str, dict[str, Any]]:
    """Return what the gateway is to check keys against: by hash, the entries of keys.json."""
    data = here.send("GET", "secrets", "front-proxy")["data"]["keys.json"]
    entries: dict[str, dict[str, Any]] = json.loads(base64.b64decode(data))["keys"]
    return entries


def sha256_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def test_a_preview_of_a_broken_proxy_shows_every_mistake_with_its_path(
    stack_factory: StackFactory, transcript: Transcript
) -> None:
    broken = proxy(
        "front",
        namespace="models",
        replicas=3,
        litellm_version="1.82.7",
        vpc_id="vpc-1",
        routes={
            "chat": {
                "targets": [
                    {"service": "large", "weight": 0},
                    {"service": "small", "base_url": "https://llm.example.org/v1", "weight": 0},
                ],
                "fallbacks": ["spare"],
            },
            "spare": {"targets": [{"base_url": "ftp://x"}], "fallbacks": ["chat"]},
            "draft": {"targets": [{"service": "tiny"}], "fallbacks": ["nobody"]},
        },
        api_keys={
            "team-a": {"limits": {"tpm": 100}},
            "team-b": {"key": "short"},
            "team-c": {"generate": {}, "expires_at": "tomorrow"},
        },
    )
    stack = stack_factory(program(broken))
    refused = stack.preview(expect_failure=True)
    said = refused.diagnostics("front")
    for path in (
        "vpc_id",
        "litellm_version",
        "routes.chat.targets",
        "routes.chat.targets[1].base_url",
        "routes.spare.targets[0].base_url",
        "routes.draft.fallbacks[0]",
        "api_keys.team-a",
        "api_keys.team-b.key",
        "api_keys.team-c.expires_at",
    ):
        assert f"{path}:" in said, path
    assert "3 times" in said, "limits that each replica would count on its own"
    transcript("trouble/proxy-with-mistakes", refused)


def test_a_preview_shows_the_urls_and_names_of_a_proxy_over_services_that_are_not_there_yet(
    stack_factory: StackFactory, here: Namespace
) -> None:
    stack = stack_factory(fleet(here))
    preview = stack.preview("--diff")
    assert f'base_url         : "http://front-proxy.{here.name}.svc/v1"' in preview.output
    assert f'base_url   : "http://large.{here.name}.svc/v1"' in preview.output
    assert 'credential_name: "far-external/api_key"' in preview.output
    assert "pod_template_hash" in preview.output
    assert PLANTED not in preview.output


def test_generated_keys_are_secret_outputs_that_stay_until_they_are_rotated(
    stack_factory: StackFactory, here: Namespace
) -> None:
    stack = stack_factory(fleet(here), cluster=True)
    said = [stack.up()]
    keys = stack.outputs()["keys"]
    assert set(keys) == {"team-a"}
    assert keys["team-a"].startswith("sk-")
    assert set(key_entries(here)) == {sha256_of(keys["team-a"]), sha256_of(PLANTED)}

    before = here.versions()
    said.append(stack.up("--refresh", "--expect-no-changes"))
    assert "4 unchanged" in said[-1].output
    assert here.versions() == before
    assert stack.outputs()["keys"] == keys

    stack.program(fleet(here, rotation=2))
    pods = here.uids("pods")
    said.append(stack.pulumi("up", "--yes"))  # with a preview first, which could tell as well
    assert "in place: api_keys.team-a.generate.rotation 1 → 2" in said[-1].output
    rotated = stack.outputs()["keys"]
    entries = key_entries(here)
    assert set(entries) == {*map(sha256_of, (*rotated.values(), *keys.values(), PLANTED))}
    assert entries[sha256_of(keys["team-a"])]["expires_at"], "the former one is good for a while"
    assert entries[sha256_of(rotated["team-a"])]["expires_at"] is None
    assert here.uids("pods") == pods, "keys reach pods that run"

    state = json.dumps(stack.export())
    seen = "".join(run.output for run in said)
    plain = json.dumps(
        [obj for kind in ("configmaps", "deployments") for obj in here.objects(kind)]
    )
    for secret in (PLANTED, *keys.values(), *rotated.values()):
        assert secret not in state
        assert secret not in seen
        assert secret not in plain
        assert base64.b64encode(secret.encode()).decode() not in plain


def test_a_change_of_routes_rolls_the_gateway_and_former_configurations_go(
    stack_factory: StackFactory, here: Namespace
) -> None:
    stack = stack_factory(fleet(here), cluster=True)
    stack.up()
    (former,) = [name for name in here.names("configmaps") if name.startswith("front-proxy-")]
    stack.program(fleet(here, weight=50))
    said = stack.up().output
    assert "routes.chat.targets [0].weight 80 → 50" in said
    (present,) = [name for name in here.names("configmaps") if name.startswith("front-proxy-")]
    assert present != former
    volumes = here.deployment("front-proxy")["spec"]["template"]["spec"]["volumes"]
    assert present in json.dumps(volumes)


def test_a_service_is_not_deleted_while_a_proxy_sends_requests_to_it(
    stack_factory: StackFactory, here: Namespace
) -> None:
    front = proxy(
        "front", namespace=here.name, cpu=1, routes={"chat": {"targets": [{"service": "large"}]}}
    )
    large = hosted("large", namespace=here.name, wait=ACCEPTED)
    after = front.replace(
        "ModelProxy(", "ModelProxy(opts=pulumi.ResourceOptions(depends_on=[large]), resource_name="
    )
    stack = stack_factory(program(f"large = {large}", after), cluster=True)
    stack.up()
    # Without the service in the program, nothing tells the engine that the proxy needs it.
    stack.program(program(front))
    refused = stack.up(expect_failure=True)
    assert refused.diagnostics("large") == (
        f"error: ModelService {here.name}/large: is used by ModelProxy {here.name}/front. "
        "Take it out of the routes of those first, or delete them."
    )
    stack.destroy()
    assert here.own() == []


def test_a_proxy_that_is_there_can_be_looked_up(
    stack_factory: StackFactory, here: Namespace
) -> None:
    stack = stack_factory(fleet(here), cluster=True)
    stack.up()
    looking = stack_factory(
        program(
            f"front = ModelProxy.get('theirs', {f'{here.name}/front'!r})",
            "pulumi.export('base_url', front.base_url)",
            "pulumi.export('access_names', front.access_names)",
        ),
        project="looking",
        cluster=True,
    )
    looking.up()
    assert looking.outputs() == {
        "base_url": f"http://front-proxy.{here.name}.svc/v1",
        "access_names": ["chat"],
    }
