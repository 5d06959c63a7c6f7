"""The verbs of the SDK, in both forms, against the real API server."""

from __future__ import annotations

from pathlib import Path

import pytest
from rights import least_kubeconfig
from sdk import Do, async_form, config_of, external, hosted, proxy, sync_form

from modelfleet.client import (
    BackendType,
    ClientError,
    Config,
    ModelClient,
    ModelProxy,
    ModelProxyListInput,
    ModelProxyUpdateInput,
    ModelService,
    ModelServiceCreateInput,
    ModelServiceListInput,
    ModelServiceUpdateInput,
    NetworkConfig,
    NetworkMode,
    ProviderSettings,
    ResourceAlreadyExistError,
    ResourceNotExistError,
    Status,
)
from modelfleet.errors import AlreadyExistsError, NotFoundError
from modelfleet.local import Plane
from modelfleet.local.api import Api


@pytest.fixture(params=[sync_form, async_form], ids=["sync", "async"])
def do(request: pytest.FixtureRequest) -> Do:
    return request.param


@pytest.fixture
def config(fleet_kubeconfig: Path, namespace: str) -> Config:
    return config_of(fleet_kubeconfig, namespace)


def test_a_service_is_created_found_updated_listed_and_deleted_by_name(
    do: Do, config: Config
) -> None:
    made = do(ModelService, "create", external(description="first"), config)
    assert isinstance(made, ModelService)
    assert (made.model_service_name, made.status) == ("qwen", Status.READY)
    found = do(ModelService, "get_by_name", "qwen", config)
    assert found.model_dump() == made.model_dump()
    changed = do(
        ModelService, "update_by_name", "qwen", ModelServiceUpdateInput(description="2nd"), config
    )
    assert (changed.description, changed.created_at) == ("2nd", made.created_at)
    assert changed.provider_settings.model_names == ["qwen-max"]
    assert [each.description for each in do(ModelService, "list_all", config=config)] == ["2nd"]
    going = do(ModelService, "delete_by_name", "qwen", config)
    assert going.status == Status.DELETING
    going.delete_and_wait_until_finished()
    with pytest.raises(
        ResourceNotExistError, match=r"Resource Model\(qwen\) does not exist\."
    ) as e:
        do(ModelService, "get_by_name", "qwen", config)
    assert isinstance(e.value.__cause__, NotFoundError)


def test_a_proxy_is_created_found_updated_listed_and_deleted_by_name(
    do: Do, config: Config
) -> None:
    ModelService.create(external(), config)
    made = do(ModelProxy, "create", proxy(), config)
    assert isinstance(made, ModelProxy)
    assert (made.model_proxy_name, made.proxy_mode) == ("gate", "single")
    assert made.status in (Status.CREATING, Status.READY), "its pod may have been fast"
    found = do(ModelProxy, "get_by_name", "gate", config)
    assert (found.model_proxy_id, found.cpu, found.memory) == (made.model_proxy_id, 0.1, 1024)
    update = ModelProxyUpdateInput(memory=2048)
    changed = do(ModelProxy, "update_by_name", "gate", update, config)
    assert (changed.cpu, changed.memory) == (0.1, 2048), "what is not said stays, cpu too"
    assert [each.memory for each in do(ModelProxy, "list_all", config=config)] == [2048]
    assert do(ModelProxy, "delete_by_name", "gate", config).status == Status.DELETING


def test_the_quirky_name_of_an_argument_is_taken_and_so_is_the_plain_one(
    do: Do, config: Config
) -> None:
    for argument in ("model_Proxy_name", "model_proxy_name"):
        with pytest.raises(ResourceNotExistError, match="gate"):
            do(ModelProxy, "delete_by_name", config=config, **{argument: "gate"})


def test_a_client_tells_kinds_apart_by_the_type_of_what_it_is_given(do: Do, config: Config) -> None:
    client = ModelClient(config)
    assert isinstance(do(client, "create", external()), ModelService)
    assert isinstance(do(client, "create", proxy()), ModelProxy)
    assert isinstance(
        do(client, "update", "qwen", ModelServiceUpdateInput(description="x")), ModelService
    )
    assert isinstance(
        do(client, "update", "gate", ModelProxyUpdateInput(description="x")), ModelProxy
    )
    services = do(client, "list", ModelServiceListInput())
    proxies = do(client, "list", ModelProxyListInput())
    assert [type(each) for each in services] == [ModelService]
    assert [type(each) for each in proxies] == [ModelProxy]
    with pytest.raises(ResourceNotExistError):
        do(client, "update", "gate", ModelServiceUpdateInput(description="x"))


