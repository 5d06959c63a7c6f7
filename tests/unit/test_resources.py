"""What a program registers: bases merged, secrets in their places, Outputs at any depth.

Each test runs a small program against Pulumi's mock engine and looks at the requests it sends.
"""

from __future__ import annotations

import asyncio
import contextvars
import copy
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi.runtime
import pytest
from google.protobuf import struct_pb2
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.rpc import UNKNOWN
from pulumi.runtime.settings import SETTINGS
from pulumi.runtime.stack import run_pulumi_func

from modelfleet import ModelService
from modelfleet.registration import stack_owner

SECRET_MARK = "4dabf18193072939515e22adb298388d"


@dataclass(frozen=True)
class Secret:
    """A value that went over the wire marked as a secret."""

    value: Any


@dataclass(frozen=True)
class Registered:
    type: str
    name: str
    inputs: dict[str, Any]
    dependencies: dict[str, list[str]]


class _Monitor(MockMonitor):
    """Keeps every request; answers as a provider that echoes its inputs and adds two outputs."""

    def __init__(self) -> None:
        super().__init__(_NoMocks())
        self.registered: list[Registered] = []

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 (gRPC's spelling)
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type == "pulumi:pulumi:Stack":
            return resource_pb2.RegisterResourceResponse(urn=urn)
        inputs = {name: _plain(value) for name, value in MessageToDict(request.object).items()}
        dependencies = {k: list(v.urns) for k, v in request.propertyDependencies.items()}
        self.registered.append(Registered(request.type, request.name, inputs, dependencies))
        state = struct_pb2.Struct()
        state.CopyFrom(request.object)
        state.update({"status": "READY", "gpu_total": 8.0})
        return resource_pb2.RegisterResourceResponse(urn=urn, id="models/chat", object=state)


class _NoMocks(Mocks):
    def new_resource(self, args: MockResourceArgs) -> Any:
        raise AssertionError(f"unexpected resource {args}")

    def call(self, args: MockCallArgs) -> Any:
        raise AssertionError(f"unexpected call {args}")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        if SECRET_MARK in value:
            return Secret(_plain(value["value"]))
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def registrations(
    program: Callable[[], object],
    *,
    preview: bool = False,
    config: Mapping[str, str] | None = None,
    monitor: _Monitor | None = None,
) -> list[Registered]:
    """Run ``program`` and return what it registered, in order."""
    monitor = monitor or _Monitor()
    # As Pulumi's own host of programs does: futures of a failed program are nobody's.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)

    async def run() -> None:
        SETTINGS.outputs.clear()  # what an earlier program left behind belongs to a closed loop
        pulumi.runtime.set_all_config(dict(config or {}))
        pulumi.runtime.set_mocks(
            monitor.mocks,
            project="fleet",
            stack="dev",
            organization="acme",
            preview=preview,
            monitor=monitor,
        )
        await run_pulumi_func(lambda: program() and None)

    contextvars.copy_context().run(asyncio.run, run())
    return monitor.registered


def registered(program: Callable[[], Any], **options: Any) -> dict[str, Any]:
    """Return the inputs of the one ModelService that ``program`` registers."""
    (one,) = [r for r in registrations(program, **options) if r.type.endswith("ModelService")]
    return {k: v for k, v in one.inputs.items() if k not in ("__provider", "owner")}


def service(name: str = "chat", /, **args: Any) -> dict[str, Any]:
    """Return the inputs that a ModelService with ``args`` registers."""
    return registered(lambda: ModelService(name, **args))


def later(value: Any) -> pulumi.Output[Any]:
    """Return an Output of ``value`` that is there only after a while."""

    async def arrive() -> Any:
        await asyncio.sleep(0.001)
        return value

    return pulumi.Output.from_input(0).apply(lambda _: arrive())


def unknown() -> pulumi.Output[Any]:
    """Return an Output as a preview has it of a resource that does not exist yet."""

    async def promise(value: Any) -> Any:
        return value

    return pulumi.Output(set(), promise(None), promise(False))


class Producer(pulumi.CustomResource):
    """Some resource that others depend on."""

    value: pulumi.Output[str]

    def __init__(self, name: str) -> None:
        super().__init__("test:index:Producer", name, {"value": "from-producer"})


# Names, types, owner


def test_the_type_token_is_frozen() -> None:
    (one,) = registrations(lambda: ModelService("chat"))
    assert (one.type, one.name) == ("pulumi-python:dynamic/modelfleet:ModelService", "chat")


def test_the_logical_name_is_the_default_name() -> None:
    assert service("chat") == {"model_service_name": "chat"}
    assert service("chat", model_service_name=None) == {"model_service_name": "chat"}
    assert service("chat", model_service_name="x1") == {"model_service_name": "x1"}
    assert registered(lambda: ModelService("chat", base=later({}))) == {
        "model_service_name": "chat"
    }


@pytest.mark.parametrize(
    ("config", "owner"),
    [({}, "acme/fleet/dev"), ({"modelfleet:fleet": "team-a"}, "team-a")],
    ids=["stack", "configured"],
)
def test_the_owner_is_the_stack_unless_a_fleet_is_configured(
    config: dict[str, str], owner: str
) -> None:
    (one,) = registrations(lambda: ModelService("chat") and None, config=config)
    assert one.inputs["owner"] == owner


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ({"owner": "me"}, "owner: is not declared per service; set modelfleet:fleet"),
        ({"status": "READY"}, "status: is an output, not an input"),
        ({"drift": {}}, "drift: is an output, not an input"),
        ({"base_url": "https://x"}, "base_url: .* provider's is provider_settings.base_url"),
        ({"base": {"gpu_total": 1}}, "gpu_total: is an output, not an input"),
    ],
)
def test_neither_the_owner_nor_an_output_can_be_declared(args: Any, reason: str) -> None:
    with pytest.raises(pulumi.RunError, match=f"ModelService chat: {reason}"):
        service(**args)


