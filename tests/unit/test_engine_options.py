"""Option tables: which release knows what, and what is said of what it does not know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from modelfleet.codegen.engine_options import grown, table_text
from modelfleet.engines.options import (
    Option,
    OptionTable,
    Several,
    Takes,
    Version,
    option_rules,
    primary,
    word_rules,
)
from modelfleet.spec import problems_of

UNKNOWN = object()


def release(tag: str) -> Version | None:
    match = re.fullmatch(r"v(\d+)\.(\d+)", tag)
    return (int(match[1]), int(match[2])) if match else None


TABLE = OptionTable(
    engine="vllm",
    first=(0, 1),
    last=(0, 9),
    options=(
        Option("batch", Takes.INTEGER, aliases=("batch-size",), shorts=("b",)),
        Option("bucket", Takes.SIZE),
        Option("dropped", until=(0, 4)),
        Option("dropped-silently", until=(0, 4)),
        Option("eager", Takes.NOTHING),
        Option("late", Takes.SWITCH, since=(0, 6)),
        Option("level", optional=True),
        Option("names", several=Several.TOGETHER),
        Option("overrides", Takes.JSON),
        Option("port", Takes.INTEGER, aliases=("listen-port",)),
        Option("quant", words=("awq", "fp8"), until=(0, 5)),
        Option("quant", words=("awq", "fp8", "mxfp4"), since=(0, 5)),
        Option("ratio", Takes.NUMBER),
        Option("sizes", Takes.INTEGER, several=Several.TOGETHER),
        Option("watch", Takes.SWITCH, aliases=("look",)),
    ),
    release=release,
    default_tag="v0.8",
    instead={"dropped": "use `batch`"},
    keyed=True,
)
RULES = (
    *option_rules(TABLE, derived={"port": "is fixed"}),
    *word_rules(TABLE, fields={"deployment.quantization": "quant"}),
)


def said(args: Mapping[str, Any] | None = None, *, tag: object = None, **fields: Any) -> list[str]:
    """Return what the rules say of ``args``, without the path up to the option's name."""
    deployment = {"model": {"uri": "hf://org/model"}, "gpu": {}, "args": args or {}, **fields}
    declared = {
        "model_service_name": "qwen",
        "deployment": {**deployment, "runtime_version": tag},
    }
    found = problems_of(declared, is_unknown=lambda value: value is UNKNOWN, rules=RULES)
    return [str(problem).removeprefix("deployment.").removeprefix("args.") for problem in found]


@pytest.mark.parametrize(
    ("args", "tag", "expected"),
    [
        ({"batc": 1}, None, "batc: is no option of vllm v0.8; did you mean `batch`?"),
        ({"zzz": 1}, None, "zzz: is no option of vllm v0.8"),
        ({"dropped": 1}, "v0.4", "dropped: was removed in vllm v0.4; use `batch`"),
        ({"dropped-silently": 1}, None, "dropped-silently: was removed in vllm v0.4"),
        ({"late": True}, "v0.5", "late: is an option of vllm from v0.6 on, not of v0.5"),
        ({"b": 1}, None, "b: is a short form; write `batch`"),
        ({"port": 1}, None, "port: is fixed"),
        ({"listen_port": 1}, None, "listen_port: is fixed"),
        ({"listen": 1}, None, "listen: is fixed"),
        ({"batch": 1, "batch-size": 2}, None, "batch-size: is the same option as batch"),
        ({"look": True, "no-watch": True}, None, "no-watch: is the same option as look"),
        ({"overrides.a_b": 1, "over_rides": 2}, None, "over_rides: is no option of vllm v0.8"),
    ],
)
def test_an_option_that_the_release_does_not_know_is_told_with_the_way_out(
    args: dict[str, Any], tag: str | None, expected: str
) -> None:
    (problem,) = said(args, tag=tag)
    assert problem.startswith(expected)


