"""Taking over what runs, on the real engine: by adopting it, and by an import document.

Dimensions: who made it (kubectl, this owner, another) x by which way it comes into the state. In
each case its pods go on as if nothing had happened.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from declaring import external, hosted, program, proxy
from looking import Namespace, owners, wait_until
from namespaces import make_namespace

from modelfleet.local.api import Api
from pulumi_stack import Run, Stack

StackFactory = Callable[..., Stack]
Transcript = Callable[..., None]

EXAMPLE = Path(__file__).parents[2] / "examples" / "takeover"
READY, DOCUMENTED = EXAMPLE / "ready-to-adopt.yaml", EXAMPLE / "vllm-documentation.yaml"

HASTY = """\
from modelfleet import ModelService

ModelService(
    "mistral-7b",
    namespace="models",
    adopt=True,
    deployment={
        "model": {"uri": "hf://mistralai/Mistral-7B-Instruct-v0.3"},
        "gpu": {"count": 1},
    },
)
"""


@pytest.fixture
def here(plane_api: Api, namespace: str) -> Namespace:
    return Namespace(plane_api, namespace)


def run(stack: Stack, *command: str, returncode: int = 0) -> Run:
    """Run a command in the project's folder."""
    done = subprocess.run(
        command,
        cwd=stack.project,
        env=stack.environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == returncode, done.stdout + done.stderr
    folders = {str(EXAMPLE): "examples/takeover"}
    typed = " ".join(command).replace(str(EXAMPLE), "examples/takeover")
    return Run(typed, done.returncode, done.stdout, done.stderr, folders)


def imported(stack: Stack, name: str, *, namespace: str, owner: str = "") -> Run:
    """Put a service into the state by its document; return what was printed beside it."""
    arguments = ("import", name, "--namespace", namespace, *(("--owner", owner) if owner else ()))
    stack.program(run(stack, "modelfleet", *arguments).stdout)
    document = run(stack, "modelfleet", *arguments, "--output", "document")
    (stack.project / "document.json").write_text(document.stdout)
    options = ("--yes", "--protect=false", "--generate-code=false")
    return stack.pulumi("import", "--file", "document.json", *options)


def changes(run: Run) -> list[str]:
    """Return the lines of a detailed preview that show a change."""
    return [
        line.strip()
        for line in run.output.splitlines()
        if line.strip().startswith(("+ ", "- ", "~ ")) and "pulumi-python" not in line
    ]


def applied(here: Namespace, stack: Stack, *files: Path) -> None:
    """Have kubectl make a Deployment, and wait until its pods serve."""
    names = [argument for file in files for argument in ("--filename", str(file))]
    run(stack, "kubectl", "apply", "--namespace", here.name, *names)


# Adopting what kubectl made


@pytest.fixture
def models(plane_api: Api, stack_factory: StackFactory) -> Iterator[tuple[Namespace, Stack]]:
    """The namespace that is read in the transcripts, without what kubectl made in it."""
    make_namespace(plane_api, "models")
    stack = stack_factory(HASTY, project="takeover", cluster=True)
    yield Namespace(plane_api, "models"), stack
    files = [argument for file in (READY, DOCUMENTED) for argument in ("--filename", str(file))]
    run(stack, "kubectl", "delete", "--ignore-not-found", "--namespace", "models", *files)


@pytest.mark.xdist_group("models")  # the namespace is read in the transcripts
def test_what_vllm_documents_is_refused_and_once_it_is_made_ready_no_pod_notices(
    models: tuple[Namespace, Stack], transcript: Transcript
) -> None:
    here, stack = models
    applied(here, stack, DOCUMENTED)
    wait_until(lambda: bool(here.uids("replicasets")))
    before = here.uids("replicasets"), here.versions()
    transcript("takeover/1-refused", stack.up(expect_failure=True))
    beside = run(stack, "modelfleet", "import", "mistral-7b", returncode=3)
    transcript("takeover/2-import-of-what-is-refused", beside)
    assert (here.uids("replicasets"), here.versions()) == before
    assert stack.resources().keys() == {"takeover-dev"}

    run(stack, "kubectl", "delete", "--namespace", "models", "--filename", str(DOCUMENTED))
    applied(here, stack, READY)
    applied(here, stack, DOCUMENTED)  # for its Secret
    look = ("kubectl", "get", "pods", "--namespace", "models", "--selector", "app=mistral-ready",
            "--output", "jsonpath={range .items[*]}{.metadata.name}{', restarts: '}"
            "{.status.containerStatuses[0].restartCount}{'\\n'}{end}")  # fmt: skip
    rollout = ("rollout", "status", "deployment/mistral-ready", "--timeout=300s")
    run(stack, "kubectl", "--namespace", "models", *rollout)
    pods, replica_sets = here.uids("pods"), here.uids("replicasets")
    looked = run(stack, *look)
    # Another pod's name would be written otherwise.
    the_pod = {looked.stdout.partition(",")[0]: "mistral-ready-<the same pod>"}
    transcript("takeover/3-pods-before", replace(looked, paths=the_pod))
    printed = run(stack, "modelfleet", "import", "mistral-ready")
    transcript("takeover/4-import", printed)
    stack.program(printed.stdout)
    transcript("takeover/5-preview", stack.preview())
    transcript("takeover/6-up", stack.up())
    transcript("takeover/7-pods-after", replace(run(stack, *look), paths=the_pod))
    transcript("takeover/8-preview-again", stack.preview("--diff"))

    assert (here.uids("pods"), here.uids("replicasets")) == (pods, replica_sets)
    assert owners(here.own()) == {"organization/takeover/dev"}
    assert "2 unchanged" in stack.refresh().output
    stack.destroy()
    assert here.own() == []


# Import documents


def test_a_lost_state_is_had_back_and_the_preview_is_empty(
    stack_factory: StackFactory, here: Namespace
) -> None:
    declared = program(
        hosted("chat", namespace=here.name, deployment={"replicas": 2, "env": {"A": "1"}}),
    )
    lost = stack_factory(declared, project="lost", cluster=True)
    lost.set_config("modelfleet:fleet", "acme")
    lost.up()
    pods, versions = here.uids("pods"), here.versions()

    stack = stack_factory("", project="found", cluster=True)
    stack.set_config("modelfleet:fleet", "acme")
    imported(stack, "chat", namespace=here.name)

    assert changes(stack.preview("--diff")) == []
    assert "2 unchanged" in stack.up("--refresh", "--expect-no-changes").output
    assert (here.uids("pods"), here.versions()) == (pods, versions)
    stack.destroy()
    assert here.own() == []


def test_the_service_of_another_owner_shows_its_new_owner_and_nothing_else(
    stack_factory: StackFactory, here: Namespace
) -> None:
    first = stack_factory(program(hosted("chat", namespace=here.name)), project="a", cluster=True)
    first.up()
    pods = here.uids("pods")

    second = stack_factory("", project="b", cluster=True)
    imported(second, "chat", namespace=here.name, owner="organization/b/dev")

    preview = second.preview("--diff")
    assert changes(preview) == ['~ owner: "organization/a/dev" => "organization/b/dev"',
                                "~ 1 to update"]  # fmt: skip
    second.up()
    assert here.uids("pods") == pods
    assert owners(here.own()) == {"organization/b/dev"}
    assert "2 unchanged" in second.up().output


def test_the_document_of_a_foreign_deployment_shows_that_it_is_taken_over(
    stack_factory: StackFactory, here: Namespace
) -> None:
    first = stack_factory(program(hosted("chat", namespace=here.name)), project="a", cluster=True)
    first.up()
    live = here.deployment("chat")
    for plural in ("deployments", "services", "networkpolicies"):
        here.send("DELETE", plural, "chat")
    wait_until(lambda: here.own() == [] and here.names("pods") == [])
    selector = live["spec"]["selector"]["matchLabels"]
    theirs = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "chat"},
        "spec": {"selector": {"matchLabels": selector}, "template": live["spec"]["template"]},
    }
    stack = stack_factory("", project="b", cluster=True)
    (stack.project / "theirs.json").write_text(json.dumps(theirs))
    run(stack, "kubectl", "create", "--namespace", here.name, "--filename", "theirs.json")
    rollout = ("rollout", "status", "deployment/chat", "--timeout=300s")
    run(stack, "kubectl", "--namespace", here.name, *rollout)
    pods = here.uids("pods")

    imported(stack, "chat", namespace=here.name)
    preview = stack.preview("--diff")
    assert changes(preview) == ['+ owner: "organization/b/dev"', "~ 1 to update"]
    told = stack.up().diagnostics("chat").splitlines()
    assert told[1].startswith(f"takes over Deployment {here.name}/chat, which was not made by")
    assert told[1].endswith(", with its pods.")
    assert told[2].startswith(f"NetworkPolicy {here.name}/chat is new: ")
    assert here.uids("pods") == pods
    assert "2 unchanged" in stack.up().output