def test_a_get_by_name_alone_finds_a_service_first_and_else_a_proxy(do: Do, config: Config) -> None:
    client = ModelClient(config)
    client.create(external("both"))
    client.create(proxy("both", service="both"))
    client.create(proxy("gate", service="both"))
    assert isinstance(do(client, "get", "both"), ModelService)
    assert isinstance(do(client, "get", "both", BackendType.PROXY), ModelProxy)
    assert isinstance(do(client, "get", "gate"), ModelProxy)
    with pytest.raises(ResourceNotExistError):
        do(client, "get", "gate", BackendType.SERVICE)
    with pytest.raises(ResourceNotExistError):
        do(client, "get", "neither")


def test_a_delete_by_a_name_that_means_two_things_is_refused(do: Do, config: Config) -> None:
    client = ModelClient(config)
    client.create(external("both"))
    client.create(proxy("both", service="both"))
    with pytest.raises(ClientError, match="both a ModelService and a ModelProxy") as caught:
        do(client, "delete", "both")
    assert caught.value.status_code == 409
    assert isinstance(do(client, "delete", "both", BackendType.PROXY), ModelProxy)
    assert client.get("both", BackendType.SERVICE).status == Status.READY


def test_a_create_of_what_exists_says_so_by_its_class(do: Do, config: Config) -> None:
    ModelService.create(external(), config)
    with pytest.raises(ResourceAlreadyExistError, match=r"Model\(qwen\) already exists") as caught:
        do(ModelService, "create", external(), config)
    assert caught.value.status_code == 409
    assert isinstance(caught.value.__cause__, AlreadyExistsError)


def test_an_update_changes_the_object_it_is_called_on_and_nothing_that_is_not_said(
    do: Do, config: Config, plane_api: Api
) -> None:
    service = ModelService.create(
        external(description="first", tags={"team": "a", "tier": "1"}, provider="openai"), config
    )
    update = ModelServiceUpdateInput(
        description=None, provider_settings=ProviderSettings(model_names=["a", "b"])
    )
    before = update.model_dump()
    assert do(service, "update", update) is service
    assert update.model_dump() == before, "what a caller gives is never changed"
    assert (service.description, service.provider) == ("first", "openai")
    assert service.provider_settings.model_names == ["a", "b"]
    assert service.provider_settings.base_url == "https://api.example.com/v1"
    assert _key_in(plane_api, config) == "c2stdXBzdHJlYW0=", "a key that is not sent stays"
    do(service, "update", ModelServiceUpdateInput(), clear=["description", "tags.tier"])
    assert (service.description, service.tags) == (None, {"team": "a"})
    with pytest.raises(TypeError, match=r"clear=\['tags'\]"):
        do(service, "update", ModelServiceUpdateInput(), clear="tags")


def _key_in(api: Api, config: Config) -> str:
    path = f"/api/v1/namespaces/{config.get_namespace()}/secrets/qwen-external"
    return str(api.send("GET", path)["data"]["api_key"])


def test_what_is_wrong_with_a_declaration_is_told_field_by_field(do: Do, config: Config) -> None:
    wrong = external("Not_A_Name", network_configuration={"vpc_id": "vpc-1"})
    with pytest.raises(ClientError) as caught:
        do(ModelService, "create", wrong, config)
    assert caught.value.status_code == 400
    assert "model_service_name: " in str(caught.value)
    assert "network_configuration.vpc_id: " in str(caught.value)
    with pytest.raises(ClientError, match="model_service_name: ") as caught:
        do(ModelService, "create", ModelServiceCreateInput(), config)
    assert caught.value.status_code == 400
    assert ModelService.list_all(config=config) == []


REFUSED = {
    "model_proxy_name": ModelProxyUpdateInput(model_proxy_name="other"),
    "service_region_id": ModelProxyUpdateInput(service_region_id="cn-hangzhou"),
    "execution_role_arn": ModelProxyUpdateInput(execution_role_arn="acs:ram::1:role/x"),
    "network_configuration.network_mode": ModelProxyUpdateInput(
        network_configuration=NetworkConfig(network_mode=NetworkMode.PUBLIC)
    ),
    "network_configuration.vpc_id": ModelProxyUpdateInput(
        network_configuration=NetworkConfig(vpc_id="vpc-1")
    ),
}


@pytest.mark.parametrize("field", REFUSED)
def test_what_an_update_cannot_do_is_refused_by_name_and_never_dropped(
    do: Do, config: Config, field: str
) -> None:
    ModelService.create(external(), config)
    gate = ModelProxy.create(proxy(), config)
    before = gate.model_dump(include={"model_proxy_name", "network_configuration"})
    with pytest.raises(ClientError, match=field) as caught:
        do(gate, "update", REFUSED[field])
    assert caught.value.status_code == 400
    assert gate.refresh().model_dump(include={"model_proxy_name", "network_configuration"}) == (
        before
    )


