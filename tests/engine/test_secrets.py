"""No value of a secret stands anywhere but where it belongs.

Distinctive values are planted wherever secrets may be declared, and searched for, plain and as
base64, in everything the engine prints or keeps and in every object but the data of Secrets.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest
from declaring import Code, external, hosted, program
from looking import Namespace

from modelfleet.local.api import Api
from pulumi_stack import Run, Stack

StackFactory = Callable[..., Stack]

EVERY_KIND = (
    "configmaps", "deployments", "events", "networkpolicies", "pods", "replicasets", "secrets",
    "services",
)  # fmt: skip


@pytest.fixture
def here(plane_api: Api, namespace: str) -> Namespace:
    return Namespace(plane_api, namespace)


@dataclass(frozen=True)
class Planted:
    """Values of secrets; another ``generation`` has other values."""

    generation: str = "first"

    def __getitem__(self, where: str) -> str:
        return f"planted-{where}-{self.generation}-0f9e"

    def secret(self, where: str) -> Code:
        return Code(f"pulumi.Output.secret({self[where]!r})")

    def program(self, here: Namespace, *, behaviour: str = "") -> str:
        """Return a program with a secret at each place that may hold one."""
        return program(
            hosted(
                "chat",
                namespace=here.name,
                behaviour=behaviour,
                deployment={
                    "env": {"HUB": self.secret("env"), "PLAIN": "of course"},
                    "secret_env": {"CONFIGURED": Code("configured"), "LITERAL": self["literal"]},
                },
            ),
            external(
                "far", namespace=here.name, provider_settings={"api_key": self.secret("api-key")}
            ),
            before="configured = pulumi.Config().require_secret('configured')",
        )


FIRST, SECOND = Planted(), Planted("second")
NUMBER = Code("pulumi.Output.secret(7317317317317)")
BY_HAND = "planted-by-hand-0f9e"
VALUES = [*(each[where] for each in (FIRST, SECOND) for where in ("env", "literal", "api-key"))]
VALUES += ["planted-configured-0f9e", BY_HAND, "7317317317317"]


def leaks(texts: Iterable[str]) -> set[str]:
    """Return the planted values that stand in ``texts``, in any form."""
    forms = [(value, form) for value in VALUES for form in (value, as_data(value)[:-4], value[8:])]
    return {value for text in texts for value, form in forms if form in text}


def as_data(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def seen_in_the_cluster(here: Namespace) -> list[str]:
    """Return every object here as text; of a Secret everything but its data."""
    objects = [obj for kind in EVERY_KIND for obj in here.objects(kind)]
    return [json.dumps({key: obj[key] for key in obj if key != "data"}) for obj in objects]


def previewed_and_done(stack: Stack) -> Run:
    """Run an ``up`` with a preview before it, both in detail."""
    return stack.pulumi("up", "--yes", "--diff")


def exported(stack: Stack) -> str:
    return json.dumps(stack.export())


def test_secrets_are_in_secrets_only_and_a_changed_one_rolls_the_pods(
    stack_factory: StackFactory, here: Namespace
) -> None:
    stack = stack_factory(FIRST.program(here), cluster=True)
    stack.set_config("configured", "planted-configured-0f9e", secret=True)
    said: list[Run] = [previewed_and_done(stack)]
    assert leaks([exported(stack), *seen_in_the_cluster(here)]) == set()
    data = here.send("GET", "secrets", "chat-env")["data"]
    assert data["HUB"] == as_data(FIRST["env"]), "or nothing was planted at all"
    assert data["CONFIGURED"] == as_data("planted-configured-0f9e")
    far = here.send("GET", "secrets", "far-external")["data"]
    assert far["api_key"] == as_data(FIRST["api-key"])

    # What somebody put in place of a secret is a secret, too.
    here.edit("secrets", "chat-env", {"data": {"HUB": as_data(BY_HAND)}})
    here.edit("secrets", "far-external", {"data": {"api_key": as_data(BY_HAND)}})
    said.append(stack.refresh("--diff"))
    assert "set to (secret) by kubectl-edit" in said[-1].output
    said.append(previewed_and_done(stack))
    assert here.send("GET", "secrets", "chat-env")["data"] == data
    assert leaks([exported(stack), *seen_in_the_cluster(here)]) == set()

    pods = here.uids("pods")
    stack.program(SECOND.program(here))
    said.append(previewed_and_done(stack))
    assert "(secret) changed" in said[-1].output
    assert here.uids("pods").isdisjoint(pods)
    far = here.send("GET", "secrets", "far-external")["data"]
    assert far["api_key"] == as_data(SECOND["api-key"])

    stack.program(FIRST.program(here, behaviour="crash-loop"))
    said.append(stack.up("--diff", expect_failure=True))
    assert "UPDATE_FAILED" in exported(stack)
    assert leaks([exported(stack), *seen_in_the_cluster(here)]) == set()
    said += [stack.refresh("--diff"), stack.destroy("--diff")]
    assert leaks(run.output for run in said) == set()
    assert leaks([exported(stack)]) == set()


def test_no_problem_of_a_declaration_shows_a_secret(
    stack_factory: StackFactory, here: Namespace
) -> None:
    numbers = {"env": {"not a name": NUMBER}, "secret_env": {"N": NUMBER, "not so": NUMBER}}
    chat = program(hosted("chat", namespace=here.name, deployment=numbers))
    far = program(external("far", namespace=here.name, provider_settings={"api_key": NUMBER}))
    stack = stack_factory(chat)
    refused = [stack.preview(expect_failure=True)]
    stack.program(far)
    refused.append(stack.preview(expect_failure=True))
    assert refused[0].diagnostics("chat").count("must be text") == 3
    assert "provider_settings.api_key: must be text" in refused[1].diagnostics("far")
    assert leaks(run.output for run in refused) == set()


def test_a_secret_in_a_place_that_is_not_secret_is_refused_with_its_path(
    stack_factory: StackFactory, here: Namespace
) -> None:
    misplaced = {
        "args": {"api-key": FIRST.secret("env")},
        "runtime": "vllm",
        "secret_env": {"LISTED": Code(f"pulumi.Output.secret([{FIRST['api-key']!r}])")},
    }
    stack = stack_factory(
        program(
            hosted(
                "chat",
                namespace=here.name,
                deployment=misplaced,
                description=FIRST.secret("literal"),
            )
        ),
        cluster=True,
    )
    refused = stack.up(expect_failure=True)
    assert "ModelService chat: deployment.args.api-key: is a secret" in refused.output
    assert "description: is a secret" in refused.output
    assert "deployment.secret_env.LISTED: is a secret as a whole" in refused.output
    assert "Traceback" not in refused.output
    assert leaks([refused.output, exported(stack)]) == set()
    assert here.own() == []