@pytest.mark.parametrize(
    ("args", "tag"),
    [
        ({"batch_size": 1}, None),
        ({"dropped": 1}, "v0.3"),
        ({"late": False}, "v0.6"),
        ({"no_watch": True, "eager": True}, None),
        ({"no-look": True}, None),
        ({"look": False}, None),
        ({"overrides": "{}"}, None),
        ({"overrides.a.b": 1, "overrides.a.c": True}, None),
        ({"level": True}, None),
        ({"level": "high"}, None),
        ({"names": "one"}, None),
        ({"names": ["one", 2]}, None),
        ({"sizes": [1, 2.0, "3"]}, None),
        ({"bucket": "32k"}, None),
        ({"batch": "64"}, None),
        ({"batch": 64.0}, None),
        ({"ratio": "0.5"}, None),
        ({"quant": "mxfp4"}, None),
    ],
)
def test_what_the_release_knows_is_no_problem(args: dict[str, Any], tag: str | None) -> None:
    assert said(args, tag=tag) == []


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({"eager": "yes"}, "eager: is a flag: must be true, or be left out"),
        ({"eager": False}, "eager: is a flag: must be true, or be left out"),
        ({"watch": "on"}, "watch: is a flag: must be true or false"),
        ({"no-watch": False}, "no-watch: is a flag: must be true, or be left out"),
        ({"batch": "many"}, "batch: must be a whole number"),
        ({"batch": 1.5}, "batch: must be a whole number"),
        ({"batch": True}, "batch: needs a value, not true"),
        ({"ratio": "half"}, "ratio: must be a number"),
        ({"batch": [1, 2]}, "batch: takes one value, not a list"),
        ({"sizes": [1, "two"]}, "sizes: must be a whole number"),
        ({"quant": "fp9"}, "quant: must be one of awq, fp8, mxfp4; did you mean `fp8`?"),
        ({"batch.size": 1}, 'args["batch.size"]: batch has no keys; write `batch`'),
    ],
)
def test_a_value_that_an_option_does_not_take_is_told(args: dict[str, Any], expected: str) -> None:
    assert said(args) == [expected]


def test_the_words_of_an_option_are_those_of_the_release_that_is_declared() -> None:
    assert said({"quant": "mxfp4"}, tag="v0.5") == []
    assert said({"quant": "mxfp4"}, tag="v0.4") == ["quant: must be one of awq, fp8"]
    assert said(quantization="mxfp4", tag="v0.5") == []
    assert said(quantization="fp9", tag="v0.4") == [
        "quantization: must be one of awq, fp8; did you mean `fp8`? (of vllm v0.4)"
    ]


@pytest.mark.parametrize("args", [{"brand-new": 1}, {"batch": "any"}, {"quant": "new"}])
def test_a_release_newer_than_the_table_may_know_more(args: dict[str, Any]) -> None:
    assert said(args, tag="v0.10") == []


def test_a_release_newer_than_the_table_has_not_got_back_what_was_dropped() -> None:
    assert said({"dropped": 1}, tag="v0.10") == ["dropped: was removed in vllm v0.4; use `batch`"]
    assert said({"por": 1}, tag="v0.10") == ["por: is fixed"]


@pytest.mark.parametrize("tag", ["mine", UNKNOWN])
def test_of_a_release_that_nobody_can_tell_only_names_that_are_taken_are_refused(
    tag: object,
) -> None:
    assert said({"zzz": 1, "port": 2}, tag=tag) == ["port: is fixed"]


def test_names_are_judged_while_their_values_are_unknown() -> None:
    assert said({"batch": UNKNOWN, "zzz": UNKNOWN}) == ["zzz: is no option of vllm v0.8"]


def test_what_is_no_name_is_left_to_the_field() -> None:
    (problem,) = said({"--batch": 1})
    assert "without leading dashes" in problem


def test_other_runtimes_are_not_asked() -> None:
    runtime = {"name": "engine", "image": "registry.example.com/engine:v1"}
    assert said({"zzz": 1, "port": 2}, runtime=runtime, quantization="fp9") == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("batch_size", "batch"),
        ("no-look", "watch"),
        ("overrides.a_b", "overrides"),
        ("b", "batch"),
        ("zzz", "zzz"),
    ],
)
def test_every_way_to_write_an_option_leads_to_one_name(name: str, expected: str) -> None:
    assert primary(TABLE, name) == expected


# Reading a further release


def test_a_table_grows_by_what_a_release_adds_changes_and_drops() -> None:
    first = grown((), [Option("a"), Option("b", words=("x", "y")), Option("c")], version=(1,))
    second = grown(
        first,
        [Option("a"), Option("b", words=("y", "x")), Option("c", Takes.INTEGER)],
        version=(2,),
    )
    third = grown(second, [Option("a"), Option("d", aliases=("c",)), Option("e")], version=(3,))
    assert third == [
        Option("a"),
        Option("b", words=("x", "y"), until=(3,)),
        Option("c", until=(2,)),
        Option("c", Takes.INTEGER, since=(2,), until=(3,)),
        Option("c", aliases=("d",), since=(3,)),
        Option("e", since=(3,)),
    ]


def test_a_table_is_written_as_python_that_makes_the_same_options() -> None:
    options = (
        Option("a", Takes.INTEGER, shorts=("x",), until=(0, 2)),
        Option("b", words=('say "yes"',), several=Several.REPEATED, optional=True),
    )
    text = table_text("vllm", options, first=(0, 1), last=(0, 2), date="1 May 2026")
    module: dict[str, Any] = {}
    exec(compile(text, "table", "exec"), module)  # noqa: S102  (the text is ours)
    assert (module["FIRST"], module["LAST"], module["OPTIONS"]) == ((0, 1), (0, 2), options)
