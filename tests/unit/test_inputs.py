"""The generated argument types: fresh, importable, and what a type checker makes of them."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from pydantic import BaseModel

from modelfleet import inputs
from modelfleet.codegen.__main__ import CHECKOUT, generated, main
from modelfleet.codegen.shapes import (
    ListOf,
    MapOf,
    OneOf,
    Scalar,
    Shape,
    Words,
    described,
    models_under,
)
from modelfleet.codegen.typed_dicts import args_name
from modelfleet.spec import ModelServiceSpec

MODELS = models_under(ModelServiceSpec)


def test_what_is_generated_is_fresh() -> None:
    assert main(["--check"]) == 0


def test_a_stale_file_is_named_by_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("modelfleet.codegen.__main__.CHECKOUT", tmp_path)
    assert main(["--check"]) == 1
    assert "provider/modelfleet/inputs.py is not what the models say" in capsys.readouterr().err
    assert main([]) == 0
    assert main(["--check"]) == 0


def test_generating_twice_writes_the_same_text() -> None:
    assert dict(generated()) == dict(generated())


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_of_every_model_has_its_argument(model: type[BaseModel]) -> None:
    args = getattr(inputs, args_name(model))
    assert sorted(args.__annotations__) == sorted(model.model_fields)
    assert args.__total__ is False


@pytest.mark.parametrize(
    ("model", "field", "shape"),
    [
        ("ModelServiceSpec", "namespace", Scalar(str)),
        ("ModelServiceSpec", "tags", MapOf(Scalar(str), Scalar(str))),
        ("ProviderSettings", "api_key", Scalar(str, secret=True)),
        ("ProviderSettings", "model_names", ListOf(Scalar(str))),
        ("Wait", "until", Words(("accepted", "available", "all"))),
        ("ModelParameterRule", "default", Scalar(object)),
        ("Gpu", "count", Scalar(int)),
        (
            "DeploymentSpec",
            "args",
            MapOf(
                Scalar(str),
                OneOf(
                    (
                        *(numbers := (Scalar(bool), Scalar(int), Scalar(float), Scalar(str))),
                        ListOf(OneOf(numbers)),
                    )
                ),
            ),
        ),
    ],
)
def test_a_field_has_the_shape_its_annotation_says(model: str, field: str, shape: Shape) -> None:
    (owner,) = [each for each in MODELS if each.__name__ == model]
    (found,) = [each.shape for each in described(owner) if each.name == field]
    assert found == shape


PROGRAM = """
from __future__ import annotations

import pulumi

from modelfleet import DeploymentArgs, ModelService, ModelServiceArgs

config = pulumi.Config()
h100: ModelServiceArgs = {
    "namespace": "models",
    "deployment": {"gpu": {"product": "NVIDIA-H100-80GB-HBM3", "count": 8}, "memory_gib": 512},
}
common: DeploymentArgs = {"env": {"LEVEL": "info"}, "tolerations": [{"key": "gpu"}]}
secret: pulumi.Output[str] = config.require_secret("token")
number: pulumi.Output[int] = pulumi.Output.from_input(2)
maybe: str | None = config.get("description")

hosted = ModelService(
    "chat",
    base=[h100, {"deployment": common}],
    model_type="llm",
    description=maybe,
    deployment={
        "model": {"uri": pulumi.Output.concat("hf://", "Qwen/Qwen3-8B"), "revision": None},
        "replicas": number,
        "env": {"TOKEN": secret, "OTHER": {"secret": "hub/token"}, "PORT": 80},
        "secret_env": {"KEY": secret},
        "args": {"enable-prefix-caching": True, "lora-modules": ["a=b", "c=d"], "seed": 1},
        "images": {"nvidia": "registry/vllm:v1"},
        "gpu": {"count": 4},
        "affinity": {"nodeAffinity": {"x": [1]}},
    },
    wait={"until": "available"},
    tags={"team": "search"},
    opts=pulumi.ResourceOptions(protect=True),
)
engine = ModelService(
    "own",
    base=hosted.base_url.apply(lambda url: h100),
    deployment={"runtime": {"name": "own", "image": "x/y:z", "probes": {"startup": "/up"}}},
)
external = ModelService("api", provider_settings={"base_url": "https://x/v1", "api_key": secret})
url: pulumi.Output[str] = hosted.base_url
gpus: pulumi.Output[int] = hosted.gpu_total
pulumi.export("names", hosted.model_names)
"""

MISTAKES = {
    'ModelService("a", nmaespace="x")': 'Unexpected keyword argument "nmaespace"',
    'ModelService("a", deployment={"gpuu": {}})': 'Argument "deployment"',
    'ModelService("a", deployment={"model": {"url": "hf://a/b"}})': 'Argument "deployment"',
    'ModelService("a", model_type="chat")': 'Argument "model_type"',
    'ModelService("a", deployment={"replicas": "2"})': 'Argument "deployment"',
    'ModelService("a", base={"nmaespace": "x"})': 'Argument "base"',
    'ModelService("a", pulumi.ResourceOptions())': "Too many positional arguments",
    'ModelService("a").base_uri': 'has no attribute "base_uri"',
}


@pytest.mark.timeout(1800)
def test_a_type_checker_accepts_what_is_right_and_finds_every_mistake(tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    right.write_text(PROGRAM)
    header = "import pulumi\nfrom modelfleet import ModelService\n"
    wrong.write_text(header + "\n".join(MISTAKES) + "\n")
    found = checked(right, wrong)
    assert "right.py" not in found
    for line, (mistake, says) in enumerate(MISTAKES.items(), start=3):
        about = [each for each in found.splitlines() if f"wrong.py:{line}: error" in each]
        assert any(says in each for each in about), f"{mistake}\n{textwrap.indent(found, '  ')}"


def checked(*programs: Path) -> str:
    """Return what a strict type check says about ``programs``."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file="]
    done = subprocess.run(
        [*command, *map(str, programs)], capture_output=True, text=True, check=False, cwd=CHECKOUT
    )
    assert not done.stderr
    return done.stdout
