"""Makes a recording of what a release leaves behind, for ``tests/fixtures/releases``.

Run in a copy of the newest folder there, after ``make up`` of the release to be recorded and with
the variables of ``modelfleet local env``::

    kubectl create namespace recorded
    pulumi stack select --create recorded
    pulumi up                               # one service of it fails, as it should
    pulumi stack export > exported.json
    kubectl get secrets,networkpolicies,services,deployments --namespace recorded \\
        --output json --show-managed-fields > listed.json
    python .../tests/record_release.py state < exported.json > state.json
    python .../tests/record_release.py objects < listed.json > objects.json

What says where it was recorded is left out. All secrets are those of the program, and the state is
encrypted with the passphrase of the local environment.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from modelfleet import labels

_PLACES: Final = ("sourcePosition", "stackTrace")
_ORDER: Final = ("Secret", "NetworkPolicy", "Service", "Deployment")


def recorded_state(exported: Any) -> Any:
    """Return an exported stack without the files that its resources were declared in."""
    if isinstance(exported, dict):
        return {key: recorded_state(each) for key, each in exported.items() if key not in _PLACES}
    return [recorded_state(each) for each in exported] if isinstance(exported, list) else exported


def recorded_objects(listed: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the objects of ours in the order of an apply."""
    ours = [obj for obj in listed["items"] if labels.NAME in obj["metadata"].get("labels", {})]
    return sorted(ours, key=lambda obj: (_ORDER.index(obj["kind"]), obj["metadata"]["name"]))


if __name__ == "__main__":
    recorded = {"state": recorded_state, "objects": recorded_objects}[sys.argv[1]]
    sys.stdout.write(json.dumps(recorded(json.load(sys.stdin)), indent=1) + "\n")