def test_nothing_but_the_owner_is_added_to_what_is_declared() -> None:
    (one,) = registrations(lambda: ModelService("chat", namespace="models"))
    assert set(one.inputs) == {"__provider", "owner", "model_service_name", "namespace"}


def test_the_provider_is_the_same_short_text_for_every_service_and_no_secret() -> None:
    many = registrations(lambda: [ModelService("a1"), ModelService("b1")])
    blobs = {one.inputs["__provider"] for one in many}
    assert len(blobs) == 1
    assert len(blobs.pop()) < 200


def test_an_unknown_argument_is_passed_on_so_that_the_check_reports_it_with_the_rest() -> None:
    assert service(nmaespace="models", deployment={"gpuu": {}})["nmaespace"] == "models"


@pytest.mark.timeout(900)
def test_a_thousand_services_fit_into_one_program() -> None:
    many = registrations(
        lambda: [ModelService(f"s{at}", namespace="models") for at in range(1000)] and None
    )
    assert len(many) == 1000


# Bases


@pytest.mark.parametrize(
    ("base", "args", "merged"),
    [
        ({"namespace": "a"}, {"namespace": "b"}, {"namespace": "b"}),
        ([{"namespace": "a"}, {"namespace": "b"}], {}, {"namespace": "b"}),
        (
            {"deployment": {"gpu": {"count": 1, "product": "l4"}, "cpu": 2.0}},
            {"deployment": {"gpu": {"count": 2}}},
            {"deployment": {"gpu": {"count": 2, "product": "l4"}, "cpu": 2.0}},
        ),
        (
            {"deployment": {"command": ["a", "b"]}},
            {"deployment": {"command": ["c"]}},
            {"deployment": {"command": ["c"]}},
        ),
        ({"deployment": {"gpu": {"count": 1}}}, {"deployment": {"gpu": None}}, {"deployment": {}}),
    ],
    ids=["own-wins", "later-wins", "maps-merge", "lists-are-replaced", "none-takes-away"],
)
@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "outputs"])
def test_bases_merge_the_same_with_outputs_in_any_place(
    base: Any, args: dict[str, Any], merged: dict[str, Any], wrapped: bool
) -> None:
    def program() -> None:
        ours = {k: later(v) for k, v in args.items()} if wrapped else args
        theirs = [later(b) for b in (base if isinstance(base, list) else [base])]
        ModelService("chat", base=theirs if wrapped else base, **ours)

    expected = {"model_service_name": "chat", **merged}
    assert registered(program) == expected


