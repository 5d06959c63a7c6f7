"""What an engine does not do, as rules: fields, models, GPUs and releases it has no answer for.

Each takes the engine's name and what it knows, and refuses the rest with the reason and the way
out. Nothing here knows an engine. Pure.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Container, Mapping
from typing import Any, Final

from modelfleet.engines.options import OptionTable, Version, primary
from modelfleet.errors import Problem
from modelfleet.spec.rules import Problems, Rule
from modelfleet.spec.service import ModelType

RUNTIME: Final = "deployment.runtime"
VERSION: Final = "deployment.runtime_version"

Architectures = frozenset[str]
ANY_ARCHITECTURE: Final = frozenset({"amd64", "arm64"})


def unserved_fields(engine: str, reasons: Mapping[str, str]) -> tuple[Rule, ...]:
    """Return rules that refuse fields, by dotted path, that mean nothing to ``engine``.

    A field is declared where it is neither empty, nor 1, nor auto: that is what such fields are
    for an engine that does not have them.
    """

    def of(path: str, reason: str) -> Rule:
        def check(runtime: Any, value: Any) -> Problems:
            if runtime == engine and value not in (None, 1, "auto", {}, (), []):
                yield Problem(path, reason)

        return Rule((RUNTIME, path), check, names_only=True)

    return tuple(of(path, reason) for path, reason in reasons.items())


def served_models(engine: str, types: Container[str], *, instead: str) -> Rule:
    """Return a rule that refuses models of other ``types``; ``instead`` says what to do."""

    def check(runtime: Any, model_type: str) -> Problems:
        if runtime == engine and model_type not in types:
            name = ModelType(model_type).value
            yield Problem("model_type", f"{engine} does not serve {name} models; {instead}")

    return Rule((RUNTIME, "model_type"), check)


def imaged_hardware(engine: str, images: Mapping[str, Architectures]) -> Rule:
    """Return a rule that asks for an image where the engine has none.

    ``images`` are the CPU architectures there are images for, by GPU vendor; ``cpu`` is none.
    """

    def check(
        runtime: Any, gpu: Any, vendor: str | None, architecture: str | None, declared: Any
    ) -> Problems:
        if runtime != engine:
            return
        hardware = vendor if gpu is not None and vendor is not None else "cpu"
        keys = {f"{hardware}/{architecture}", hardware, architecture, "default"}
        if keys & set(declared or {}):
            return
        way = f"declare one in deployment.images.{hardware}"
        if hardware not in images and gpu is None:
            yield Problem(
                "deployment.gpu",
                f"is required: {engine} has no image for nodes without GPUs; or {way}",
            )
        elif hardware not in images:
            yield Problem("deployment.gpu.vendor", f"{engine} has no image for {hardware}; {way}")
        elif architecture is not None and architecture not in images[hardware]:
            yield Problem(
                "deployment.cpu_architecture",
                f"{engine} has no image for {architecture} with {hardware}; {way}",
            )

    paths = ("deployment.gpu", "deployment.gpu.vendor", "deployment.cpu_architecture")
    return Rule((RUNTIME, *paths, "deployment.images"), check, names_only=True)


def supported_release(table: OptionTable, *, moving: Container[str], like: str) -> Rule:
    """Return a rule on ``deployment.runtime_version``: one release, not older than the table.

    ``moving`` are tags that are another release tomorrow; ``like`` says how a release is written.
    """

    def check(runtime: Any, tag: str | None) -> Problems:
        if runtime != table.engine or tag is None:
            return
        version = table.release(tag)
        if tag in moving:
            yield Problem(
                VERSION,
                f"{tag} is another engine every day, and pods of one service would differ; "
                f"name a release such as {table.default_tag}",
            )
        elif version is None:
            yield Problem(
                VERSION,
                f"must be {like} such as {table.default_tag}, because options depend on it; "
                "an image of your own goes into deployment.images",
            )
        elif version < table.first:
            first = table.text(table.first)
            yield Problem(VERSION, f"{tag} is too old: {first} is the first that is supported here")

    return Rule((RUNTIME, VERSION), check)


def setting_variables(
    table: OptionTable, *, variables: Mapping[str, str], derived: Mapping[str, str]
) -> tuple[Rule, ...]:
    """Return rules that refuse environment variables which set a ``derived`` option.

    ``variables`` are the names of options by the variable that sets them.
    """
    reasons = {
        variable: derived[primary(table, option)]
        for variable, option in variables.items()
        if primary(table, option) in derived
    }
    return _in_both_environments(table, lambda name, _: reasons.get(name))


def known_variables(table: OptionTable, *, prefix: str, known: Collection[str]) -> tuple[Rule, ...]:
    """Return rules that refuse variables with the engine's ``prefix`` that it does not read.

    Releases newer than the table may read others.
    """

    def reason(name: str, version: Version) -> str | None:
        if not name.startswith(prefix) or name in known or version > table.last:
            return None
        return f"is no variable of {table.engine}{near_variable(name, known, prefix=prefix)}"

    return _in_both_environments(table, reason)


def near_variable(name: str, known: Collection[str], *, prefix: str) -> str:
    """Return ``; did you mean `x`?`` for the nearest variable; ``prefix`` is common to all."""
    bare = {each.removeprefix(prefix): each for each in known}
    found = difflib.get_close_matches(name.removeprefix(prefix), sorted(bare), n=1)
    return f"; did you mean `{bare[found[0]]}`?" if found else ""


def _in_both_environments(
    table: OptionTable, reason: Callable[[str, Version], str | None]
) -> tuple[Rule, ...]:
    """Return rules that refuse variables by name, for the release that is declared."""

    def of(field: str) -> Rule:
        def check(runtime: Any, tag: str | None, env: Mapping[str, Any] | None) -> Problems:
            version = table.release(tag or table.default_tag) or table.last
            for name in env or {} if runtime == table.engine else ():
                if (found := reason(name, version)) is not None:
                    yield Problem(f"deployment.{field}.{name}", found)

        return Rule((RUNTIME, VERSION, f"deployment.{field}"), check, names_only=True)

    return of("env"), of("secret_env")
