"""Every resource option of Pulumi means for a ModelService what it means for any resource.

Each is tried on the real engine, on running services: what an option protects is compared in the
cluster, object by object, before and after.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from declaring import ACCEPTED, Code, external, hosted, program
from looking import Namespace, incarnations, wait_until

from modelfleet.local.api import Api
from pulumi_stack import Stack

StackFactory = Callable[..., Stack]

TYPE = "pulumi-python:dynamic/modelfleet:ModelService"


@pytest.fixture
def here(plane_api: Api, namespace: str) -> Namespace:
    return Namespace(plane_api, namespace)


def urn(stack: Stack, name: str) -> str:
    found: str = stack.resources()[name]["urn"]
    return found


def nothing_to_do(stack: Stack) -> bool:
    """Return whether an ``up`` changes nothing; it fails the test where it would."""
    return " unchanged" in stack.up("--expect-no-changes").output


# -- what is not deleted -----------------------------------------------------------------------


def test_a_retained_service_outlives_its_stack_and_is_taken_up_again_as_it_is(
    stack_factory: StackFactory, here: Namespace
) -> None:
    retained = {"namespace": here.name, "options": "retain_on_delete=True"}
    chat, far = hosted("chat", **retained), external("far", **retained)
    stack = stack_factory(program(chat, far), cluster=True)
    stack.up()
    pods, versions = here.uids("pods"), here.versions()

    stack.program(program(far))
    assert "- 1 deleted" in stack.up().output
    stack.destroy()
    assert stack.resources() == {}
    assert here.versions() == versions

    plain = program(hosted("chat", namespace=here.name), external("far", namespace=here.name))
    stack.program(plain)
    assert "+ 3 created" in stack.up().output
    assert here.versions().keys() == versions.keys()
    assert here.uids("pods") == pods
    stack.destroy()
    assert here.own() == []


def test_a_protected_resource_is_refused_by_the_engine_and_its_objects_are_not_touched(
    stack_factory: StackFactory, here: Namespace
) -> None:
    def protected(**fields: Any) -> str:
        declared = {"namespace": here.name, "options": "protect=True", **fields}
        return program(hosted("chat", **declared))

    stack = stack_factory(protected(), cluster=True)
    stack.up()
    versions = here.versions()

    for text, verb in (
        (protected(), stack.destroy),
        (program(), stack.up),
        (protected(namespace="elsewhere"), stack.up),
    ):
        stack.program(text)
        said = verb(expect_failure=True).diagnostics("chat")
        assert "To unprotect the resource" in said
        assert here.versions() == versions

    # Changes in place are not deletions.
    stack.program(protected(description="changed"))
    assert "~ 1 updated" in stack.up().output


def test_deletion_protection_also_holds_for_what_the_program_no_longer_declares(
    stack_factory: StackFactory, here: Namespace
) -> None:
    protected = {"namespace": here.name, "deletion_protection": True}
    stack = stack_factory(
        program(hosted("chat", **protected), external("far", **protected)), cluster=True
    )
    stack.up()
    versions = here.versions()

    stack.program(program())
    refused = stack.up(expect_failure=True)
    for name in ("chat", "far"):
        # The engine ends the run at the first refusal, which may be either.
        said = refused.diagnostics(name)
        assert not said or "has deletion_protection and would be deleted" in said
    assert "has deletion_protection and would be deleted" in refused.output
    assert here.versions() == versions
    assert {"chat", "far"} <= stack.resources().keys()

    # Pulumi's own way of letting go of a resource is not a deletion.
    for name in ("chat", "far"):
        stack.pulumi("state", "delete", urn(stack, name), "--yes")
    assert stack.resources().keys() == {"project-dev"}
    assert here.versions() == versions


# -- what is not changed -----------------------------------------------------------------------

IGNORED = ("deployment.replicas", 'deployment.env["X"]', "deployment.model.revision")


def ignoring(
    here: Namespace, *, value: int, ignored: tuple[str, ...] = IGNORED, **fields: Any
) -> str:
    """Return a program whose service ignores the three fields that ``value`` sets."""
    deployment = {
        "model": {"uri": "hf://example/tiny", "revision": f"v{value}"},
        "runtime": "vllm",  # a runtime given in full knows no revision
        "gpu": {"product": "NVIDIA-L4"},
        "replicas": value,
        "env": {"X": str(value), "Y": "stays"},
    }
    options = f"ignore_changes={list(ignored)!r}"
    return program(
        hosted("chat", namespace=here.name, deployment=deployment, options=options, **fields)
    )


def live_x(here: Namespace) -> str:
    (container,) = here.deployment("chat")["spec"]["template"]["spec"]["containers"]
    (value,) = (each["value"] for each in container["env"] if each["name"] == "X")
    return str(value)


def set_x(here: Namespace, value: str) -> None:
    """Set the variable as a person does with ``kubectl set env``."""
    (container,) = here.deployment("chat")["spec"]["template"]["spec"]["containers"]
    variable = {"name": container["name"], "env": [{"name": "X", "value": value}]}
    here.send(
        "PATCH",
        "deployments",
        "chat",
        params={"fieldManager": "kubectl-set"},
        headers={"Content-Type": "application/strategic-merge-patch+json"},
        json={"spec": {"template": {"spec": {"containers": [variable]}}}},
    )


def scale(here: Namespace, replicas: int, *, manager: str) -> None:
    """Scale as an autoscaler does, through the subresource."""
    here.send(
        "PATCH",
        "deployments",
        "chat/scale",
        params={"fieldManager": manager},
        headers={"Content-Type": "application/merge-patch+json"},
        json={"spec": {"replicas": replicas}},
    )


def test_an_ignored_change_is_neither_shown_nor_applied(
    stack_factory: StackFactory, here: Namespace
) -> None:
    stack = stack_factory(ignoring(here, value=1), cluster=True)
    stack.up()
    pods, versions = here.uids("pods"), here.versions()

    stack.program(ignoring(here, value=2))
    assert nothing_to_do(stack)
    assert here.versions() == versions

    stack.program(ignoring(here, value=2, description="changed"))
    shown = stack.preview("--diff")
    assert "in place: description" in shown.output
    assert not any(name in shown.output for name in ("replicas", "revision", "X"))
    assert "~ 1 updated" in stack.up().output
    assert here.uids("pods") == pods
    assert (here.deployment("chat")["spec"]["replicas"], live_x(here)) == (1, "1")


def test_what_others_made_of_an_ignored_field_stays(
    stack_factory: StackFactory, here: Namespace
) -> None:
    stack = stack_factory(ignoring(here, value=1), cluster=True)
    stack.up()

    def is_live(replicas: int, x: str) -> bool:
        return (here.deployment("chat")["spec"]["replicas"], live_x(here)) == (replicas, x)

    # A person's, found by a refresh. The state has taken it up, and there is nothing to repair.
    here.edit("deployments", "chat", {"spec": {"replicas": 2}})
    set_x(here, "mine")
    said = stack.refresh("--expect-no-changes").diagnostics("chat")
    assert "deployment.replicas set to 2 by kubectl-edit" in said
    assert "deployment.env.X set to mine by kubectl-set" in said
    versions = here.versions()
    assert nothing_to_do(stack)
    assert "2 unchanged" in stack.refresh("--expect-no-changes").output
    assert here.versions() == versions
    assert is_live(2, "mine")

    # A person's and an autoscaler's, while another field is changed, with nobody having looked.
    set_x(here, "yours")
    scale(here, 3, manager="horizontal-pod-autoscaler")
    template = here.deployment("chat")["spec"]["template"]
    stack.program(ignoring(here, value=1, description="changed"))
    assert "~ 1 updated" in stack.up().output
    assert is_live(3, "yours")
    assert here.deployment("chat")["spec"]["template"] == template
    assert nothing_to_do(stack)
    # And once more, where the autoscaler goes on from what was applied last.
    scale(here, 2, manager="horizontal-pod-autoscaler")
    stack.program(ignoring(here, value=1, description="again"))
    stack.up()
    assert is_live(2, "yours")

    # What is not ignored beside it is drift as ever.
    here.edit("deployments", "chat", {"spec": {"replicas": 1}})
    here.send("DELETE", "services", "chat")
    assert "~ 1 updated" in stack.refresh().output
    assert "~ 1 updated" in stack.up().output
    assert here.names("services") == ["chat"]
    assert is_live(1, "yours")

    # Once nothing is ignored, what is declared counts again.
    stack.program(ignoring(here, value=2, ignored=(), adopt=True))
    stack.up()
    assert is_live(2, "2")


def test_a_renamed_or_moved_resource_keeps_its_service(
    stack_factory: StackFactory, here: Namespace
) -> None:
    def declared(name: str, options: str = "") -> str:
        return hosted(name, namespace=here.name, model_service_name="chat", options=options)

    before = """\