def test_what_a_program_passes_is_never_changed() -> None:
    base: Any = {"deployment": {"env": {"A": "1"}, "secret_env": {"S": "x"}}, "tags": {"a": "b"}}
    args: Any = {"deployment": {"env": {"B": "2"}}}
    before = copy.deepcopy((base, args))
    service(base=base, **args)
    service(base=[base, base], **args)
    assert (base, args) == before


def test_a_base_that_is_no_map_is_refused() -> None:
    with pytest.raises(pulumi.RunError, match="ModelService chat: base: must be a map of fields"):
        service(base="profile")


def test_a_misspelt_field_of_a_base_that_is_an_output_is_refused_by_name() -> None:
    def program() -> None:
        ModelService("chat", base=later({"nmaespace": "models"}))

    with pytest.raises(pulumi.RunError, match="nmaespace: unknown field; did you mean `namespace`"):
        registrations(program)


# Outputs


def test_outputs_may_stand_at_any_depth() -> None:
    def program() -> None:
        ModelService(
            "chat",
            namespace=later("models"),
            deployment={
                "model": {"uri": later("hf://a/b")},
                "tolerations": [{"key": later("k")}, later({"key": "l"})],
                "command": later(["a", later("b")]),
            },
            tags=later({"team": later("x")}),
        )

    assert registered(program) == {
        "model_service_name": "chat",
        "namespace": "models",
        "deployment": {
            "model": {"uri": "hf://a/b"},
            "tolerations": [{"key": "k"}, {"key": "l"}],
            "command": ["a", "b"],
        },
        "tags": {"team": "x"},
    }


def test_what_a_base_takes_from_a_resource_depends_on_it_after_the_merge() -> None:
    def program() -> None:
        made = Producer("made")
        ModelService(
            "chat",
            base={"deployment": made.value.apply(lambda v: {"env": {"FROM": v}})},
            deployment={"model": {"uri": "hf://a/b"}},
        )

    _, one = registrations(program)
    assert one.inputs["deployment"] == {
        "env": {"FROM": "from-producer"},
        "model": {"uri": "hf://a/b"},
    }
    assert one.dependencies["deployment"] == [
        "urn:pulumi:dev::fleet::pulumi:pulumi:Stack$test:index:Producer::made"
    ]
    assert one.dependencies["model_service_name"] == []


def test_unknowns_at_preview_stay_unknown_and_leave_the_rest_known() -> None:
    def program() -> None:
        ModelService(
            "chat",
            namespace=unknown(),
            deployment={"model": {"uri": unknown()}, "replicas": 2},
        )

    assert registered(program, preview=True) == {
        "model_service_name": "chat",
        "namespace": UNKNOWN,
        "deployment": {"model": {"uri": UNKNOWN}, "replicas": 2},
    }


def test_merging_with_an_unknown_map_is_unknown_and_nothing_else_is() -> None:
    def program() -> None:
        ModelService(
            "chat",
            base={"deployment": {"model": unknown(), "replicas": 2}},
            deployment={"model": {"revision": "main"}, "env": {"A": "1"}},
        )

    assert registered(program, preview=True)["deployment"] == {
        "model": UNKNOWN,
        "replicas": 2,
        "env": {"A": "1"},
    }


def test_of_an_unknown_base_only_what_the_service_sets_itself_is_known() -> None:
    found = registered(
        lambda: ModelService("chat", base=unknown(), namespace="models", tags={"a": "b"}) and None,
        preview=True,
    )
    assert found["namespace"] == "models"
    assert found["deployment"] == found["tags"] == UNKNOWN


# Secrets


