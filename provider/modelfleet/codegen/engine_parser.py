"""Print the options that one source tree of an engine defines, as JSON.

``python -m modelfleet.codegen.engine_parser ENGINE TREE`` imports the engine's own argument parser
from an unpacked source tree and looks at what it accepts. Nothing has to be built or installed
beside ``msgspec``, ``numpy`` and ``regex``. Run for one tree per process by
``modelfleet.codegen.engine_options``.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from modelfleet.codegen.stubs import NEEDED, StubType, TreeFinder

NO_OPTIONS: Final = ("_HelpAction", "_VersionAction", "DeprecatedAction")
"""Actions that set nothing: sglang keeps the last for options that are gone, to say so."""


def parser_of(engine: str) -> argparse.ArgumentParser:
    """Return the argument parser of ``engine``, whose tree is on ``sys.path``."""
    return {"vllm": _vllm, "sglang": _sglang}[engine]()


def _first(*names: str) -> Any:
    """Return the attribute of the first of ``module:attribute`` that is no stub."""
    for name in names:
        module, _, attribute = name.partition(":")
        found = getattr(importlib.import_module(module), attribute)
        if not isinstance(found, StubType):
            return found
    raise SystemExit(f"found none of {', '.join(names)}: has the engine moved it?")


def _vllm() -> argparse.ArgumentParser:
    make: Callable[[Any], argparse.ArgumentParser] = _first(
        "vllm.entrypoints.cli.serve:make_arg_parser",
        "vllm.entrypoints.openai.cli_args:make_arg_parser",
    )
    parser = _first(
        "vllm.utils.argparse_utils:FlexibleArgumentParser", "vllm.utils:FlexibleArgumentParser"
    )
    # It looks for a device, which has no influence on the options.
    with patch.object(_first("vllm.config:DeviceConfig"), "__post_init__"):
        made = make(parser())
    # The parser takes any word for it, what reads it only these.
    methods: list[str] = _first("vllm.model_executor.layers.quantization:QUANTIZATION_METHODS")
    next(each for each in made._actions if each.dest == "quantization").choices = methods
    return made


def _sglang() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    _first("sglang.srt.server_args:ServerArgs").add_cli_args(parser)
    return parser


def option_of(action: argparse.Action) -> dict[str, Any]:
    """Return what ``action`` accepts, by the names of ``modelfleet.engines.options.Option``."""
    longs = [name[2:] for name in action.option_strings if name.startswith("--")]
    switch = isinstance(action, argparse.BooleanOptionalAction)
    if switch:
        opposites = {f"no-{name}" for name in longs}
        longs = [name for name in longs if name not in opposites]
    own = action.dest.replace("_", "-")
    name = own if own in longs else longs[0]
    flag = action.nargs == 0 and not switch
    repeated = type(action).__name__ in ("_AppendAction", "_ExtendAction") and not action.nargs
    together = action.nargs in ("+", "*") or (isinstance(action.nargs, int) and action.nargs > 1)
    return {
        "name": name,
        "takes": "nothing" if flag else "switch" if switch else _takes(action.type),
        "words": _words(action.choices or ()),
        "several": "repeated" if repeated else "together" if together else "never",
        "optional": action.nargs == "?",
        "aliases": sorted({each for each in longs if each != name}),
        "shorts": sorted(each[1:] for each in action.option_strings if each[1] != "-"),
    }


def _words(choices: Iterable[Any]) -> list[str]:
    """Return ``choices`` as text; none where one of them could not be read."""
    words = list(choices)
    return [str(word) for word in words] if all(isinstance(w, str | int) for w in words) else []


def _takes(kind: Any) -> str:
    """Return what an argparse ``type`` reads; wrappers are looked into."""
    known = {int: "integer", float: "number", json.loads: "json"}
    names = {
        "human_readable_int": "size",
        "human_readable_int_or_auto": "size",
        "parse_dataclass": "json",
        "union_dict_and_str": "json",
        "json_list_type": "json",
    }
    if kind in known:
        return known[kind]
    if (name := getattr(kind, "__name__", "")) in names:
        return names[name]
    inner = [cell.cell_contents for cell in getattr(kind, "__closure__", None) or ()]
    found = [_takes(each) for each in inner if callable(each)]
    return found[0] if found else "text"


def main(engine: str, tree: Path) -> None:
    """Print the options that ``tree`` defines."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise SystemExit(f"needs {', '.join(missing)}: install into a folder on PYTHONPATH")
    roots = [path for path in (tree, tree / "python") if (path / engine).is_dir()]
    if not roots:
        raise SystemExit(f"{tree} holds no Python package {engine}")
    sys.path.insert(0, str(roots[0]))
    sys.argv = [engine]
    sys.meta_path.insert(0, TreeFinder(engine))
    any_version = patch.object(importlib.metadata, "version", return_value="99.0.0")
    with any_version, contextlib.redirect_stdout(sys.stderr):
        actions = [each for each in parser_of(engine)._actions if each.option_strings]
    options = [option_of(each) for each in actions if type(each).__name__ not in NO_OPTIONS]
    print(json.dumps(sorted(options, key=lambda option: option["name"]), indent=1))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).resolve())
