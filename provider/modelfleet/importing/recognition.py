"""Which engine a container runs, and what its command line says. Pure.

By the table of marks; knows nothing of what is declared for an engine beyond field names.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from modelfleet.importing.marks import MARKS, Marks

Options = dict[str, str | bool | list[str]]

_MODELSCOPE: Final = ("VLLM_USE_MODELSCOPE", "SGLANG_USE_MODELSCOPE")
"""Variables that send an engine to another hub."""


@dataclass(frozen=True)
class Recognised:
    """What a container runs: ``engine`` is empty where nothing is known of it.

    ``model`` is as the engine was given it, ``hub`` where it looks for a name. ``options`` are the
    long options of its command line, with what is in ``fields`` and ``names`` taken out. A command
    line that a shell reads, or that holds more than one program, is ``indirect``: it says what
    runs, but no compiler would write it.
    """

    engine: str = ""
    model: str = ""
    hub: str = "hf"
    port: int = 8000
    version: str = ""
    names: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    options: Options = field(default_factory=dict)
    indirect: bool = False


def served_names(found: Recognised) -> tuple[str, ...]:
    """Return the ``model`` values that the engine answers to, none where that is not known."""
    if found.names or found.engine not in _NAMED_AFTER_MODEL:
        return found.names
    return (found.model,) if found.model else ()


_NAMED_AFTER_MODEL: Final = ("vllm", "sglang")
"""Engines that answer to the model as they were given it, and to nothing else."""


def recognised(container: Mapping[str, Any]) -> Recognised:
    """Return what ``container`` of a pod template runs, as far as the table tells."""
    repository, tag = _image(str(container.get("image", "")))
    variables = {each["name"]: str(each.get("value", "")) for each in container.get("env") or ()}
    words, indirect = _words(container, variables)
    for marks in MARKS:
        own = _after_program(words, marks.programs)
        if own is None and not re.search(marks.image, repository):
            continue
        found = _read(
            marks, own if own is not None else words, variables, _declared_port(container)
        )
        return replace(found, version=tag, indirect=indirect)
    port = _declared_port(container)
    return Recognised(
        model=variables.get("MODEL_PATH", ""),
        port=port or Recognised.port,
        names=tuple(name for name in (variables.get("MODEL_NAME"),) if name),
        indirect=indirect,
    )


def _read(
    marks: Marks, words: Sequence[str], variables: Mapping[str, str], declared_port: int | None
) -> Recognised:
    positional, options = _options(words)
    candidates = [
        *(positional[:1] if marks.positional else ()),
        *(str(options[name]) for name in marks.models if name in options),
        *(variables[name] for name in marks.variables if variables.get(name)),
    ]
    given = [value for name in marks.names for value in _list(options.get(name))]
    names = [name for value in given for name in value.split(",")]
    port = options.get("port") or variables.get("PORT") or declared_port
    used = {*marks.models, *marks.names, *marks.fields, "port", "host"}
    from_modelscope = any(variables.get(name, "").lower() in ("1", "true") for name in _MODELSCOPE)
    return Recognised(
        engine=marks.engine,
        hub="modelscope" if from_modelscope else "hf",
        model=candidates[0] if candidates else "",
        port=int(str(port)) if str(port).isdigit() else marks.port,
        names=tuple(names),
        fields={path: str(options[name]) for name, path in marks.fields.items() if name in options},
        options={name: value for name, value in options.items() if name not in used},
    )


def _image(image: str) -> tuple[str, str]:
    """Return repository and tag of an image; the tag of a digest is empty."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    repository, _, tag = last.partition(":")
    return f"{head}{slash}{repository}", tag


def _words(container: Mapping[str, Any], variables: Mapping[str, str]) -> tuple[list[str], bool]:
    """Return the words of the command line, and whether they are those that a shell would read.

    ``$(NAME)`` is replaced as the kubelet does.
    """
    given = [str(each) for each in (*container.get("command", ()), *container.get("args", ()))]
    words = [
        re.sub(r"\$\((\w+)\)", lambda found: variables.get(found[1], found[0]), each)
        for each in given
    ]
    program = words[0].rpartition("/")[2] if words else ""
    if program not in ("sh", "bash", "ash", "dash", "zsh"):
        return words, False
    script = next((each for each in words[1:] if not each.startswith("-")), "")
    try:
        return shlex.split(script.replace("\\\n", " "), comments=True), True
    except ValueError:  # what only a shell understands
        return script.split(), True


def _after_program(words: Sequence[str], programs: tuple[tuple[str, ...], ...]) -> list[str] | None:
    for program in programs:
        for at in range(len(words) - len(program) + 1):
            first = words[at] if len(program) > 1 else words[at].rpartition("/")[2]
            if (first, *words[at + 1 : at + len(program)]) == program:
                return list(words[at + len(program) :])
    return None


def _options(words: Sequence[str]) -> tuple[list[str], Options]:
    """Return the words that are no option, and the options by name; several values are a list."""
    positional: list[str] = []
    given: dict[str, list[str]] = {}
    name = ""
    for word in words:
        if word in ("&&", ";", "||", "|", "&"):
            break
        if re.match(r"^--?[A-Za-z]", word):
            name, attached, value = word.lstrip("-").partition("=")
            name = name.replace("_", "-")
            given.setdefault(name, [])
            given[name] += [value] if attached else []
            name = "" if attached else name
        elif name:
            given[name].append(word)
        else:
            positional.append(word)
    options = {
        name: (values if len(values) > 1 else values[0]) if values else True
        for name, values in given.items()
    }
    return positional, options


def _list(value: Any) -> list[str]:
    if value is None or isinstance(value, bool):
        return []
    return list(value) if isinstance(value, list) else [str(value)]


def _declared_port(container: Mapping[str, Any]) -> int | None:
    """Return the port that is called http, else the first one."""
    ports = sorted(container.get("ports") or (), key=lambda each: each.get("name") != "http")
    return int(ports[0]["containerPort"]) if ports else None
