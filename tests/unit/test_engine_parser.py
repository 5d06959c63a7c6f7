"""Reading options from an engine's own argument parser, without what the engine needs."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelfleet.codegen.engine_options import option_from, version_of
from modelfleet.codegen.engine_parser import option_of
from modelfleet.engines.options import Option, Several, Takes


def optional(kind: Callable[[str], object]) -> Callable[[str], object]:
    def read(text: str) -> object:
        return None if text == "None" else kind(text)

    return read


def human_readable_int(text: str) -> int:
    return int(text)


@pytest.mark.parametrize(
    ("names", "how", "expected"),
    [
        (["--a-b", "-a"], {}, Option("a-b", shorts=("a",))),
        (["--tp", "--tp-size"], {"type": int}, Option("tp", Takes.INTEGER, aliases=("tp-size",))),
        (
            ["--x", "--tp-size"],
            {"dest": "tp_size", "type": int},
            Option("tp-size", Takes.INTEGER, aliases=("x",)),
        ),
        (["--a"], {"action": "store_true"}, Option("a", Takes.NOTHING)),
        (["--a"], {"action": argparse.BooleanOptionalAction}, Option("a", Takes.SWITCH)),
        (["--a"], {"type": float}, Option("a", Takes.NUMBER)),
        (["--a"], {"type": optional(float)}, Option("a", Takes.NUMBER)),
        (["--a"], {"type": optional(human_readable_int)}, Option("a", Takes.SIZE)),
        (["--a"], {"type": json.loads}, Option("a", Takes.JSON)),
        (["--a"], {"choices": ["x", "y"]}, Option("a", words=("x", "y"))),
        (["--a"], {"choices": ["x", object()]}, Option("a")),
        (["--a"], {"nargs": "+"}, Option("a", several=Several.TOGETHER)),
        (["--a"], {"nargs": "?"}, Option("a", optional=True)),
        (["--a"], {"action": "append"}, Option("a", several=Several.REPEATED)),
    ],
)
def test_an_option_is_what_its_parser_accepts(
    names: list[str], how: dict[str, Any], expected: Option
) -> None:
    action = argparse.ArgumentParser().add_argument(*names, **how)
    assert option_from(option_of(action)) == expected


@pytest.mark.parametrize(
    ("name", "parts", "version"),
    [
        ("vllm-0.30.0", 2, (0, 30)),
        ("sglang-0.5.13.post1", 3, (0, 5, 13)),
        ("sglang-0.5.21", 3, (0, 5, 21)),
    ],
)
def test_a_source_tree_is_named_after_its_release(
    name: str, parts: int, version: tuple[int, ...]
) -> None:
    assert version_of(Path(name), parts=parts) == version


def test_a_source_tree_with_another_name_is_refused() -> None:
    with pytest.raises(SystemExit, match="not named after a release"):
        version_of(Path("vllm"), parts=2)


TREE = {
    "engine/__init__.py": "import torch\nassert torch.__version__\n",
    "engine/layers.py": (
        "import torch.nn as nn\nfrom torch import Tensor, compile\n"
        "class Layer(nn.Module):\n"
        "    @compile\n"
        "    def forward(self, x: Tensor | None) -> 'Tensor[int]':\n"
        "        return nn.functional.softmax(x)\n"
    ),
    "engine/kernels.py": "raise RuntimeError('no GPU')\n",
    "engine/cli.py": (
        "from engine.kernels import fast\nfrom engine.layers import Layer\n"
        "OPTIONS = ['a', 'b']\nassert Layer().forward\nassert not fast()\n"
    ),
}

PROGRAM = """
import sys
from modelfleet.codegen.stubs import TreeFinder
sys.path.insert(0, sys.argv[1])
sys.meta_path.insert(0, TreeFinder("engine"))
from engine.cli import OPTIONS
print(OPTIONS)
"""


def test_a_tree_is_imported_without_what_it_depends_on(tmp_path: Path) -> None:
    for name, text in TREE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "['a', 'b']\n"
    assert done.stderr == "stubbed engine.kernels: RuntimeError('no GPU')\n"
