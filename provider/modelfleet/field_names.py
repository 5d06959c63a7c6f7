"""Which declared field each cause of not being ready points to, for one spec. Pure."""

from __future__ import annotations

from dataclasses import replace

from modelfleet import labels
from modelfleet.cluster.reasons import FieldNames
from modelfleet.spec.fields import secret_name_and_key
from modelfleet.spec.runtime import RuntimeSpec, SecretRef
from modelfleet.spec.service import ModelServiceSpec


def field_names_of(spec: ModelServiceSpec) -> FieldNames:
    """Return the fields of ``spec`` that messages about its pods name."""
    deployment = spec.deployment
    if deployment is None:
        return FieldNames()
    secrets = {labels.env_secret_name(spec.model_service_name): "deployment.secret_env"}
    for name, value in deployment.env.items():
        if isinstance(value, SecretRef):
            secrets[secret_name_and_key(value.secret)[0]] = f"deployment.env.{name}"
    if deployment.model.credential_name:
        credential = secret_name_and_key(deployment.model.credential_name)[0]
        secrets[credential] = "deployment.model.credential_name"
    names = FieldNames(of_secret=secrets)
    if deployment.model.uri.startswith("file://"):
        names = replace(names, model_path=deployment.model.uri.removeprefix("file://"))
    if isinstance(deployment.runtime, RuntimeSpec):
        image = "deployment.runtime.image"
        names = replace(
            names,
            image=image,
            image_version=image,
            args="deployment.runtime.args",
            port="deployment.runtime.port",
            probes="deployment.runtime.probes",
            command=names.command if deployment.command else "deployment.runtime.command",
        )
    if deployment.model.uri.startswith("pvc://") and deployment.storage.kind != "pvc":
        names = replace(names, storage=names.model)  # the only claim there is
    if deployment.images:
        image = "deployment.images"
        names = replace(names, image=image, image_version=image)
    return names
