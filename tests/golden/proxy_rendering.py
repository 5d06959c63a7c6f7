"""Turns the declaration of one golden ModelProxy into the text that is expected of it.

Left out is what changes with every edit of the application that runs in the pods: its sources, and
the two hashes over them. That those follow from them is for unit tests.
Run as a program, prints all of them: a test does so under several hash seeds.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from rendering import IDENTITY

from modelfleet.gateway.release import with_release_fixed
from modelfleet.gateway.sources import PACKAGE
from modelfleet.render.proxy import (
    KeyEntry,
    config_map_name_of,
    proxy_objects_of,
    proxy_planned_of,
    sha256_of,
)
from modelfleet.spec import spec_of
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_rules import PROXY_RULES

CASES: Final = Path(__file__).parent / "render-proxy"
INPUT: Final = ".input.yaml"
OUTPUT: Final = ".output.yaml"

KEYS: Final = (
    KeyEntry("team-b", sha256_of("sk-generated-b")),
    KeyEntry("team-c", sha256_of("sk-generated-c-2")),
    KeyEntry("team-c", sha256_of("sk-generated-c-1"), expires_at="2026-12-01T00:00:00Z"),
    KeyEntry("no-longer-declared", sha256_of("sk-generated-d")),
)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def proxy_spec_of(case: str) -> ModelProxySpec:
    """Return the spec that ``case`` declares."""
    declared = with_release_fixed(yaml.safe_load((CASES / f"{case}{INPUT}").read_text()), None)
    return spec_of(declared, model=ModelProxySpec, rules=PROXY_RULES)


def rendered_proxy(case: str) -> str:
    """Return planned values, objects and what is inside Secrets of ``case``, as YAML documents."""
    spec = proxy_spec_of(case)
    objects = proxy_objects_of(
        spec,
        identity=IDENTITY,
        keys=KEYS,
        hash_key=b"key of the example",
        redis_password="password of the example",
        annotations={"modelfleet.dev/record": "{}"},
    )
    planned = {**proxy_planned_of(spec), "pod_template_hash": "<hash>"}
    documents = [{"planned": planned}, *map(_without_sources, objects), _opened(objects)]
    text = yaml.dump_all(
        documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000
    )
    name = config_map_name_of(spec)
    return text.replace(name, name.rpartition("-")[0] + "-<hash>")


def _without_sources(value: Any) -> Any:
    """Return a copy of ``value`` without the keys and files of the application."""
    if isinstance(value, Mapping):
        return {
            key: _without_sources(item)
            for key, item in value.items()
            if not key.startswith(f"{PACKAGE}.")
        }
    if isinstance(value, list):
        return [_without_sources(item) for item in value if not _is_source(item)]
    return value


def _is_source(item: Any) -> bool:
    return isinstance(item, Mapping) and str(item.get("path", "")).startswith(f"{PACKAGE}/")


def _opened(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what is in the Secrets, for reading."""
    return {
        "in secrets": {
            f"{obj['metadata']['name']}/{key}": base64.b64decode(value).decode()
            for obj in objects
            if obj["kind"] == "Secret"
            for key, value in obj["data"].items()
        }
    }


def case_names() -> list[str]:
    """Return the names of all cases, sorted."""
    return sorted(path.name.removesuffix(INPUT) for path in CASES.glob(f"*{INPUT}"))


if __name__ == "__main__":
    sys.stdout.write("".join(map(rendered_proxy, case_names())))
