"""Write what is generated from the models, or check that it is fresh.

``python -m modelfleet.codegen [--check]``, run in a checkout. Exits with 1 and names the files
when ``--check`` finds one that is not what the models say.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from modelfleet.adapters.query_api.health import OPERATIONS as HEALTH
from modelfleet.adapters.query_api.openapi import document_text
from modelfleet.adapters.query_api.server import OPERATIONS
from modelfleet.codegen.agentrun_reference import agentrun_text
from modelfleet.codegen.query_reference import query_reference_text
from modelfleet.codegen.reference import reference_text
from modelfleet.codegen.typed_dicts import typed_dicts_text
from modelfleet.resources import ModelProxy, ModelService
from modelfleet.spec import ModelProxySpec, ModelServiceSpec

CHECKOUT = Path(__file__).parents[3]


def generated() -> Iterator[tuple[Path, str]]:
    """Yield each generated file's path within the checkout and the text it must have."""
    inputs = Path("provider/modelfleet/inputs.py")
    yield inputs, formatted(typed_dicts_text([ModelServiceSpec, ModelProxySpec]), path=inputs)
    yield (
        Path("docs/reference/model-service.md"),
        reference_text(ModelServiceSpec, resource=ModelService),
    )
    yield (
        Path("docs/reference/model-proxy.md"),
        reference_text(ModelProxySpec, resource=ModelProxy),
    )
    yield Path("docs/reference/agentrun.md"), agentrun_text()
    yield Path("docs/reference/query-api.md"), query_reference_text()
    yield Path("docs/reference/openapi.json"), document_text((*HEALTH, *OPERATIONS))


def formatted(source: str, *, path: Path) -> str:
    """Return Python ``source`` as the project's formatter leaves it."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(path), "-"]
    done = subprocess.run(
        command, input=source, capture_output=True, text=True, check=True, cwd=CHECKOUT
    )
    return done.stdout


def main(arguments: list[str]) -> int:
    """Write the generated files; with ``--check`` only compare. Return the exit status."""
    stale = [
        (path, text)
        for path, text in generated()
        if not (CHECKOUT / path).is_file() or (CHECKOUT / path).read_text("utf-8") != text
    ]
    if "--check" in arguments:
        for path, _ in stale:
            print(f"{path} is not what the models say; run `make generate`", file=sys.stderr)
        return 1 if stale else 0
    for path, text in stale:
        (CHECKOUT / path).parent.mkdir(parents=True, exist_ok=True)
        (CHECKOUT / path).write_text(text, "utf-8")
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