def test_of_secrets_an_import_says_only_that_there_are_some(
    stack_factory: StackFactory, here: Namespace
) -> None:
    settings = {"api_key": "hush-do-not-tell"}
    declared = program(external("far", namespace=here.name, provider_settings=settings))
    first = stack_factory(declared, project="a", cluster=True)
    first.set_config("modelfleet:fleet", "acme")
    first.up()
    versions = here.versions()

    second = stack_factory("", project="b", cluster=True)
    second.set_config("modelfleet:fleet", "acme")
    second.set_config("far_api_key", "hush-do-not-tell", secret=True)
    imported(second, "far", namespace=here.name)

    text = (second.project / "__main__.py").read_text()
    assert '"api_key": config.require_secret("far_api_key")' in text
    assert "hush" not in text + (second.project / "document.json").read_text()
    preview = second.preview("--diff")
    assert "hush" not in preview.output
    assert "1 to update" in preview.output
    second.up()
    assert here.versions().keys() == versions.keys()
    assert "2 unchanged" in second.up().output


def test_a_key_that_was_made_is_made_anew_after_an_import_and_kept_from_then_on(
    stack_factory: StackFactory, here: Namespace
) -> None:
    target = {"base_url": "https://llm.example.org/v1", "model_name": "m"}
    front = proxy(
        "front",
        namespace=here.name,
        routes={"chat": {"targets": [target]}},
        api_keys={"team-a": {"generate": {}}},
    )
    first = stack_factory(program(front), project="a", cluster=True)
    first.set_config("modelfleet:fleet", "acme")
    first.up()
    (before,) = key_hashes(here, "front")
    pods = here.uids("replicasets")

    second = stack_factory("", project="b", cluster=True)
    second.set_config("modelfleet:fleet", "acme")
    imported(second, "front", namespace=here.name)
    assert (
        "# Of the keys that modelfleet made (team-a)"
        in (second.project / "__main__.py").read_text()
    )
    assert "1 to update" in second.preview().output
    second.up()
    (after,) = key_hashes(here, "front")
    assert after != before
    assert here.uids("replicasets") == pods
    exported = json.loads(second.pulumi("stack", "export", "--show-secrets").stdout)
    kept = exported["deployment"]["resources"][-1]["outputs"]["generated_keys"]
    (made,) = json.loads(kept["plaintext"]).values()
    assert after == hashlib.sha256(made.encode()).hexdigest()
    assert "2 unchanged" in second.up().output
    assert key_hashes(here, "front") == [after]


def key_hashes(here: Namespace, proxy_name: str) -> list[str]:
    """Return the hashes of the keys that a gateway is to accept."""
    data = here.send("GET", "secrets", f"{proxy_name}-proxy")["data"]["keys.json"]
    return list(json.loads(base64.b64decode(data))["keys"])
