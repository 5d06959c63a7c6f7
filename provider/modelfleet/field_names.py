"""Which declared field each cause of not being ready points to, for one spec. Pure."""

from __future__ import annotations

from dataclasses import replace

from modelfleet import labels
from modelfleet.cluster.reasons import FieldNames
from modelfleet.resource_types import ResourceSpec
from modelfleet.spec.fields import secret_name_and_key
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_routes import routes_of
from modelfleet.spec.runtime import RuntimeSpec, SecretRef
from modelfleet.spec.service import ModelServiceSpec


def field_names_of(spec: ResourceSpec) -> FieldNames:
    """Return the fields of ``spec`` that messages about its pods name."""
    return _of_a_proxy(spec) if isinstance(spec, ModelProxySpec) else _of_a_service(spec)


def _of_a_proxy(spec: ModelProxySpec) -> FieldNames:
    secrets = {
        labels.proxy_object_name(spec.name): "api_keys",
        labels.redis_name(spec.name): "redis",
    }
    if spec.credential_name is not None:
        secrets[secret_name_and_key(spec.credential_name)[0]] = "credential_name"
    if spec.redis is not None and spec.redis.credential_name is not None:
        secrets[secret_name_and_key(spec.redis.credential_name)[0]] = "redis.credential_name"
    for route in routes_of(spec).values():
        for upstream in route.upstreams:
            if upstream.credential_name is not None:
                name = secret_name_and_key(upstream.credential_name)[0]
                secrets[name] = upstream.credential_path
    config = "routes" if spec.routes else "proxy_config"
    return FieldNames(
        replicas="replicas",
        cpu="cpu",
        memory="memory",
        image="image",
        image_version="image" if spec.image else "litellm_version",
        storage="redis.storage_gib",
        model=config,
        # What it runs and how is not declared; an image without LiteLLM is what goes wrong.
        command="image",
        args="image",
        env=config,
        startup="wait.timeout_seconds",
        probes="image",
        port="image",
        strategy="replicas",
        node_selector="replicas",
        tolerations="",
        affinity="replicas",
        priority_class="replicas",
        runtime_class="image",
        service_account="",
        queue="replicas",
        pod_overrides=config,
        of_secret=secrets,
    )


def redis_field_names_of(spec: ModelProxySpec) -> FieldNames:
    """Return the fields that messages about the pod of a managed Redis name."""
    redis = "redis"
    return FieldNames(
        replicas=redis,
        cpu="",
        memory="",
        image="redis.image",
        image_version="redis.image",
        storage="redis.storage_class",
        model="redis.storage_class",
        command="redis.image",
        args="redis.image",
        env=redis,
        startup="wait.timeout_seconds",
        probes="redis.image",
        port="redis.image",
        strategy=redis,
        node_selector=redis,
        tolerations="",
        affinity=redis,
        priority_class=redis,
        runtime_class=redis,
        service_account="",
        queue=redis,
        pod_overrides=redis,
        of_secret={labels.redis_name(spec.name): redis},
    )


def _of_a_service(spec: ModelServiceSpec) -> FieldNames:
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
