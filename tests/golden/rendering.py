"""Turns the declaration of one golden case into the text that is expected of it.

Run as a program, prints all of them: a test does so under several hash seeds.
"""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from modelfleet.engines import ENGINE_RULES, pinned
from modelfleet.render import RENDERER_VERSION, Identity, objects_of, planned_of
from modelfleet.spec import spec_of
from modelfleet.spec.rules import SPEC_RULES

CASES: Final = Path(__file__).parent / "render"
INPUT: Final = ".input.yaml"
OUTPUT: Final = ".output.yaml"
EARLIER: Final = "renderer-"

IDENTITY: Final = Identity(
    owner="acme/fleet/prod",
    urn="urn:pulumi:prod::fleet::modelfleet:ModelService::example",
    incarnation="0123456789abcdef",
    cluster_uid="00000000-0000-0000-0000-000000000000",
)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def rendered_text(declaration: dict[str, Any], *, renderer_version: int = RENDERER_VERSION) -> str:
    """Return planned values and objects of ``declaration``, as YAML documents."""
    spec = spec_of(pinned(declaration, None), rules=(*SPEC_RULES, *ENGINE_RULES))
    objects = objects_of(
        spec,
        identity=IDENTITY,
        hash_key=base64.b64decode("a2V5IG9mIHRoZSBleGFtcGxlcw=="),
        annotations={"modelfleet.dev/record": "{}"},
        renderer_version=renderer_version,
    )
    documents = [{"planned": planned_of(spec, renderer_version=renderer_version)}, *objects]
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def recorded_outputs() -> list[tuple[int, str]]:
    """Return every earlier renderer with the names of the cases that it rendered."""
    return sorted(
        (int(path.parent.name.removeprefix(EARLIER)), path.name.removesuffix(OUTPUT))
        for path in CASES.parent.glob(f"{EARLIER}*/*{OUTPUT}")
    )


def recorded_in(version: int) -> Path:
    """Return the folder with what was rendered by an earlier renderer."""
    return CASES.parent / f"{EARLIER}{version}"


def case_names() -> list[str]:
    """Return the names of all cases, sorted."""
    return sorted(path.name.removesuffix(INPUT) for path in CASES.glob(f"*{INPUT}"))


def declaration_of(case: str, *, folder: Path = CASES) -> dict[str, Any]:
    """Return what ``case`` declares."""
    declaration: dict[str, Any] = yaml.safe_load((folder / f"{case}{INPUT}").read_text())
    return declaration


if __name__ == "__main__":
    sys.stdout.write("".join(rendered_text(declaration_of(case)) for case in case_names()))
