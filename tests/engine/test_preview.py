"""Preview: on a laptop that has never seen a kubeconfig, with values nobody knows yet."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from declaring import TINY, Code, external, hosted, program
from looking import Namespace

from modelfleet.local.api import Api
from pulumi_stack import Stack

StackFactory = Callable[..., Stack]


@pytest.fixture
def here(plane_api: Api, namespace: str) -> Namespace:
    return Namespace(plane_api, namespace)


def late(value: object) -> Code:
    """Return an expression of ``value`` that is not known before another resource exists."""
    return Code(f"first.created_at.apply(lambda _: {value!r})")


def unknown_everywhere(here: Namespace, *, key: str = "a") -> str:
    """Return a program whose services take what they are from the outputs of another."""
    first = external("first", namespace=here.name, provider_settings={"model_names": [key]})
    env = {"PLAIN": late("text"), "SECRET": Code(f"pulumi.Output.secret({late('hidden')})")}
    return program(
        f"first = {first}",
        hosted("in-env", namespace=here.name, deployment={"env": env}),
        hosted("in-namespace", namespace=late(here.name)),
        hosted("in-replicas", namespace=here.name, deployment={"replicas": late(2)}),
        hosted("in-list", namespace=here.name, deployment={"tolerations": [{"key": late("x")}]}),
        hosted("in-runtime", namespace=here.name, deployment={"runtime": late(TINY["runtime"])}),
        f"ModelService('in-deployment', namespace={here.name!r}, deployment={late(TINY)})",
        f"ModelService('in-base', base={late({'namespace': here.name, 'deployment': TINY})})",
    )


def test_a_preview_needs_no_kubeconfig_and_no_value_to_be_known(
    stack_factory: StackFactory, here: Namespace, kubeconfig: Path, tmp_path: Path
) -> None:
    nowhere = {"KUBECONFIG": str(tmp_path / "no-such-file"), "HOME": str(tmp_path)}
    stack = stack_factory(unknown_everywhere(here), environment=nowhere)
    preview = stack.preview()
    assert "+ 9 to create" in preview.output
    assert "Diagnostics" not in preview.output

    # The same once everything exists, and then when what the others depend on changes.
    stack.environment["KUBECONFIG"] = str(kubeconfig)
    stack.up()
    assert here.deployment("in-replicas")["spec"]["replicas"] == 2
    assert len(here.names("deployments")) == 7
    stack.environment["KUBECONFIG"] = nowhere["KUBECONFIG"]
    assert "9 unchanged" in stack.preview().output
    stack.program(unknown_everywhere(here, key="b"))
    changed = stack.preview("--diff")
    assert changed.output.splitlines().count("    ~ 8 to update") == 1
    assert not re.search(r"to replace|to delete|\(replace\)|\(delete\)", changed.output)


def test_what_is_wrong_is_told_also_while_other_values_are_unknown(
    stack_factory: StackFactory, here: Namespace
) -> None:
    first = external("first", namespace=here.name)
    wrong = hosted(
        "chat",
        namespace=late("Models"),
        deployment={"replicas": -1, "env": {"not a name": late("text")}, "cpu": late(1)},
        provider_settings={"base_url": "https://models.example.org/v1"},
    )
    stack = stack_factory(program(f"first = {first}", wrong))
    refused = stack.preview(expect_failure=True)
    said = refused.diagnostics("chat")
    for path in (
        "deployment.replicas",
        'deployment.env["not a name"]',
        "provider_settings.base_url",
    ):
        assert f"has a problem: {path}: " in said
    assert "namespace" not in said
