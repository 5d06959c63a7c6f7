"""What a program says once, and the environment says otherwise: which cluster, in whose name.

AgentRun's Config, with its arguments, its variables and its getters, and what a cluster needs in
addition. Only what was said in code is kept; everything else is looked up when it is asked for, so
that merging never takes a default for something that was said. Opens nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final, Self

from pydantic import ValidationError

from modelfleet.agentrun.scope import DEFAULT_OWNER, Scope
from modelfleet.client.agentrun_settings import AgentRunSettings
from modelfleet.clusters import DEFAULT, ClusterConfig
from modelfleet.errors import ConfigError

_SECRET: Final = frozenset(
    {
        "access_key_id",
        "access_key_secret",
        "security_token",
        "token",
        "headers",
        "kubeconfig",
        "api_key",
    }
)


class Config(AgentRunSettings):
    """Where calls go, and in whose name.

    The arguments before the star are AgentRun's. Of them, ``headers`` and ``read_timeout`` are used
    for inference and ``timeout`` for everything else, both in seconds; the others are kept and told
    back, for programs that read them, and go nowhere.

    ``cluster`` is a name out of ``clusters`` (``{name: {"kubeconfig": …, "context": …}}``), or
    ``default``; with ``kubeconfig`` (a path, or YAML text) or ``context`` it is what they say.
    Resources are looked up and made in ``namespace``, in the name of ``owner``. ``endpoint`` is
    where inference of this process enters the cluster, and ``api_key`` what gateways and engines
    there are called with. ``take_ownership`` allows every write to
    what another owner declared.
    """

    def __init__(
        self,
        access_key_id: str | None = None,
        access_key_secret: str | None = None,
        security_token: str | None = None,
        account_id: str | None = None,
        token: str | None = None,
        region_id: str | None = None,
        timeout: float | None = None,
        read_timeout: float | None = None,
        control_endpoint: str | None = None,
        data_endpoint: str | None = None,
        devs_endpoint: str | None = None,
        bailian_endpoint: str | None = None,
        use_vpc_endpoint: bool | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        cluster: str | None = None,
        namespace: str | None = None,
        owner: str | None = None,
        kubeconfig: str | os.PathLike[str] | None = None,
        context: str | None = None,
        clusters: Mapping[str, Mapping[str, str | None]] | None = None,
        endpoint: str | None = None,
        api_key: str | None = None,
        take_ownership: bool | None = None,
    ) -> None:
        said = {
            "access_key_id": access_key_id,
            "access_key_secret": access_key_secret,
            "security_token": security_token,
            "account_id": account_id,
            "token": token,
            "region_id": region_id,
            "timeout": timeout,
            "read_timeout": read_timeout,
            "control_endpoint": control_endpoint,
            "data_endpoint": data_endpoint,
            "devs_endpoint": devs_endpoint,
            "bailian_endpoint": bailian_endpoint,
            "use_vpc_endpoint": use_vpc_endpoint,
            "headers": None if headers is None else dict(headers),
            "cluster": cluster,
            "namespace": namespace,
            "owner": owner,
            "kubeconfig": None if kubeconfig is None else os.fspath(kubeconfig),
            "context": context,
            "clusters": None if clusters is None else _cluster_configs(clusters),
            "endpoint": endpoint,
            "api_key": api_key,
            "take_ownership": take_ownership,
        }
        super().__init__({name: value for name, value in said.items() if value is not None})

    # -- merging ---------------------------------------------------------------------------

    @classmethod
    def with_configs(cls, *configs: Config | None) -> Self:
        """Return a new one that says what ``configs`` say, later ones winning."""
        return cls().update(*configs)

    def update(self, *configs: Config | None) -> Self:
        """Take over what ``configs`` say, later ones winning, headers name by name.

        Changes and returns this one, and none of the others.
        """
        for config in configs:
            for name, value in ({} if config is None else config._said).items():
                merges = isinstance(value, dict)
                self._said[name] = {**self._said.get(name, {}), **value} if merges else value
        return self

    def __repr__(self) -> str:
        shown = (
            f"{name}={'***' if name in _SECRET else repr(value)}"
            for name, value in self._said.items()
        )
        return f"Config({', '.join(shown)})"

    def __copy__(self) -> Self:
        return type(self).with_configs(self)

    # -- what a cluster needs in addition --------------------------------------------------

    def get_cluster(self) -> str:
        """Return the logical name of the cluster."""
        return self._text("cluster", "MODELFLEET_CLUSTER") or DEFAULT

    def get_namespace(self) -> str:
        """Return where resources are looked up and made."""
        return self._text("namespace", "MODELFLEET_NAMESPACE") or "default"

    def get_owner(self) -> str:
        """Return in whose name resources are made."""
        return self._text("owner", "MODELFLEET_OWNER") or DEFAULT_OWNER

    def get_endpoint(self) -> str | None:
        """Return where inference enters the cluster; None = as each resource says."""
        return self._text("endpoint", "MODELFLEET_ENDPOINT") or None

    def get_api_key(self) -> str | None:
        """Return the key that gateways and engines are called with; None = each resource's own."""
        return self._text("api_key", "MODELFLEET_API_KEY") or None

    def get_take_ownership(self) -> bool:
        """Return whether writes to what another owner declared are allowed."""
        return bool(self._said.get("take_ownership", False))

    def get_cluster_config(self) -> ClusterConfig:
        """Return how the cluster is reached.

        Raises:
            ConfigError: it has a name that nothing explains, or MODELFLEET_CLUSTERS is no map.
        """
        kubeconfig, context = self._said.get("kubeconfig"), self._said.get("context")
        if kubeconfig is not None or context is not None:
            return ClusterConfig(kubeconfig=kubeconfig, context=context)
        name = self.get_cluster()
        known: Mapping[str, ClusterConfig] = self._said.get("clusters") or _clusters_of_env()
        if name in known:
            return known[name]
        if name == DEFAULT:
            return ClusterConfig()
        raise ConfigError(
            f"cluster {name!r} is not configured (known: {', '.join(sorted({DEFAULT, *known}))}).",
            hint="Name it in Config(clusters={name: {'kubeconfig': …, 'context': …}}), or as JSON "
            "in MODELFLEET_CLUSTERS.",
        )

    def get_scope(self, *, take_ownership: bool | None = None) -> Scope:
        """Return for whom verbs are carried out; ``take_ownership`` is that of one call."""
        own = self.get_take_ownership()
        return Scope(
            owner=self.get_owner(),
            namespace=self.get_namespace(),
            cluster=self.get_cluster(),
            take_ownership=own if take_ownership is None else take_ownership,
        )


def _clusters_of_env() -> dict[str, ClusterConfig]:
    text = os.environ.get("MODELFLEET_CLUSTERS")
    if not text:
        return {}
    try:
        entries = json.loads(text)
    except ValueError:
        entries = None
    return _cluster_configs(entries, told="MODELFLEET_CLUSTERS")


def _cluster_configs(entries: Any, *, told: str = "clusters") -> dict[str, ClusterConfig]:
    try:
        return {
            name: each if isinstance(each, ClusterConfig) else ClusterConfig.model_validate(each)
            for name, each in entries.items()
        }
    except (AttributeError, ValidationError):
        raise ConfigError(
            f"{told} is not a map by cluster name.",
            hint='It looks like {"prod": {"kubeconfig": "~/prod.yaml", "context": "admin"}}, '
            "either of which may be left out.",
        ) from None