class Chat(ModelService, module="acme", name="Chat"):
    pass
"""
    team = """\
class Team(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("acme:index:Team", name)
team = Team("ml")
"""
    alias = "aliases=[pulumi.Alias({})]"
    stack = stack_factory(
        program(declared("chat").replace("ModelService(", "Chat(", 1), before=before), cluster=True
    )
    stack.up()
    versions = here.versions()

    steps = (
        declared("chat", alias.format("type_='pulumi-python:dynamic/acme:Chat'")),
        declared("talk", alias.format("name='chat'")),
        declared("talk", f"parent=team, {alias.format('parent=pulumi.ROOT_STACK_RESOURCE')}"),
        declared("talk", alias.format("parent=pulumi.URN_OF_TEAM")),
    )
    for step in steps:
        is_child = "parent=team" in step
        if "URN_OF_TEAM" in step:
            step = step.replace("pulumi.URN_OF_TEAM", repr(urn(stack, "ml")))
        stack.program(program(step, before=team if is_child else ""))
        moved = stack.up()
        done = re.findall(
            r"^ *\S+ +pulumi-python:dynamic/\S+ (\S+ \w+)", moved.output, re.MULTILINE
        )
        assert not done, "neither created, updated, replaced nor deleted"
        assert here.versions() == versions
    assert urn(stack, "talk").endswith(f"{TYPE}::talk")


def test_only_a_target_is_touched(stack_factory: StackFactory, here: Namespace) -> None:
    def both(description: str) -> str:
        fields = {"namespace": here.name, "description": description}
        return program(hosted("chat", **fields), external("far", **fields))

    stack = stack_factory(both("first"), cluster=True)
    stack.up()
    target = ("--target", urn(stack, "far"))

    def described(name: str) -> str:
        found: str = stack.resources()[name]["outputs"]["description"]
        return found

    stack.program(both("second"))
    before = here.versions()
    stack.up(*target)
    after = here.versions()
    assert (described("chat"), described("far")) == ("first", "second")
    (secret,) = here.uids("secrets")
    assert {uid for uid in before if before[uid] != after[uid]} == {secret}

    stack.destroy(*target)
    assert here.names("secrets") == []
    assert stack.resources().keys() == {"project-dev", "chat"}
    left = {uid: version for uid, version in after.items() if uid != secret}
    assert here.versions() == left


# -- what is set for a whole fleet -------------------------------------------------------------

TRANSFORMS = {
    "transform": """\
def everywhere(args):
    if args.type_ != TYPE:
        return None
    args.opts.protect = True
    return pulumi.ResourceTransformResult({**args.props, **SHARED}, args.opts)

pulumi.runtime.register_resource_transform(everywhere)
""",
    "transformation": """\
def everywhere(args):
    if args.type_ != TYPE:
        return None
    args.opts.protect = True
    return pulumi.ResourceTransformationResult({**args.props, **SHARED}, args.opts)

pulumi.runtime.register_stack_transformation(everywhere)
""",
}


@pytest.mark.parametrize("kind", TRANSFORMS)
def test_a_transform_places_a_whole_fleet_and_secrets_stay_secret(
    kind: str, stack_factory: StackFactory, here: Namespace
) -> None:
    shared = {"namespace": here.name, "cluster": "shared", "tags": {"team": "search"}}
    before = f"TYPE, SHARED = {TYPE!r}, {shared!r}\n{TRANSFORMS[kind]}"
    secret = Code("pulumi.Output.secret('planted-secret')")
    stack = stack_factory(
        program(
            hosted("chat", namespace="nowhere", deployment={"env": {"TOKEN": secret}}),
            external("far", namespace="nowhere", provider_settings={"api_key": secret}),
            before=before,
        ),
        cluster=True,
    )
    config = json.dumps({"shared": {"kubeconfig": stack.environment["KUBECONFIG"]}})
    stack.set_config("modelfleet:clusters", config)
    previewed = stack.preview("--diff")
    created = stack.up()
    for name in ("chat", "far"):
        resource = stack.resources()[name]
        assert resource["protect"]
        assert resource["id"] == f"{here.name}/{name}"
        assert {key: resource["outputs"][key] for key in shared} == shared
    assert here.names("deployments") == ["chat"]
    for text in (previewed.output, created.output, json.dumps(stack.export())):
        assert "planted-secret" not in text
    assert nothing_to_do(stack)


# -- order, replacement, time, secrecy ---------------------------------------------------------


def test_a_service_is_not_begun_before_what_it_depends_on_is_ready(
    stack_factory: StackFactory, here: Namespace
) -> None:
    first = hosted(
        "first", namespace=here.name, behaviour="never-ready", wait={"timeout_seconds": 2}
    )
    second = external("second", namespace=here.name, options="depends_on=[first]")
    stack = stack_factory(program(f"first = {first}", second), cluster=True)
    failed = stack.up(expect_failure=True)
    assert "is not ready after 2 s" in failed.diagnostics("first")
    assert (here.names("deployments"), here.names("secrets")) == (["first"], [])
    stack.program(program(f"first = {hosted('first', namespace=here.name)}", second))
    stack.up()
    assert here.names("secrets") == ["second-external"]
    # What others depend on goes last.
    assert stack.resources()["second"]["dependencies"] == [urn(stack, "first")]


def test_a_change_that_is_to_replace_takes_over_the_same_service_unless_it_is_deleted_first(
    stack_factory: StackFactory, here: Namespace
) -> None:
    def declared(description: str, *options: str) -> str:
        text = ", ".join(["replace_on_changes=['description']", *options])
        return program(
            hosted("chat", namespace=here.name, description=description, options=text),
            external("far", namespace=here.name, description=description, options=text),
        )

    stack = stack_factory(declared("first"), cluster=True)
    stack.up()
    pods, before = here.uids("pods"), incarnations(here.own())

    stack.program(declared("second"))
    assert "+-2 replaced" in stack.up().output
    assert here.uids("pods") == pods
    after = incarnations(here.own())
    assert after.isdisjoint(before)

    stack.program(declared("third", "delete_before_replace=True"))
    assert "+-2 replaced" in stack.up().output
    assert incarnations(here.own()).isdisjoint(after)
    assert here.uids("pods").isdisjoint(pods)
    assert nothing_to_do(stack)


def test_custom_timeouts_bound_how_long_is_waited(
    stack_factory: StackFactory, here: Namespace
) -> None:
    timeouts = "custom_timeouts=pulumi.CustomTimeouts(create='2s', update='3s')"
    declared = hosted("chat", namespace=here.name, behaviour="never-ready", options=timeouts)
    stack = stack_factory(program(declared), cluster=True)
    assert "is not ready after 2 s" in stack.up(expect_failure=True).diagnostics("chat")
    assert "is not ready after 3 s" in stack.up(expect_failure=True).diagnostics("chat")


def test_an_output_may_be_declared_secret(stack_factory: StackFactory, here: Namespace) -> None:
    options = "additional_secret_outputs=['base_url', 'status']"
    chat = f"chat = {hosted('chat', namespace=here.name, wait=ACCEPTED, options=options)}"
    stack = stack_factory(
        program(chat, "pulumi.export('url', chat.base_url)", "pulumi.export('id', chat.id)"),
        cluster=True,
    )
    stack.up()
    url = f"http://chat.{here.name}.svc/v1"
    assert stack.outputs()["url"] == url
    shown = json.loads(stack.pulumi("stack", "output", "--json").stdout)
    assert shown == {"url": "[secret]", "id": f"{here.name}/chat"}
    outputs = stack.resources()["chat"]["outputs"]
    assert all("ciphertext" in outputs[name] for name in ("base_url", "status"))
    assert nothing_to_do(stack)


# -- what is there already ---------------------------------------------------------------------


def test_a_service_of_another_stack_is_looked_up_and_never_touched(
    stack_factory: StackFactory, here: Namespace
) -> None:
    deployment = {"replicas": 1, "secret_env": {"TOKEN": "planted-secret"}}
    theirs = stack_factory(
        program(
            hosted("chat", namespace=here.name, workspace_id="search", deployment=deployment),
            external("far", namespace=here.name, provider_settings={"api_key": "planted-secret"}),
        ),
        project="theirs",
        cluster=True,
    )
    theirs.up()
    versions = here.versions()

    def looking_up(*names: str) -> str:
        outputs = ("model_service_name", "namespace", "base_url", "access_name", "status")
        return program(
            *(f"{name} = ModelService.get({name!r}, '{here.name}/{name}')" for name in names),
            *(f"pulumi.export('{n}_{o}', {n}.{o})" for n in names for o in outputs),
        )

    ours = stack_factory(looking_up("chat", "far"), project="ours", cluster=True)
    ours.up()
    assert ours.outputs() == {
        "chat_model_service_name": "chat",
        "chat_namespace": here.name,
        "chat_base_url": f"http://chat.{here.name}.svc/v1",
        "chat_access_name": "search/chat",
        "chat_status": "READY",
        "far_model_service_name": "far",
        "far_namespace": here.name,
        "far_base_url": "https://models.example.org/v1",
        "far_access_name": "far",
        "far_status": "READY",
    }
    for name in ("chat", "far"):
        ours_of, of_theirs = (stack.resources()[name]["outputs"] for stack in (ours, theirs))
        known = ours_of.keys() & of_theirs.keys() - {"__provider"}
        assert {key: ours_of[key] for key in known} == {key: of_theirs[key] for key in known}
        assert "incarnation" not in ours_of
    assert "planted-secret" not in json.dumps(ours.export())
    assert "3 unchanged" in ours.refresh().output
    ours.program(looking_up("chat"))
    ours.up()
    assert ours.resources().keys() == {"ours-dev", "chat"}
    assert here.versions() == versions

    ours.program(looking_up("chat", "nobody"))
    said = ours.preview(expect_failure=True).diagnostics("nobody")
    assert said.removeprefix("error: ").removeprefix("Preview failed: ") == (
        f"ModelService {here.name}/nobody: does not exist in cluster 'default'. An id "
        "is namespace/name, and modelfleet ls lists what there is. What is yet to be made is "
        "declared, not looked up; what was made by other means is declared with adopt=True."
    )
    ours.program(looking_up("chat"))
    theirs.destroy()
    wait_until(lambda: here.names("deployments") == [])
    assert "- 1 deleted" in ours.refresh().output
    assert "does not exist" in ours.up(expect_failure=True).diagnostics("chat")


def test_an_import_by_id_in_a_program_is_refused_with_the_way_to_take_over(
    stack_factory: StackFactory, here: Namespace
) -> None:
    imported = external("far", namespace=here.name, options=f"import_='{here.name}/far'")
    stack = stack_factory(program(imported), cluster=True)
    for command in (stack.preview, stack.up):
        refused = command(expect_failure=True)
        assert refused.diagnostics("project-dev").startswith(
            "error: ModelService far: a dynamic resource cannot be imported by its id; declare it "
            "with adopt=True instead of import_, and pulumi up takes over what runs (modelfleet "
            "import NAME prints the declaration).\n"
        )
        assert "Traceback" not in refused.output
    assert here.own() == []


def test_an_import_by_id_on_the_command_line_fails_before_any_of_our_code_runs(
    stack_factory: StackFactory, here: Namespace
) -> None:
    stack = stack_factory(program(external("far", namespace=here.name)), cluster=True)
    stack.up()
    versions, before = here.versions(), stack.export()

    refused = stack.pulumi(
        "import", TYPE, "taken", f"{here.name}/far", "--yes", "--skip-preview", expect_failure=True
    )
    # The engine asks a provider to read a resource of which it knows nothing but the id. Which
    # class is to answer stands in a property of the resource, and that is what the SDK looks for.
    said = refused.diagnostics("taken")
    assert said.endswith("KeyError: '__provider'")
    assert "/pulumi/dynamic/__main__.py" in said
    assert "modelfleet/adapters" not in said and "dynamic_entry" not in said
    assert stack.export()["deployment"]["resources"] == before["deployment"]["resources"]
    assert here.versions() == versions