def test_an_api_key_and_secret_env_are_secrets_whatever_they_are_given_as() -> None:
    def program() -> None:
        ModelService(
            "chat",
            provider_settings={"api_key": "k", "base_url": "https://x"},
            deployment={"secret_env": {"A": "1", "B": later("2"), "C": pulumi.Output.secret("3")}},
        )

    found = registered(program)
    assert found["provider_settings"] == {"api_key": Secret("k"), "base_url": "https://x"}
    assert found["deployment"] == {
        "secret_env": {"A": Secret("1"), "B": Secret("2"), "C": Secret("3")}
    }


SECRET = pulumi.Output.secret


@pytest.mark.parametrize(
    "deployment",
    [
        lambda: {"env": {"T": SECRET("s"), "A": "1"}},
        lambda: {"env": {"T": later("s").apply(SECRET), "A": later("1")}},
        lambda: {"env": later({"T": later("s").apply(SECRET), "A": "1"})},
        lambda: later({"env": {"T": SECRET("s"), "A": later("1")}}),
        lambda: {"env": {"A": "1"}, "secret_env": {"T": "s"}},
        lambda: {"env": {"A": "1"}, "secret_env": SECRET({"T": "s"})},
    ],
    ids=["value", "late", "env-output", "deployment-output", "as-it-should", "secret-env-output"],
)
@pytest.mark.parametrize("through", ["args", "base", "base-output"])
def test_a_secret_value_of_env_moves_to_secret_env(
    deployment: Callable[[], Any], through: str
) -> None:
    def program() -> None:
        spec: Any = {"deployment": deployment()}
        if through == "args":
            ModelService("chat", **spec)
        else:
            ModelService("chat", base=later(spec) if through == "base-output" else spec)

    assert registered(program)["deployment"] == {
        "env": {"A": "1"},
        "secret_env": {"T": Secret("s")},
    }


@pytest.mark.parametrize("preview", [True, False], ids=["preview", "up"])
def test_an_env_that_is_secret_as_a_whole_moves_as_a_whole(preview: bool) -> None:
    def program() -> None:
        env = unknown() if preview else later({"A": "1", "B": "2"})
        ModelService("chat", deployment={"replicas": 1, "env": SECRET(env)})

    secret_env = Secret(UNKNOWN) if preview else {"A": Secret("1"), "B": Secret("2")}
    assert registered(program, preview=preview)["deployment"] == {
        "replicas": 1,
        "secret_env": secret_env,
    }


def test_a_secret_joins_what_stands_in_secret_env_already() -> None:
    def program() -> None:
        ModelService(
            "chat",
            base={"deployment": {"secret_env": {"A": "1"}}},
            deployment={"env": {"B": SECRET("2")}},
        )

    assert registered(program)["deployment"] == {"secret_env": {"A": Secret("1"), "B": Secret("2")}}


def test_a_variable_in_env_and_in_secret_env_is_refused() -> None:
    def program() -> None:
        ModelService("chat", deployment={"env": {"A": SECRET("1")}, "secret_env": {"A": "2"}})

    with pytest.raises(pulumi.RunError, match=r"deployment\.env\.A: stands in secret_env too"):
        registrations(program)


