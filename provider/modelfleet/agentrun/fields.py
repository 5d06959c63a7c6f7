"""Every field of AgentRun's services and proxies, and those that are added here, in one table.

Where each comes from, which calls take it, and what is different about it. What is declared and
what is told follow the table, and the reference is printed from it. Parts of a field are those of
the spec, whose names are AgentRun's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydantic.alias_generators import to_camel

from modelfleet.resource_types import MODEL_PROXY, MODEL_SERVICE


class Source(StrEnum):
    """Where the value of a field comes from."""

    DECLARED = "declared"
    """The field of the spec that has the same name, with the spec's default."""
    PLANNED = "planned"
    """A formula over what is declared (``ResourceType.formulas``)."""
    LIVE = "live"
    """What runs (``Service``)."""
    NOWHERE = "nowhere"
    """Nothing is told: always None."""


@dataclass(frozen=True)
class ResourceField:
    """One field, by its name in Python.

    ``create``, ``update`` and ``clear`` say which calls take it, and ``refusal`` what one that does
    not is told where the spec has no words for it. ``ours`` says that AgentRun has no such field.
    """

    name: str
    source: Source
    create: bool = False
    update: bool = False
    clear: bool = False
    ours: bool = False
    differs: str = ""
    refusal: str = "is an output, not an input"

    @property
    def wire(self) -> str:
        """Return its name on the wire."""
        return to_camel(self.name)


def _said(name: str, differs: str = "", *, ours: bool = False, clear: bool = True) -> ResourceField:
    return ResourceField(
        name,
        Source.DECLARED,
        create=True,
        update=True,
        clear=clear,
        ours=ours,
        differs=differs,
    )


def _told(
    name: str, source: Source = Source.LIVE, differs: str = "", *, ours: bool = False
) -> ResourceField:
    return ResourceField(name, source, ours=ours, differs=differs)


def _nowhere(name: str, differs: str) -> ResourceField:
    return ResourceField(name, Source.NOWHERE, differs=differs)


def _name(name: str) -> ResourceField:
    return ResourceField(
        name,
        Source.DECLARED,
        create=True,
        update=True,  # as it is: nothing is renamed
        differs="2 to 63 lower-case letters, digits and dashes, beginning with a letter (a proxy's "
        "has 57 at most). An update takes it where it is the resource's own name, and refuses any "
        "other one: AgentRun drops it.",
    )


_WHERE: Final = (
    "is that of the caller, not of one resource: set it in Config, or for the account of the server"
)

_BOTH: Final = (
    _said("description"),
    _said(
        "network_configuration",
        "network_mode is PRIVATE, also by default, and the other modes are refused; allow_from, "
        "which is added, lets further pods in.",
    ),
    _told("status", differs="STOPPED and DEGRADED are added; see below for the wire."),
    _told("status_reason", differs="A field of Python, too, and as of the last look."),
    _told("created_at"),
    _told("last_updated_at", differs="In whole seconds."),
)

_ADDED_TO_BOTH: Final = (
    _said("tags", ours=True),
    _said("deletion_protection", ours=True),
    ResourceField(
        "adopt",
        Source.NOWHERE,
        create=True,
        ours=True,
        refusal="is for create: what is updated is taken over already",
    ),
    ResourceField("namespace", Source.DECLARED, ours=True, refusal=_WHERE),
    ResourceField("cluster", Source.DECLARED, ours=True, refusal=_WHERE),
    ResourceField(
        "wait",
        Source.NOWHERE,
        ours=True,
        differs="Of programs for Pulumi; a call returns once it is accepted.",
        refusal="is for pulumi up: a call returns once it is accepted; wait_until_ready_or_failed "
        "waits",
    ),
    _told("owner", differs="Who declared it.", ours=True),
    _told("base_url", Source.PLANNED, "Where OpenAI's clients call it.", ours=True),
    _told("ready_replicas", differs="Pods that serve.", ours=True),
)

SERVICE_FIELDS: Final[tuple[ResourceField, ...]] = (
    _name("model_service_name"),
    _said("model_type", "llm where unset. Can be changed."),
    _said("provider", "Can be changed."),
    _said("workspace_id", "Can be changed, to a workspace of the caller's."),
    _said(
        "model_info_configs",
        "Can be changed: the list as a whole. On the wire an update's `[]` says nothing, since "
        "AgentRun's own client always sends it; null clears.",
    ),
    _said(
        "provider_settings",
        "api_key is kept in a Secret and never told. Of a hosted service, base_url and model_names "
        "are told as they are live.",
    ),
    _said("credential_name", "An existing Secret of the namespace: `name` or `name/key`."),
    _told("model_service_id", Source.PLANNED, "`namespace/name`."),
    *_BOTH,
    _said(
        "deployment",
        "A service with one runs here; without one it is a registration, as in AgentRun.",
        ours=True,
    ),
    _told("model_names", Source.PLANNED, "All names it answers to.", ours=True),
    _told("access_name", Source.PLANNED, "What callers send as `model`.", ours=True),
    _told("gpu_total", Source.PLANNED, "GPUs of all replicas.", ours=True),
    _told("replicas", differs="Pods that there should be: deployment.replicas.", ours=True),
    _told("endpoint", Source.PLANNED, "`base_url` without its path.", ours=True),
    *_ADDED_TO_BOTH,
)

PROXY_FIELDS: Final[tuple[ResourceField, ...]] = (
    _name("model_proxy_name"),
    _said("cpu", "2 where unset. An update changes it; AgentRun drops it."),
    _said("memory", "In MiB; 4096 where unset. An update changes it; AgentRun drops it."),
    _said("litellm_version", "An update changes it; AgentRun drops it."),
    _nowhere("service_region_id", "Refused: a region is a cluster."),
    _said(
        "proxy_mode",
        "Where unset, or as it would be anyway, it follows the endpoints. An update changes it; "
        "AgentRun drops it.",
    ),
    _said(
        "proxy_config",
        "endpoints is a list and replaced as a whole. A model_service_name is looked up, in "
        "`namespace/name` too, and unknown ones are refused.",
    ),
    _nowhere("execution_role_arn", "Refused: a gateway needs no rights."),
    _said("credential_name", "A Secret with a key that callers may use for everything."),
    _said("workspace_id", "Can be changed, to a workspace of the caller's."),
    _said("model_type", "Can be changed."),
    _told("model_proxy_id", Source.PLANNED, "`namespace/name`."),
    _told("endpoint", Source.PLANNED, "`base_url` without its path."),
    _nowhere("function_name", "There is no function: a proxy has pods."),
    _nowhere("log_configuration", "Refused: each request is one line in the pods' log."),
    _nowhere("arms_configuration", "Refused: pods offer Prometheus metrics."),
    *_BOTH,
    _said("routes", "In place of proxy_config.endpoints: many public names.", ours=True),
    _said("policies", "In place of proxy_config.policies.", ours=True),
    _said("api_keys", "By name; key is never told.", ours=True),
    _said("limit_scope", ours=True),
    _said("redis", ours=True),
    _said("replicas", ours=True),
    _said("image", ours=True),
    _told("access_names", Source.PLANNED, "What callers send as `model`.", ours=True),
    *_ADDED_TO_BOTH,
)

FIELDS: Final[Mapping[str, Mapping[str, ResourceField]]] = {
    MODEL_SERVICE.kind: {each.name: each for each in SERVICE_FIELDS},
    MODEL_PROXY.kind: {each.name: each for each in PROXY_FIELDS},
}
"""By kind and name."""
