"""The spec as it is kept in the cluster: what was declared, without a single secret. Pure."""

from __future__ import annotations

from typing import Any, Final

from modelfleet.spec.service import ModelServiceSpec
from modelfleet.spec.tree import pruned

EMPTY: Final = ""
"""Stands where a secret stood, so that the record still says that there is one, and is a spec."""


def record_spec_of(spec: ModelServiceSpec) -> dict[str, Any]:
    """Return the declared fields of ``spec`` as JSON values, secrets emptied.

    ``spec_of`` of the result is ``spec`` itself where no secret is declared, and renders the same
    pod template everywhere.
    """
    # Taken out before dumping: what is not there cannot leak through a change of pydantic's.
    settings, deployment = spec.provider_settings, spec.deployment
    without = {
        "provider_settings": {"api_key"},
        "deployment": {"secret_env"},
    }
    record: dict[str, Any] = spec.model_dump(mode="json", exclude_unset=True, exclude=without)
    if settings is not None and settings.api_key is not None:
        record["provider_settings"]["api_key"] = EMPTY
    if deployment is not None and deployment.secret_env:
        record["deployment"]["secret_env"] = dict.fromkeys(sorted(deployment.secret_env), EMPTY)
    declared: dict[str, Any] = pruned(record)
    return declared