def test_pages_are_of_one_moment_whatever_comes_and_goes(do: Do, config: Config) -> None:
    client = ModelClient(config)
    for name in ("aa", "bb", "cc"):
        client.create(external(name))
    first = do(client, "list", ModelServiceListInput(page_number=1, page_size=2))
    client.create(external("ab"))
    client.delete("aa", BackendType.SERVICE)
    second = do(client, "list", ModelServiceListInput(page_number=2, page_size=2))
    names = [each.model_service_name for each in (*first, *second)]
    assert names == ["aa", "bb", "cc"]
    assert do(client, "list", ModelServiceListInput(page_number=3, page_size=2)) == []
    anew = do(client, "list", ModelServiceListInput(page_number=1, page_size=2))
    assert "ab" in [each.model_service_name for each in anew]
    with pytest.raises(ClientError, match="page_size"):
        do(client, "list", ModelServiceListInput(page_size=0))


def test_lists_are_filtered_and_hold_twenty_where_nobody_says_how_many(
    do: Do, config: Config
) -> None:
    client = ModelClient(config)
    for number in range(21):
        client.create(external(f"s{number:02}", provider="yi" if number == 7 else "openai"))
    assert len(do(client, "list", ModelServiceListInput())) == 20
    assert len(do(ModelService, "list_all", config=config)) == 21
    found = do(ModelService, "list_all", provider="yi", config=config)
    assert [each.model_service_name for each in found] == ["s07"]
    assert do(ModelService, "list_all", model_type="rerank", config=config) == []


@pytest.mark.parametrize("verb", ["update", "delete", "refresh", "scale", "stop", "start"])
def test_an_object_without_a_name_is_refused_before_anything_is_asked(do: Do, verb: str) -> None:
    arguments = {"update": (ModelServiceUpdateInput(),), "scale": (1,)}.get(verb, ())
    with pytest.raises(ValueError, match=f"model_service_name is required to {verb} a ModelServ"):
        do(ModelService(), verb, *arguments)
    arguments = {"update": (ModelProxyUpdateInput(),), "scale": (1,)}.get(verb, ())
    with pytest.raises(ValueError, match=f"model_Proxy_name is required to {verb} a ModelProxy"):
        do(ModelProxy(), verb, *arguments)


def test_an_object_remembers_the_config_it_came_by(
    do: Do, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = do(ModelService, "create", external(), config)
    found = do(ModelClient(), "get", "qwen", None, config)
    [listed] = do(ModelClient(config), "list", ModelServiceListInput())
    # What the environment says leads nowhere: it is not asked.
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    monkeypatch.setenv("MODELFLEET_NAMESPACE", "nowhere")
    for each in (made, found, listed):
        assert do(each, "refresh") is each
        assert each.status == Status.READY
        do(each, "wait_until_ready_or_failed")
    do(made, "delete_and_wait_until_finished")
    by_hand = ModelService(model_service_name="qwen").set_config(config)
    with pytest.raises(ResourceNotExistError):
        do(by_hand, "refresh")


def test_a_config_of_one_call_is_laid_over_that_of_the_client(do: Do, config: Config) -> None:
    client = ModelClient(Config(namespace="nowhere", kubeconfig="/nowhere"))
    made = do(client, "create", external(), config)
    assert made.namespace == config.get_namespace()


def test_a_config_of_one_call_is_kept_for_later_calls_of_the_object(
    do: Do, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    ModelService.create(external(), config)
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    by_hand = ModelService(model_service_name="qwen")
    do(by_hand, "refresh", config)
    assert do(by_hand, "refresh").status == Status.READY


@pytest.fixture(scope="module")
def powerless(plane: Plane, plane_api: Api, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kubeconfig of somebody who may look at namespaces, and at nothing in them."""
    rule = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list"]}
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "powerless"},
        "rules": [rule],
    }
    folder = tmp_path_factory.mktemp("powerless")
    return least_kubeconfig(plane, plane_api, folder, user="powerless", role=role)


@pytest.mark.parametrize("verb", ["get", "delete"])
@pytest.mark.parametrize("backend_type", [None, *BackendType])
def test_a_lack_of_rights_is_never_taken_for_a_lack_of_the_resource(
    do: Do, config: Config, powerless: Path, verb: str, backend_type: BackendType | None
) -> None:
    ModelService.create(external(), config)
    client = ModelClient(config_of(powerless, config.get_namespace()))
    with pytest.raises(ClientError) as caught:
        do(client, verb, "qwen", backend_type)
    assert caught.value.status_code == 403
    assert ModelService.get_by_name("qwen", config).status == Status.READY


def test_a_hosted_service_is_creating_when_its_create_returns(do: Do, config: Config) -> None:
    made = do(ModelService, "create", hosted(node_selector={"no": "where"}), config)
    assert made.status == Status.CREATING
    assert made.provider_settings.base_url == made.base_url
    assert made.deployment["model"]["uri"] == "file:///models/qwen"
