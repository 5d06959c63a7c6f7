"""What a Pulumi stack knows: its resources, its owner, its clusters. Asks the user's ``pulumi``.

Reads only.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from modelfleet.errors import ConfigError

TYPE_PREFIX: Final = "pulumi-python:dynamic/modelfleet:"
"""What the types of our resources begin with; their kind follows."""


@dataclass(frozen=True)
class KnownResource:
    """A service or proxy that a state has, and the creation of it that the state means.

    ``cluster`` is the logical name; ``cluster_uid`` the cluster it really is on.
    """

    kind: str
    cluster: str
    cluster_uid: str
    id: str
    incarnation: str


@dataclass(frozen=True)
class Stack:
    """One stack of the project in ``folder``."""

    name: str
    folder: Path

    def resources(self) -> list[KnownResource]:
        """Return our resources of the state, those of interrupted runs included."""
        deployment = json.loads(self._pulumi("stack", "export")).get("deployment") or {}
        return list(_resources(deployment))

    def owner(self) -> str:
        """Return the owner that a program of this stack passes."""
        return self._config("fleet") or "/".join(self._full_name())

    def clusters(self) -> str | None:
        """Return the JSON of ``modelfleet:clusters``, None where it is not set."""
        return self._config("clusters")

    def _config(self, key: str) -> str | None:
        text = self._pulumi("config", "--json", "--show-secrets")
        entry = json.loads(text).get(f"modelfleet:{key}") or {}
        value = entry.get("objectValue", entry.get("value"))
        return value if value is None or isinstance(value, str) else json.dumps(value)

    def _full_name(self) -> tuple[str, str, str]:
        """Return organization, project and stack, as a program would see them."""
        parts = self.name.split("/")
        if len(parts) == 3:
            return parts[0], parts[1], parts[2]
        project = yaml.safe_load((_project_file(self.folder)).read_text())["name"]
        organization = parts[0] if len(parts) == 2 else self._organization()
        return organization, project, parts[-1]

    def _organization(self) -> str:
        whoami = json.loads(self._pulumi("whoami", "--json", stack=False))
        if not str(whoami.get("url", "")).startswith("http"):
            return "organization"  # what every backend but the Pulumi Cloud calls it
        return self._pulumi("org", "get-default", stack=False).strip()

    def _pulumi(self, *args: str, stack: bool = True) -> str:
        command = ["pulumi", *args, "--non-interactive", *(["--stack", self.name] if stack else [])]
        try:
            result = subprocess.run(
                command, cwd=self.folder, capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            raise ConfigError(
                "pulumi was not found on PATH.",
                hint='Install it, or use the local one: eval "$(modelfleet local env)".',
            ) from None
        if result.returncode != 0:
            raise ConfigError(f"{' '.join(command)} failed: {result.stderr.strip()}")
        return result.stdout


def _resources(deployment: dict[str, Any]) -> Iterator[KnownResource]:
    for resource in deployment.get("resources") or ():
        # What a program only looks up (``ModelService.get``) is external to its stack.
        prefix, _, kind = str(resource.get("type")).rpartition(":")
        if f"{prefix}:" == TYPE_PREFIX and not resource.get("external"):
            outputs = resource.get("outputs") or {}
            yield KnownResource(
                kind=kind,
                cluster=str(outputs.get("cluster") or "default"),
                cluster_uid=str(outputs.get("cluster_uid", "")),
                id=str(resource.get("id", "")),
                incarnation=str(outputs.get("incarnation", "")),
            )


def _project_file(folder: Path) -> Path:
    for parent in (folder.resolve(), *folder.resolve().parents):
        for name in ("Pulumi.yaml", "Pulumi.yml"):
            if (parent / name).is_file():
                return parent / name
    raise ConfigError(
        f"No Pulumi.yaml in {folder} or above it.",
        hint="Run this in the folder of the Pulumi project, or name it with --cwd.",
    )
