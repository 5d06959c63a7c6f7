"""The Secret that is the primary object of an external ModelService.

A proxy finds in it where the provider is and what to send; there is nothing to run. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from modelfleet import labels
from modelfleet.errors import ProviderBugError
from modelfleet.render.hashes import canonical_json
from modelfleet.render.metadata import NONE, Identity, Object, primary_metadata_of
from modelfleet.render.secret import encoded
from modelfleet.spec.service import ModelServiceSpec


def external_secret_of(
    spec: ModelServiceSpec, *, identity: Identity, annotations: Mapping[str, str] = NONE
) -> Object:
    """Return the Secret: ``base_url``, ``model_names`` (a JSON list), ``api_key`` if declared."""
    settings = spec.provider_settings
    if settings is None or settings.base_url is None:
        raise ProviderBugError(f"ModelService {spec.model_service_name} has no provider.")
    values = {
        "base_url": settings.base_url.encode(),
        "model_names": canonical_json(list(settings.model_names)),
    }
    if settings.api_key is not None:
        values["api_key"] = settings.api_key.get_secret_value().encode()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": primary_metadata_of(
            spec,
            identity=identity,
            name=labels.external_secret_name(spec.model_service_name),
            annotations=annotations,
        ),
        "type": "Opaque",
        "data": encoded(values),
    }
