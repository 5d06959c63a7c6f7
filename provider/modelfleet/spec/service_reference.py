"""What a proxy's declaration holds of a ModelService, worked out of what the service declares.

For programs, which pass the resource itself, and for those who name one that is there. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from modelfleet import labels


def credential_name_of(name: str, *, credential_name: str | None, has_api_key: bool) -> str | None:
    """Return the Secret with the key of the external service ``name``: its own, or that named."""
    if credential_name is not None:
        return credential_name
    return f"{labels.external_secret_name(name)}/api_key" if has_api_key else None


def context_size_of(
    deployment: Mapping[str, Any] | None, models: Iterable[Mapping[str, Any]] | None
) -> int | None:
    """Return the context window: what is served of it, or else what callers are told."""
    if served := (deployment or {}).get("max_model_len"):
        return int(served)
    properties = (each.get("model_properties") or {} for each in models or ())
    sizes = [int(each["context_size"]) for each in properties if each.get("context_size")]
    return max(sizes, default=None)
