"""The tags of a service: those its program declares, and those that say how and where it is. Pure.

User tags are ``key::value`` of the declared ``tags``. System tags are made here, since ZStack's
fields have no place for a state, an owner or a namespace; so they can be asked for all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from modelfleet.adapters.query_api.zstack_api.described import Described
from modelfleet.agentrun.scope import DEFAULT_WORKSPACE, workspace_of
from modelfleet.labels import own_tags

USER_TAG: Final = "__userTag__"
SYSTEM_TAG: Final = "__systemTag__"

SYSTEM_TAGS: Final[Mapping[str, tuple[str, Callable[[Described], str | None]]]] = {
    "status": (
        "how it is: READY, CREATING, UPDATING, STOPPED, DEGRADED, DELETING, CREATE_FAILED or "
        "UPDATE_FAILED",
        lambda it: it.entry.service.status,
    ),
    "kind": (
        "`hosted` runs on this cluster, `external` elsewhere",
        lambda it: _kind(it),
    ),
    "namespace": ("its Kubernetes namespace", lambda it: it.entry.service.namespace),
    "workspace": (
        f"its workspace, `{DEFAULT_WORKSPACE}` where none is declared",
        lambda it: workspace_of(it.entry),
    ),
    "owner": ("whose it is: a stack, or a client", lambda it: it.entry.service.owner),
    "cluster": (
        "the logical name of the cluster it was declared for",
        lambda it: it.spec.cluster if it.spec else None,
    ),
    "provider": (
        "who makes or serves the model, as declared",
        lambda it: it.spec.provider if it.spec else None,
    ),
    "modelType": (
        "what the model does: llm, text-embedding, rerank, speech2text, tts or moderation",
        lambda it: it.spec.model_type.value if it.spec else None,
    ),
    "gpuVendor": (
        "who makes its GPUs: nvidia, amd, intel, gaudi or ascend",
        lambda it: it.gpu.vendor if it.gpu else None,
    ),
    "accessName": (
        "the `model` value that its callers send",
        lambda it: it.entry.service.access_name,
    ),
}
"""What each system tag says, and how it is known; a service has none of what is not known."""


def user_tags(described: Described) -> tuple[str, ...]:
    """Return the declared tags."""
    tags = own_tags(described.spec.tags) if described.spec else {}
    return tuple(f"{key}::{value}" for key, value in sorted(tags.items()))


def system_tags(described: Described) -> tuple[str, ...]:
    """Return the tags that say how and where the service is."""
    found = ((name, of(described)) for name, (_, of) in SYSTEM_TAGS.items())
    return tuple(f"{name}::{value}" for name, value in found if value)


def _kind(described: Described) -> str | None:
    if described.spec is None:
        return None
    return "hosted" if described.spec.hosted else "external"
