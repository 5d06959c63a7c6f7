"""What AgentRun's clients are told of a service or proxy: ``told.wire_of``, as this server sees it.

What is told here and not there depends on who asks and where this server is reached. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelfleet import labels
from modelfleet.adapters.query_api.accounts import Account
from modelfleet.adapters.query_api.settings import Settings
from modelfleet.agentrun.registry import Resource
from modelfleet.agentrun.told import wire_of
from modelfleet.resource_types import MODEL_PROXY
from modelfleet.spec.service import ModelServiceSpec


def data_of(resource: Resource, *, account: Account, settings: Settings) -> dict[str, Any]:
    """Return the ``data`` of a reply about one resource.

    Callers' keys that were made by this very call stand in ``generatedKeys``; there is no way to
    ask for them again.
    """
    said = resource.fields
    if resource.kind == MODEL_PROXY.kind:
        namespace = resource.entry.key.namespace
        if endpoint := settings.endpoint_of(resource.name, namespace=namespace):
            said |= {"endpoint": endpoint, "base_url": f"{endpoint}/v1"}
    elif (own := own_credential(resource)) and account.may_read_credentials:
        said |= {"credential_name": own}
    data = wire_of(said, kind=resource.kind)
    if resource.generated_keys:
        data["generatedKeys"] = dict(resource.generated_keys)
    return data


def own_credential(resource: Resource) -> str:
    """Return the credential by which the key of an external service can be asked for, "" if none.

    AgentRun's SDK calls such a service with the key in the resource, or else in the credential that
    it names. Keys never stand in resources here. So that its programs find the key all the same,
    they are told the service's own Secret as a credential: each look at it is audited.
    """
    spec = resource.entry.spec
    if not isinstance(spec, ModelServiceSpec) or spec.provider_settings is None:
        return ""
    # Records have "" where there is a key.
    if spec.credential_name or spec.deployment or spec.provider_settings.api_key is None:
        return ""
    return labels.external_secret_name(resource.name)


def credentials_of(resource: Resource) -> Mapping[str, None]:
    """Return the credentials that a resource names, or is told to have; keys of a map, in order."""
    declared = getattr(resource.entry.spec, "credential_name", None)
    return dict.fromkeys(filter(None, (declared, own_credential(resource))))
