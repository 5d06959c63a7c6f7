"""The YAML text that ZStack keeps with a service: its ports, health paths and environment. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from modelfleet.adapters.query_api.zstack_api.described import Described
from modelfleet.cluster.masking import MASK, without_lookalikes

_Dumper: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def document_of(described: Described) -> str | None:
    """Return the document of a hosted service, None where nothing of ours runs.

    Values that come from Secrets are not in it, nor what looks like a secret.
    """
    container, deployment = described.container, described.deployment
    if container is None or deployment is None:
        return None
    service = {
        "name": described.entry.service.name,
        "ports": [each["containerPort"] for each in _mappings(container.get("ports"))],
        "livez": _path(container.get("livenessProbe")),
        "readyz": _path(container.get("readinessProbe")),
        "serviceBootupTime": deployment.startup_seconds,
    }
    content = {
        "services": [service],
        "env": [{"name": name, "value": value} for name, value in _environment(container)],
        "distro": {"packages": []},
    }
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


def _environment(container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for each in _mappings(container.get("env")):
        name = str(each.get("name", ""))
        if "valueFrom" in each:
            yield name, MASK
        else:
            yield name, without_lookalikes(f"{name}={each.get('value', '')}")[len(name) + 1 :]


def _path(probe: Any) -> str | None:
    """Return the path that a probe asks for, None for one that runs a command."""
    found = probe.get("httpGet") if isinstance(probe, Mapping) else None
    path = found.get("path") if isinstance(found, Mapping) else None
    return path if isinstance(path, str) else None


def _mappings(items: Any) -> Iterator[Mapping[str, Any]]:
    """Return the mappings of a list that an override may have made anything of."""
    return (each for each in items or () if isinstance(each, Mapping))