@pytest.mark.parametrize(
    ("args", "path"),
    [
        (lambda: {"description": SECRET("planted")}, "description"),
        (lambda: {"deployment": {"args": {"x": SECRET("planted")}}}, "deployment.args.x"),
        (lambda: {"deployment": {"args": {"x": ["a", SECRET("planted")]}}}, "deployment.args.x[1]"),
        (lambda: {"deployment": {"args": later({"x": SECRET("planted")})}}, "deployment.args.x"),
        (lambda: {"deployment": {"args": {"x": later([SECRET("planted")])}}}, "deployment.args.x"),
        (lambda: {"tags": {"a/b": later("planted").apply(SECRET)}}, 'tags["a/b"]'),
        (lambda: {"deployment": SECRET({"args": {"x": "planted"}, "cpu": 1})}, "deployment"),
        (lambda: {"deployment": {"secretenv": {"A": SECRET("planted")}}}, "deployment.secretenv.A"),
        (lambda: {"base": SECRET({"namespace": "planted"})}, "base"),
        (
            lambda: {"provider_settings": SECRET({"base_url": "planted", "api_key": "planted"})},
            "provider_settings",
        ),
        (
            lambda: {"deployment": {"env": {"A": {"secret": SECRET("planted")}}}},
            "deployment.env.A.secret",
        ),
    ],
)
def test_a_secret_anywhere_else_is_refused_with_its_path_before_it_is_registered(
    args: Callable[[], dict[str, Any]], path: str
) -> None:
    sent: list[Registered] = []

    def program() -> None:
        ModelService("chat", **args())

    with pytest.raises(pulumi.RunError) as refused:
        sent = registrations(program)
    message = str(refused.value)
    assert message.startswith(f"ModelService chat: {path}")
    assert "is a secret" in message
    assert message.count("is a secret") == 1
    assert "planted" not in message
    assert not sent


def test_every_misplaced_secret_is_named_in_one_message() -> None:
    def program() -> None:
        ModelService("chat", description=SECRET("s"), tags={"a": SECRET("t")})

    with pytest.raises(pulumi.RunError, match=r"description: is a secret.*; tags\.a: is a secret"):
        registrations(program)


def test_a_secret_that_is_none_can_be_said_to_be_none() -> None:
    def program() -> None:
        ModelService("chat", namespace=pulumi.Output.unsecret(SECRET("models")))

    assert registered(program)["namespace"] == "models"


# Outputs of the resource


def test_declared_outputs_resolve_with_their_types() -> None:
    seen: dict[str, Any] = {}

    def program() -> None:
        made = ModelService("chat", namespace="models")
        pulumi.Output.all(
            status=made.status,
            gpus=made.gpu_total,
            reason=made.status_reason,
            namespace=made.namespace,
            uid=made.cluster_uid,
            id=made.id,
        ).apply(seen.update)

    registrations(program)
    assert seen == {
        "status": "READY",
        "gpus": 8,
        "reason": None,
        "namespace": "models",
        "uid": None,
        "id": "models/chat",
    }
    assert isinstance(seen["gpus"], int)


def test_the_owner_is_read_from_the_stack_in_the_program() -> None:
    owners: list[str] = []
    registrations(lambda: owners.append(stack_owner()))
    assert owners == ["acme/fleet/dev"]


# -- what is there already


def refusal(declare: Callable[[], object]) -> str:
    with pytest.raises(pulumi.RunError) as caught:
        registrations(declare)
    return str(caught.value)


def test_an_import_by_id_is_refused_with_the_way_to_take_over() -> None:
    imported = pulumi.ResourceOptions(import_="models/chat")
    said = refusal(lambda: ModelService("chat", namespace="models", opts=imported))
    assert said.startswith("ModelService chat: a dynamic resource cannot be imported by its id;")
    assert "adopt=True" in said
    assert "modelfleet import NAME" in said


def test_nothing_is_declared_of_a_service_that_is_looked_up() -> None:
    there = pulumi.ResourceOptions(id="models/chat")
    said = refusal(lambda: ModelService("chat", namespace="models", opts=there))
    assert said == (
        "ModelService chat: namespace: is read where a service is looked up by its id; besides "
        "that only cluster is given"
    )


def test_a_service_is_looked_up_by_its_id_and_its_cluster_alone() -> None:
    asked: list[Any] = []

    class Reading(_Monitor):
        def ReadResource(self, request: Any) -> Any:  # noqa: N802 (gRPC's spelling)
            asked.append(request)
            return resource_pb2.ReadResourceResponse(urn="urn:x", properties=request.properties)

    registrations(lambda: ModelService.get("chat", "models/chat", cluster="lab"), monitor=Reading())
    (request,) = asked
    inputs = {name: _plain(value) for name, value in MessageToDict(request.properties).items()}
    assert request.id == "models/chat"
    assert inputs.keys() == {"__provider", "cluster"}
    assert inputs["cluster"] == "lab"
