"""The verbs of AgentRun on the fleet of a real API server: what each leaves in the cluster.

Dimensions: verb x kind x whose it is and in which workspace x what the caller did not send.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml
from fleets import (
    OWNER,
    desired,
    external,
    hold,
    hosted,
    let_go,
    names_in,
    objects_in,
    pods_in,
    until_gone,
    writes,
)
from module_fleet import ON_ONE_LOOP, module_fleet
from proxies import SMALL, keys_in, make_secret, to_url
from proxies import desired as desired_proxy
from proxies import proxy as declared_proxy

from modelfleet import labels
from modelfleet.agentrun.registry import Registry, Resource
from modelfleet.agentrun.scope import DEFAULT_OWNER, Scope
from modelfleet.cluster.apply import apply_objects
from modelfleet.cluster.objects import SECRET, Ref
from modelfleet.desired import Kept
from modelfleet.errors import (
    AlreadyExistsError,
    ConfigError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    SpecError,
)
from modelfleet.fleet import Fleet
from modelfleet.gateway.generated_keys import GeneratedKeys
from modelfleet.gateway.keys_file import sha256_of
from modelfleet.local.api import Api

__all__ = ["module_fleet"]  # a fixture, in the place of each test's own

pytestmark = ON_ONE_LOOP

SERVICE = "ModelService"
PROXY = "ModelProxy"

API_KEY = "sk-not-a-real-key-0123"
OTHER_KEY = "sk-not-a-real-key-4567"


class Named:
    """The registry in the hands of one caller, for one kind."""

    def __init__(self, registry: Registry, scope: Scope, kind: str = SERVICE) -> None:
        self.registry = registry
        self.scope = scope
        self._who: dict[str, Any] = {"kind": kind, "scope": scope}

    async def create(self, fields: Mapping[str, Any]) -> Resource:
        return await self.registry.create(fields, **self._who)

    async def update(self, name: str, fields: Mapping[str, Any], **options: Any) -> Resource:
        return await self.registry.update(name, fields, **self._who, **options)

    async def get(self, name: str, **options: Any) -> Resource:
        return await self.registry.get(name, **self._who, **options)

    async def delete(self, name: str, **options: Any) -> Resource:
        return await self.registry.delete(name, **self._who, **options)

    async def list(self, **where: Any) -> list[str]:
        found = await self.registry.list(**self._who, where=where)
        return [each.name for each in found]

    async def wait(self, name: str, is_over: Any, **options: Any) -> Resource:
        return await self.registry.wait(name, **self._who, is_over=is_over, **options)


@pytest.fixture
def registry(fleet: Fleet) -> Registry:
    return Registry(fleet)


@pytest.fixture
def scope(namespace: str) -> Scope:
    return Scope(namespace=namespace)


@pytest.fixture
def services(registry: Registry, scope: Scope) -> Named:
    return Named(registry, scope)


@pytest.fixture
def proxies(registry: Registry, scope: Scope) -> Named:
    return Named(registry, scope, PROXY)


def runs(**fields: Any) -> dict[str, Any]:
    """Return the fields of a service that is ready as soon as its pod is."""
    declared = hosted("any", fields.pop("deployment", None))
    return {"model_service_name": "qwen", "deployment": declared["deployment"], **fields}


def elsewhere(name: str = "qwen", *, settings: Any = None, **fields: Any) -> dict[str, Any]:
    """Return the fields of a service that runs elsewhere."""
    declared = {"base_url": "https://api.example.com/v1", **(settings or {})}
    return {"model_service_name": name, "provider_settings": declared, **fields}


def gate(**fields: Any) -> dict[str, Any]:
    """Return the fields of a small proxy with one route."""
    routes = {"chat": {"targets": [to_url()]}}
    return {"model_proxy_name": "gate", "routes": routes, **SMALL, **fields}


def is_ready(resource: Resource) -> bool:
    return resource.status == "READY"


def asked(fleet: Fleet) -> dict[str, int]:
    """Return what was asked for, but for watches, which are opened anew every few minutes."""
    requests = fleet.client.requests.items()
    return {asked: count for asked, count in requests if not asked.startswith("watch ")}


async def secret_in(fleet: Fleet, namespace: str, name: str) -> dict[str, str]:
    """Return the texts in a live Secret."""
    live = await fleet.client.get(Ref(SECRET, namespace, name))
    assert live is not None
    return {
        key: base64.b64decode(text).decode(errors="replace") for key, text in live["data"].items()
    }


# -- create


async def test_a_service_is_creating_once_accepted(services: Named) -> None:
    nowhere = runs(deployment={"node_selector": {"no": "where"}})
    made = await services.create(nowhere)
    assert made.status == (await services.get("qwen")).status == "CREATING"
    assert made.entry.service.owner == DEFAULT_OWNER


async def test_a_wait_looks_until_a_service_is_ready(services: Named) -> None:
    looks: list[str] = []
    await services.create(runs())
    ready = await services.wait("qwen", is_ready, on_look=lambda each: looks.append(each.status))
    assert ready.status == looks[-1] == "READY"
    assert set(looks[:-1]) <= {"CREATING"}  # none where the pod was faster than the first look


async def test_a_service_that_runs_elsewhere_is_ready_at_once(services: Named) -> None:
    assert (await services.create(elsewhere())).status == "READY"


async def test_of_creates_at_once_exactly_one_wins(services: Named) -> None:
    many = (services.create(elsewhere(description=str(at))) for at in range(4))
    results = await asyncio.gather(*many, return_exceptions=True)
    (won,) = [each for each in results if isinstance(each, Resource)]
    lost = [each for each in results if isinstance(each, AlreadyExistsError)]
    assert (len(lost), lost[0].status) == (3, 409)
    assert "already exists" in str(lost[0])
    live = await services.get("qwen")
    assert live.entry.service.incarnation == won.entry.service.incarnation


async def test_what_is_still_being_deleted_exists(
    services: Named, plane_api: Api, namespace: str, fleet: Fleet
) -> None:
    await services.create(runs())
    hold(plane_api, namespace)
    try:
        assert (await services.delete("qwen")).status == "DELETING"
        assert (await services.get("qwen")).status == "DELETING"
        assert (await services.delete("qwen")).status == "DELETING"
        with pytest.raises(AlreadyExistsError, match="already exists: it is still being deleted"):
            await services.create(runs())
        with pytest.raises(ConflictError, match="is being deleted"):
            await services.update("qwen", {"description": "late"})
    finally:
        let_go(plane_api, namespace)
    await until_gone(fleet.client, namespace)
    await services.create(runs())


async def test_a_create_that_is_refused_names_every_field_and_writes_nothing(
    services: Named, fleet: Fleet
) -> None:
    before = writes(fleet.client)
    with pytest.raises(SpecError) as caught:
        await services.create(runs(model_service_name="Qwen", deployment={"cpu": 0}))
    assert [each.path for each in caught.value.problems] == ["deployment.cpu", "model_service_name"]
    assert writes(fleet.client) == before


async def test_a_create_converges_what_an_interrupted_one_has_left(
    services: Named, fleet: Fleet, namespace: str
) -> None:
    interrupted = desired(hosted(namespace), owner=DEFAULT_OWNER)
    uid = await fleet.client.cluster_uid()
    *parts, _primary = interrupted.objects(cluster_uid=uid, kept=Kept())
    await apply_objects(fleet.client, parts, ownership=interrupted.ownership)
    made = await services.create(runs())
    lives = await objects_in(fleet.client, namespace)
    assert await names_in(fleet.client, namespace) == [
        "NetworkPolicy qwen",
        "Service qwen",
        "Deployment qwen",
    ]
    incarnations = {each["metadata"]["annotations"][labels.INCARNATION] for each in lives.values()}
    assert incarnations == {made.entry.service.incarnation}


# -- what an update does not send


async def test_an_update_keeps_the_key_of_a_provider_until_it_is_cleared(
    services: Named, fleet: Fleet, namespace: str
) -> None:
    async def kept() -> dict[str, str]:
        return await secret_in(fleet, namespace, "qwen-external")

    await services.create(elsewhere(settings={"api_key": API_KEY, "model_names": ["a"]}))
    told = await services.update("qwen", {"description": "new"})
    assert told.entry.spec is not None
    assert told.entry.spec.description == "new"
    assert (await kept())["api_key"] == API_KEY
    await services.update("qwen", {"provider_settings": {"base_url": "https://b.example.com/v1"}})
    assert await kept() == {
        "api_key": API_KEY,
        "base_url": "https://b.example.com/v1",
        "model_names": '["a"]',
    }
    await services.update("qwen", {"provider_settings": {"api_key": OTHER_KEY}})
    assert (await kept())["api_key"] == OTHER_KEY
    await services.update("qwen", {}, clear=["provider_settings.api_key"])
    assert "api_key" not in await kept()


async def test_an_update_keeps_secret_variables_and_the_pods_that_have_them(
    services: Named, fleet: Fleet, namespace: str
) -> None:
    await services.create(runs(deployment={"secret_env": {"TOKEN": "hush", "EMPTY": ""}}))
    await services.wait("qwen", is_ready)
    before = await pods_in(fleet.client, namespace)
    await services.update("qwen", {"description": "new"})
    assert await pods_in(fleet.client, namespace) == before
    await services.update("qwen", {"deployment": {"secret_env": {"MORE": "hush too"}}})
    values = await secret_in(fleet, namespace, "qwen-env")
    del values[labels.HASH_KEY_DATA]
    assert values == {"TOKEN": "hush", "EMPTY": "", "MORE": "hush too"}


async def test_a_secret_that_is_lost_is_asked_for_by_the_name_of_its_field(
    services: Named, plane_api: Api, namespace: str
) -> None:
    await services.create(runs(deployment={"secret_env": {"TOKEN": "hush"}}))
    plane_api.send("DELETE", f"/api/v1/namespaces/{namespace}/secrets/qwen-env")
    with pytest.raises(SpecError, match=r"deployment.secret_env.TOKEN: is not in the cluster any"):
        await services.update("qwen", {"description": "new"})
    again = {"secret_env": {"TOKEN": "hush again"}}
    assert (await services.update("qwen", {"deployment": again})).entry.spec is not None


async def test_an_update_that_changes_nothing_writes_nothing(
    services: Named, proxies: Named, fleet: Fleet
) -> None:
    await services.create(runs(deployment={"secret_env": {"TOKEN": "hush"}}, description="same"))
    await proxies.create(gate(api_keys={"ci": {"key": API_KEY}, "team": {"generate": {}}}))
    before = writes(fleet.client)
    await services.update("qwen", {"description": "same"})
    await proxies.update("gate", {"cpu": SMALL["cpu"]})
    assert writes(fleet.client) == before


async def test_generated_keys_are_told_once_and_kept_by_their_hashes(
    proxies: Named, fleet: Fleet, namespace: str
) -> None:
    made = await proxies.create(
        gate(api_keys={"ci": {"key": API_KEY}, "team": {"generate": {"overlap_seconds": 3_600}}})
    )
    assert list(made.generated_keys) == ["team"]
    team = made.generated_keys["team"]
    assert team not in repr(made)
    first = {sha256_of(API_KEY): "ci", sha256_of(team): "team"}

    async def known() -> dict[str, str]:
        return {sha: each["name"] for sha, each in (await keys_in(fleet.client, namespace)).items()}

    assert await known() == first
    assert not (await proxies.get("gate")).generated_keys

    more = await proxies.update(
        "gate", {"description": "new", "api_keys": {"ops": {"key": OTHER_KEY}}}
    )
    assert not more.generated_keys
    assert await known() == {**first, sha256_of(OTHER_KEY): "ops"}

    rotated = await proxies.update("gate", {"api_keys": {"team": {"generate": {"rotation": 2}}}})
    new = sha256_of(rotated.generated_keys["team"])
    keys = await keys_in(fleet.client, namespace)
    assert {sha for sha, each in keys.items() if each["name"] == "team"} == {new, sha256_of(team)}
    assert keys[sha256_of(team)]["expires_at"] is not None
    assert keys[new]["expires_at"] is None
    assert sha256_of(API_KEY) in keys

    await proxies.update("gate", {}, clear=["api_keys.team"])
    assert set((await known()).values()) == {"ci", "ops"}


async def test_the_same_key_under_another_name_is_refused_though_only_its_hash_is_known(
    proxies: Named,
) -> None:
    await proxies.create(gate(api_keys={"ci": {"key": API_KEY}}))
    with pytest.raises(SpecError, match=r"api_keys\.ops\.key: is the same key as that of ci"):
        await proxies.update("gate", {"api_keys": {"ops": {"key": API_KEY}}})


async def test_a_process_sees_what_it_has_just_written(services: Named) -> None:
    await services.create(elsewhere())
    for at in range(10):
        await services.update("qwen", {"description": str(at)})
        seen = await services.get("qwen", fresh=False)
        assert seen.entry.spec is not None
        assert seen.entry.spec.description == str(at)
    await services.delete("qwen")
    with pytest.raises(NotFoundError):  # or for as long as its dependents are looked for, DELETING
        assert (await services.get("qwen", fresh=False)).status == "DELETING"
        await services.wait("qwen", lambda each: each.status != "DELETING")


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"deployment": {"model": {"uri": "file:///m"}, "runtime": "vllm"}}, "deployment"),
        ({"model_service_name": "other"}, "model_service_name"),
    ],
)
async def test_what_cannot_change_is_refused_by_its_name(
    services: Named, fields: dict[str, Any], path: str
) -> None:
    await services.create(elsewhere())
    with pytest.raises(SpecError) as caught:
        await services.update("qwen", fields)
    assert path in [each.path for each in caught.value.problems]


async def test_another_engine_comes_with_its_own_version(services: Named) -> None:
    engine = {"runtime": "vllm", "model": {"uri": "hf://org/model"}, "gpu": {"count": 1}}
    made = await services.create(
        {"model_service_name": "qwen", "deployment": {**engine, "replicas": 0}}
    )
    changed = await services.update("qwen", {"deployment": {"runtime": "sglang"}})
    versions = [
        each.entry.record.spec["deployment"]["runtime_version"]  # type: ignore[union-attr]
        for each in (made, changed)
    ]
    assert versions[0] != versions[1]


# -- whose it is


async def test_what_another_owner_declared_is_read_and_not_written(
    services: Named, fleet: Fleet, namespace: str
) -> None:
    await fleet.apply(desired(external(namespace, api_key=API_KEY)))
    assert is_ready(await services.wait("qwen", is_ready))
    before = writes(fleet.client)
    for refused in (services.update("qwen", {"description": "mine"}), services.delete("qwen")):
        with pytest.raises(ConflictError, match=f"belongs to {OWNER}") as caught:
            await refused
        assert caught.value.status == 409
        assert "take_ownership" in str(caught.value)
    with pytest.raises(AlreadyExistsError, match=f"belongs to {OWNER}"):
        await services.create(elsewhere())
    assert writes(fleet.client) == before


async def test_taking_ownership_relabels_a_resource_and_keeps_all_it_has(
    registry: Registry, scope: Scope, fleet: Fleet, namespace: str
) -> None:
    before = GeneratedKeys({"team": OTHER_KEY})
    fields = declared_proxy(namespace, api_keys={"ci": {"key": API_KEY}, "team": {"generate": {}}})
    theirs = desired_proxy(fields, keys=before.entries)
    await fleet.apply(theirs, wait=False)
    known = await keys_in(fleet.client, namespace)
    taking = Named(registry, replace(scope, take_ownership=True), PROXY)
    taken = await taking.update("gate", {"description": "mine"})
    assert taken.entry.service.owner == DEFAULT_OWNER
    assert taken.entry.service.incarnation == theirs.incarnation
    assert await keys_in(fleet.client, namespace) == known
    lives = (await objects_in(fleet.client, namespace, name="gate")).values()
    owners = {each["metadata"]["annotations"][labels.OWNER] for each in lives}
    assert owners == {DEFAULT_OWNER}
    await Named(registry, scope, PROXY).update("gate", {"description": "still mine"})


async def test_taking_ownership_deletes_what_another_owner_declared(
    registry: Registry, scope: Scope, fleet: Fleet, namespace: str
) -> None:
    await fleet.apply(desired(external(namespace)))
    await Named(registry, replace(scope, take_ownership=True)).delete("qwen")
    assert await names_in(fleet.client, namespace) == []


async def test_an_owner_who_is_a_stack_keeps_its_urn(
    registry: Registry, scope: Scope, fleet: Fleet, namespace: str
) -> None:
    await fleet.apply(desired(external(namespace), urn="urn:pulumi:prod::p::t::qwen"))
    stack = Named(registry, replace(scope, owner=OWNER))
    kept = await stack.update("qwen", {"description": "by hand"})
    assert kept.entry.record is not None
    assert kept.entry.record.urn == "urn:pulumi:prod::p::t::qwen"


# -- delete


async def test_what_is_deleted_goes_at_once_and_is_not_found_afterwards(services: Named) -> None:
    await services.create(runs())
    assert (await services.delete("qwen")).status == "DELETING"
    with pytest.raises(NotFoundError, match="does not exist") as caught:
        await services.wait("qwen", lambda _: False)
    assert caught.value.status == 404
    with pytest.raises(NotFoundError, match="does not exist"):
        await services.delete("qwen")


async def test_a_protected_resource_is_not_deleted(services: Named) -> None:
    await services.create(elsewhere(deletion_protection=True))
    with pytest.raises(ConfigError, match="has deletion_protection"):
        await services.delete("qwen")
    await services.update("qwen", {"deletion_protection": False})
    await services.delete("qwen")


async def test_a_service_that_a_proxy_uses_is_not_deleted(services: Named, proxies: Named) -> None:
    await services.create(elsewhere(settings={"model_names": ["m"]}))
    await proxies.create(gate(routes={"chat": {"targets": [{"service": "qwen"}]}}))
    with pytest.raises(ConflictError, match="is used by ModelProxy"):
        await services.delete("qwen")
    assert (await services.get("qwen")).status == "READY"


async def test_a_proxy_in_agentruns_form_falls_back_to_a_service_that_runs_elsewhere(
    services: Named, proxies: Named, fleet: Fleet, namespace: str
) -> None:
    settings: dict[str, Any] = {"model_names": ["gpt"], "api_key": API_KEY}
    await services.create(elsewhere("one", settings=settings))
    settings = {"base_url": "https://spare.example.com/v1", "model_names": ["big", "small"]}
    settings["api_key"] = OTHER_KEY
    await services.create(elsewhere("spare", settings=settings))
    config = {
        "endpoints": [{"model_service_name": "one", "model_names": ["gpt"]}],
        "policies": {"fallbacks": [{"model_service_name": "spare", "model_name": "small"}]},
    }
    made = await proxies.create({"model_proxy_name": "gate", "proxy_config": config, **SMALL})
    policies = made.fields["proxy_config"]["policies"]
    assert policies["fallbacks"] == config["policies"]["fallbacks"]
    assert made.fields["access_names"] == ["gate", "gpt", "spare"]
    objects = await objects_in(fleet.client, namespace, name="gate")
    (files,) = (obj["data"] for obj in objects.values() if obj["kind"] == "ConfigMap")
    litellm = yaml.safe_load(files["litellm.yaml"])
    spare = next(each for each in litellm["model_list"] if each["model_name"] == "spare")
    assert spare["litellm_params"]["model"].endswith("/small")
    assert spare["litellm_params"]["api_base"] == "https://spare.example.com/v1"
    assert {"gate": ["spare"]} in litellm["router_settings"]["fallbacks"]
    of_one, of_one_too, own = [each["litellm_params"]["api_key"] for each in litellm["model_list"]]
    assert of_one == of_one_too != own
    assert own.startswith("os.environ/")
    (pods,) = (obj["spec"] for obj in objects.values() if obj["kind"] == "Deployment")
    (volume,) = (
        each for each in pods["template"]["spec"]["volumes"] if each["name"] == "credentials"
    )
    mounted = [each["secret"]["name"] for each in volume["projected"]["sources"]]
    assert mounted == ["one-external", "spare-external"]
    with pytest.raises(ConflictError, match="spare"):
        await services.delete("spare")


async def test_a_handle_of_a_former_creation_deletes_nothing(
    services: Named, fleet: Fleet, namespace: str
) -> None:
    former = (await services.create(elsewhere())).entry.service.incarnation
    await services.delete("qwen", incarnation=former)
    await until_gone(fleet.client, namespace)
    await services.create(elsewhere())
    with pytest.raises(NotFoundError, match="is another one by now"):
        await services.delete("qwen", incarnation=former)
    assert (await services.get("qwen")).status == "READY"


# -- finding, listing, waiting


async def test_a_name_that_means_two_things_is_found_twice(
    services: Named, proxies: Named, registry: Registry, scope: Scope
) -> None:
    await services.create(elsewhere("both"))
    await proxies.create(gate(model_proxy_name="both"))
    found = await registry.find("both", scope=scope)
    assert sorted(each.kind for each in found) == [PROXY, SERVICE]
    assert await registry.find("neither", scope=scope) == []
    await services.delete("both")
    assert (await proxies.get("both")).kind == PROXY


async def test_a_list_is_by_name_and_of_what_is_asked_for(services: Named, proxies: Named) -> None:
    await services.create(elsewhere("b-rank", model_type="rerank", provider="tongyi"))
    await services.create(elsewhere("a-chat", provider="openai", workspace_id="w"))
    await services.create(runs(model_service_name="c-stopped", deployment={"replicas": 0}))
    await services.wait("c-stopped", lambda each: each.status == "STOPPED")
    await proxies.create(gate())
    assert await services.list() == ["a-chat", "b-rank", "c-stopped"]
    assert await services.list(model_type="rerank") == ["b-rank"]
    assert await services.list(model_type="llm", provider=None) == ["a-chat", "c-stopped"]
    assert await services.list(provider=["openai", "tongyi"]) == ["a-chat", "b-rank"]
    assert await services.list(status="STOPPED") == ["c-stopped"]
    assert await services.list(workspace_ids=["default"]) == ["b-rank", "c-stopped"]
    assert await proxies.list(proxy_mode="multi") == []


async def test_a_wait_asks_the_api_server_for_nothing_however_often_it_looks(
    services: Named, fleet: Fleet
) -> None:
    await services.create(runs(deployment={"replicas": 0}))
    await services.wait("qwen", lambda each: each.status == "STOPPED")
    looks: list[Resource] = []

    async def looked(resource: Resource) -> None:
        looks.append(resource)

    before = asked(fleet)
    with pytest.raises(TimeoutError, match=r"is STOPPED after 0\.3 s"):
        await services.wait("qwen", is_ready, interval_seconds=0.01, timeout_seconds=0.3)
    often: dict[str, Any] = {"on_look": looked, "interval_seconds": 0.01}
    await services.wait("qwen", lambda _: len(looks) > 5, **often)
    assert len(looks) > 5
    assert asked(fleet) == before


async def test_a_wait_looks_once_however_short_it_is(services: Named) -> None:
    await services.create(elsewhere())
    assert is_ready(await services.wait("qwen", is_ready, timeout_seconds=0))


# -- workspaces


@pytest.fixture
def tenants(registry: Registry, scope: Scope) -> tuple[Named, Named]:
    """Two callers, each with a workspace of its own."""
    return (
        Named(registry, replace(scope, workspaces=("blue",))),
        Named(registry, replace(scope, workspaces=("red", "default"))),
    )


async def test_each_tenant_sees_and_writes_its_own(
    tenants: tuple[Named, Named], services: Named
) -> None:
    blue, red = tenants
    made = await blue.create(elsewhere("one"))
    assert made.entry.service.access_name == "blue/one"
    await red.create(elsewhere("two"))
    await services.create(elsewhere("three"))
    assert await blue.list() == ["one"]
    assert await red.list() == ["three", "two"]
    assert await blue.list(workspace_id="red") == []
    missing = await _text(blue.get("nothing"))
    assert missing == (await _text(blue.get("two"))).replace("two", "nothing")
    for verb in (blue.update("two", {"description": "mine"}), blue.delete("two")):
        with pytest.raises(NotFoundError, match="does not exist"):
            await verb
    assert await blue.registry.find("two", scope=blue.scope) == []


async def _text(verb: Any) -> str:
    with pytest.raises(NotFoundError) as caught:
        await verb
    return str(caught.value)


async def test_nothing_is_made_in_or_moved_to_a_workspace_of_others(
    tenants: tuple[Named, Named], fleet: Fleet
) -> None:
    (blue, red), before = tenants, writes(fleet.client)
    with pytest.raises(ForbiddenError, match="workspace_id: red is not a workspace of this caller"):
        await blue.create(elsewhere(workspace_id="red"))
    assert writes(fleet.client) == before
    await red.create(elsewhere())
    with pytest.raises(ForbiddenError, match="workspace_id: blue is not"):
        await red.update("qwen", {"workspace_id": "blue"})
    with pytest.raises(AlreadyExistsError) as caught:
        await blue.create(elsewhere())
    assert "belongs to" not in str(caught.value)


async def test_a_tenants_proxy_calls_no_service_of_others(
    tenants: tuple[Named, Named], registry: Registry, namespace: str
) -> None:
    blue, red = tenants
    await red.create(runs())
    own = Named(registry, blue.scope, PROXY)
    for target in (
        {"service": "qwen"},
        {"base_url": f"http://qwen.{namespace}.svc/v1", "model_name": "m"},
        {"base_url": "http://qwen/v1", "model_name": "m"},
    ):
        with pytest.raises(SpecError, match=f"there is no ModelService {namespace}/qwen"):
            await own.create(gate(routes={"chat": {"targets": [target]}}))
    for service in ("qwen", {"id": "other", "base_url": f"http://qwen.{namespace}.svc/v1"}):
        with pytest.raises(SpecError, match=f"there is no ModelService {namespace}/qwen"):
            await own.create(gate(policies={"fallbacks": [{"model_service_name": service}]}))
    await own.create(gate())


async def test_a_tenant_uses_no_secret_of_others_and_is_not_told_it(
    tenants: tuple[Named, Named], registry: Registry, namespace: str
) -> None:
    blue, red = tenants
    await red.create(elsewhere(settings={"api_key": API_KEY}))
    with pytest.raises(NotFoundError, match="does not exist"):
        await registry.secret_of("qwen-external", scope=blue.scope)
    assert await registry.secret_of("qwen-external", scope=red.scope) == API_KEY
    with pytest.raises(SpecError, match="credential_name: there is no Secret qwen-external"):
        await blue.create(elsewhere("thief", credential_name="qwen-external/api_key"))
    await red.create(elsewhere("mine", credential_name="qwen-external/api_key"))


# -- credentials


async def test_the_text_in_a_secret_is_found_by_its_credential_name(
    registry: Registry, scope: Scope, plane_api: Api, namespace: str
) -> None:
    make_secret(plane_api, namespace, "theirs", api_key="one", other="two")
    assert await registry.secret_of("theirs", scope=scope) == "one"
    assert await registry.secret_of("theirs/other", scope=scope) == "two"
    with pytest.raises(NotFoundError, match=r"has no key x \(it has: api_key, other\)"):
        await registry.secret_of("theirs/x", scope=scope)
    with pytest.raises(NotFoundError, match=r"Secret .*/nobodys: does not exist"):
        await registry.secret_of("nobodys", scope=scope)
    with pytest.raises(SpecError, match="credential_name"):
        await registry.secret_of("../default/secrets/theirs", scope=scope)
