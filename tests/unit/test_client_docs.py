"""The programs of the SDK's guide are programs, and what they create can be created."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import modelfleet.client
from documented import ROOT, Block, blocks
from modelfleet.agentrun.declared import declaration_of
from modelfleet.agentrun.scope import Scope
from modelfleet.agentrun.writes import creation_of
from modelfleet.client import ModelServiceCreateInput
from modelfleet.client.inputs import given

GUIDE: Path = ROOT / "docs" / "python-sdk.md"
PROGRAMS = [
    block
    for document in (GUIDE, ROOT / "README.md")
    for block in blocks(document)
    if block.language == "python" and (document == GUIDE or "modelfleet.client" in block.text)
]


@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: f"{block.slug}-{block.text[:20]}")
def test_a_program_of_the_guide_uses_only_what_there_is(block: Block) -> None:
    tree = ast.parse(block.text)
    called = {node.func.id for node in ast.walk(tree) if _is_plain_call(node)}
    assert called <= {*modelfleet.client.__all__, "print"}
    inputs = [node for node in ast.walk(tree) if _is_call_of(node, "ModelServiceCreateInput")]
    for node in inputs:
        value = eval(compile(ast.Expression(node), "guide", "eval"), vars(modelfleet.client))  # noqa: S307
        fields = given(value, ModelServiceCreateInput, verb="create").fields
        scope = Scope(namespace="models")
        declared = declaration_of(fields, kind="ModelService", scope=scope, referred=lambda _: None)
        assert creation_of(declared, kind="ModelService", scope=scope).desired.spec.name


def _is_plain_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


def _is_call_of(node: ast.AST, name: str) -> bool:
    return _is_plain_call(node) and node.func.id == name  # type: ignore[attr-defined]


def test_the_guide_names_every_variable_of_ours() -> None:
    names = ("CLUSTER", "CLUSTERS", "NAMESPACE", "OWNER", "ENDPOINT", "API_KEY")
    assert all(f"`MODELFLEET_{name}`" in GUIDE.read_text() for name in names)
