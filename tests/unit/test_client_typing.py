"""What a type checker makes of programs that use the SDK: the overloads are AgentRun's."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]

PROGRAM = """
from typing import assert_type

from modelfleet.client import (
    BackendType,
    Config,
    ModelClient,
    ModelProxy,
    ModelProxyCreateInput,
    ModelProxyListInput,
    ModelProxyUpdateInput,
    ModelService,
    ModelServiceCreateInput,
    ModelServiceListInput,
    ModelServiceUpdateInput,
    ModelType,
    ProviderSettings,
)

client = ModelClient(Config(region_id="x", namespace="models"))
settings = ProviderSettings(base_url="https://api.example.com/v1", model_names=["a"])
service = client.create(ModelServiceCreateInput(
    model_service_name="a", model_type=ModelType.LLM, provider_settings=settings
))
proxy = client.create(ModelProxyCreateInput(model_proxy_name="p"), config=Config())
assert_type(service, ModelService)
assert_type(proxy, ModelProxy)
assert_type(client.update("a", ModelServiceUpdateInput()), ModelService)
assert_type(client.update("p", ModelProxyUpdateInput(), clear=["description"]), ModelProxy)
assert_type(client.get("a", BackendType.SERVICE), ModelService)
assert_type(client.get("p", backend_type=BackendType.PROXY), ModelProxy)
assert_type(client.get("x"), ModelService | ModelProxy)
assert_type(client.delete("a", BackendType.SERVICE), ModelService)
assert_type(client.delete("p", BackendType.PROXY, take_ownership=True), ModelProxy)
assert_type(client.delete("x"), ModelService | ModelProxy)
assert_type(client.list(ModelServiceListInput(page_size=5)), list[ModelService])
assert_type(client.list(ModelProxyListInput()), list[ModelProxy])
assert_type(ModelService.create(ModelServiceCreateInput()), ModelService)
assert_type(ModelProxy.list_all(proxy_mode="single"), list[ModelProxy])
assert_type(service.update(ModelServiceUpdateInput()).scale(2).refresh(), ModelService)
assert_type(proxy.set_config(Config()), ModelProxy)


def show(each: ModelService) -> None:
    print(each.status, each.model_service_name)


async def show_slowly(each: ModelService) -> None:
    await each.refresh_async()


service.wait_until_ready_or_failed(callback=show, raise_on_failure=True)


async def main() -> None:
    async with ModelClient() as other:
        assert_type(await other.create_async(ModelServiceCreateInput()), ModelService)
        assert_type(await other.create_async(ModelProxyCreateInput()), ModelProxy)
        assert_type(await other.update_async("p", ModelProxyUpdateInput()), ModelProxy)
        assert_type(await other.get_async("a", BackendType.SERVICE), ModelService)
        assert_type(await other.delete_async("a", BackendType.PROXY), ModelProxy)
        assert_type(await other.list_async(ModelProxyListInput()), list[ModelProxy])
        assert_type(await ModelService.list_all_async(provider="x"), list[ModelService])
    await service.wait_until_ready_or_failed_async(show_slowly)
"""

MISTAKES = {
    'ModelServiceCreateInput(model_service_nam="a")': 'Unexpected keyword argument "model_serv',
    'ModelServiceCreateInput(provider_settings={"base_url": 1})': "Argument",
    "client.list()": "All overload variants",
    'client.create("a")': "No overload variant",
    'client.get("a", "service")': "No overload variant",
    'ModelService.list_all("llm")': "Too many positional arguments",
    "ModelService.create(ModelProxyCreateInput())": "Argument 1",
    'Config("a", namespce="b")': 'Unexpected keyword argument "namespce"',
    'client.get("a", BackendType.SERVICE).proxy_mode': 'has no attribute "proxy_mode"',
}


@pytest.mark.timeout(1800)
def test_a_type_checker_knows_what_each_call_returns_and_finds_every_mistake(
    tmp_path: Path,
) -> None:
    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    right.write_text(PROGRAM)
    names = "BackendType, Config, ModelClient, ModelProxyCreateInput, ModelService"
    header = f"from modelfleet.client import {names}, ModelServiceCreateInput\n"
    lines = [header + "client = ModelClient()", *MISTAKES]
    wrong.write_text("\n".join(lines) + "\n")
    found = checked(right, wrong)
    assert "right.py" not in found, found
    for line, (mistake, says) in enumerate(MISTAKES.items(), start=3):
        about = [each for each in found.splitlines() if f"wrong.py:{line}: error" in each]
        assert any(says in each for each in about), f"{mistake}\n{textwrap.indent(found, '  ')}"


def checked(*programs: Path) -> str:
    """Return what a strict type check says about ``programs``."""
    # What it has found out about modelfleet is kept, and apart from what `make check` knows, who
    # asks with other options: of two that share a folder each would throw away the other's.
    kept = f"--cache-dir={CHECKOUT / '.mypy_cache' / 'of-programs'}"
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file="]
    done = subprocess.run(
        [*command, kept, *map(str, programs)],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
    )
    assert not done.stderr
    return done.stdout
