"""Logical cluster names, and the one fleet of each.

A declaration says ``cluster: "prod-eu"``; what that means on this machine comes from
configuration, so that a state never holds a path or a credential. Connections are made on first
use and shared by everything that runs in the process.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelfleet.cluster.client import Client
from modelfleet.errors import ConfigError
from modelfleet.fleet import Fleet

CONFIG_KEY: Final = "clusters"
DEFAULT: Final = "default"


class ClusterConfig(BaseModel):
    """How to reach one cluster: ``kubeconfig`` is a path or YAML text, unset = the ambient one."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    kubeconfig: str | None = Field(None, repr=False)  # as text it holds credentials
    context: str | None = None


class Clusters:
    """The fleets of a process by logical cluster name. Belongs to one event loop."""

    def __init__(self, configured: Mapping[str, ClusterConfig]) -> None:
        self._configured = configured
        self._fleets: dict[str, Fleet] = {}

    @classmethod
    def configured(cls, text: str | None) -> Clusters:
        """Read the JSON value of ``modelfleet:clusters``; None when it is not set.

        Raises:
            ConfigError: it is not a map of ``{kubeconfig, context}`` by name.
        """
        if not text:
            return cls({})
        try:
            entries = json.loads(text)
            return cls({name: ClusterConfig.model_validate(e or {}) for name, e in entries.items()})
        except (ValueError, AttributeError, ValidationError):
            raise ConfigError(
                "modelfleet:clusters is not a map of {kubeconfig, context} by cluster name.",
                hint="Set it, for example, with: pulumi config set --path "
                "'modelfleet:clusters.prod-eu.context' my-context",
            ) from None

    @property
    def names(self) -> frozenset[str]:
        """The names that are configured; ``default`` need not be among them."""
        return frozenset(self._configured)

    def fleet(self, name: str) -> Fleet:
        """Return the fleet of the cluster that ``name`` stands for.

        Raises:
            ConfigError: no such name is configured, or its kubeconfig cannot be used.
        """
        if name not in self._fleets:
            config = self._configured.get(name)
            if config is None and name != DEFAULT:
                raise ConfigError(
                    f"cluster {name!r} is not configured (known: {self._known()}).",
                    hint=f"Set it with: pulumi config set --path "
                    f"'modelfleet:clusters.{name}.context' <kubeconfig context>",
                )
            self._fleets[name] = Fleet(_connected(name, config or ClusterConfig()), cluster=name)
        return self._fleets[name]

    async def aclose(self) -> None:
        """Close every connection that was made."""
        for fleet in self._fleets.values():
            await fleet.aclose()

    def _known(self) -> str:
        return ", ".join(sorted({DEFAULT, *self._configured}))


def _connected(name: str, config: ClusterConfig) -> Client:
    try:
        return Client.connect(kubeconfig=config.kubeconfig, context=config.context)
    except ConfigError as error:
        raise ConfigError(f"cluster {name!r}: {error.message}", hint=error.hint) from None
