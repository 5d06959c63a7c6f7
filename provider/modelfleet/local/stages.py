"""What fake nodes do with pods: KWOK's own fast stages, and misbehaviours that tests ask for.

A pod misbehaves when its node selector names a behaviour, since that is what every kind of
workload lets its user set; ``stages/<behaviour>.yaml`` says how. Pure but for reading files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from modelfleet.errors import ConfigError
from modelfleet.local.nodes import BEHAVIOUR_LABEL

Object = dict[str, Any]

_HERE = Path(__file__).parent / "stages"

BEHAVIOURS = tuple(sorted(path.stem for path in _HERE.glob("*.yaml")))

# Where fake pods' logs come from, in the format of a container runtime: what `kubectl logs`
# shows, and what it shows with `--previous`.
LOG = _HERE / "logs" / "running.log"
CRASH_LOG = _HERE / "logs" / "crashed.log"


def node_selector(behaviour: str) -> dict[str, str]:
    """The node selector with which a pod asks for a behaviour."""
    return {BEHAVIOUR_LABEL: behaviour}


def toleration() -> dict[str, str]:
    """The toleration that a pod needs to land on a node of the chaos pool."""
    return {"key": BEHAVIOUR_LABEL, "operator": "Exists", "effect": "NoSchedule"}


def kwok_configuration(*, built_in: Path, extra: Iterable[Path] = ()) -> str:
    """KWOK's configuration as YAML: its own stages from ``built_in``, ours, and ``extra`` files.

    Raises ConfigError naming the file that cannot be read or is not YAML.
    """
    own = [
        _left_to_behaviours(stage)
        for file in sorted(built_in.glob("*.yaml"))
        for stage in _documents(file)
    ]
    ours = [stage for file in [*sorted(_HERE.glob("*.yaml")), *extra] for stage in _documents(file)]
    return str(yaml.safe_dump_all([*own, *ours, _logs()], sort_keys=False))


def _documents(file: Path) -> list[Object]:
    try:
        return list(yaml.safe_load_all(file.read_text()))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"KWOK stages {file}: {error}") from None


def _left_to_behaviours(stage: Object) -> Object:
    """A stage of KWOK's own that keeps its hands off pods that ask for a behaviour.

    Deletion is for all pods alike.
    """
    spec = stage["spec"]
    if spec["resourceRef"]["kind"] != "Pod" or spec["next"].get("delete"):
        return stage
    mine = {"key": f'.spec.nodeSelector["{BEHAVIOUR_LABEL}"]', "operator": "DoesNotExist"}
    expressions = [*spec["selector"]["matchExpressions"], mine]
    return {**stage, "spec": {**spec, "selector": {"matchExpressions": expressions}}}


def digest(text: str) -> str:
    """A short name for a text, the same for the same text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _logs() -> Object:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterLogs",
        "metadata": {"name": "all-pods"},
        "spec": {"logs": [{"logsFile": str(LOG), "previousLogsFile": str(CRASH_LOG)}]},
    }
