"""The Pulumi resource classes of a program.

They name things and register; what is common to them is in ``registration``, and everything else is
decided by the provider, in its own process. No validation here, and no cluster.
"""

# pulumi.getter fills the empty bodies in.
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

import pulumi
import pulumi.dynamic

from modelfleet.dynamic_entry import model_proxy_provider, model_service_provider
from modelfleet.observed import Observed
from modelfleet.references import with_references
from modelfleet.registration import ProviderByName, layers_of, looked_up_options, registered_props
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.service import ModelServiceSpec

if TYPE_CHECKING:
    from modelfleet.inputs import ModelProxyArgs, ModelServiceArgs


class ModelService(Observed, pulumi.dynamic.Resource, module="modelfleet", name="ModelService"):
    """One model offered at one OpenAI-compatible base URL.

    Hosted, with ``deployment``: runs on Kubernetes. External, with
    ``provider_settings.base_url``: runs elsewhere. All problems of a declaration are reported
    at once, at preview, each with its path.

    ::

        ModelService(
            "chat",
            namespace="models",
            deployment={
                "model": {"uri": "hf://Qwen/Qwen3-8B"},
                "gpu": {"product": "NVIDIA-L4", "count": 1},
            },
        )
    """

    def __init__(
        self,
        resource_name: str,
        *,
        base: pulumi.Input[ModelServiceArgs]
        | Sequence[pulumi.Input[ModelServiceArgs]]
        | None = None,
        opts: pulumi.ResourceOptions | None = None,
        **args: Unpack[ModelServiceArgs],
    ) -> None:
        """Register a ModelService.

        Args:
            resource_name: Logical name; also the ``model_service_name`` where none is declared.
            base: One or more partial specs, merged deeply; later ones and ``args`` win, None
                takes a value away.
            opts: Pulumi's options, passed on.
            args: The spec. Values may be Outputs at any depth, and none of them is changed.

        Raises:
            pulumi.RunError: An output or ``owner`` is declared, or ``opts`` has ``import_``. A
                secret that stands where it would end up in plain text raises the same, when the
                program is run.
        """
        props = registered_props(
            resource_name,
            layers=[*layers_of(base), args],
            options=opts,
            resource=ModelService,
            model=ModelServiceSpec,
        )
        self.declared: Mapping[str, Any] = props
        super().__init__(ProviderByName(model_service_provider), resource_name, props, opts)

    @classmethod
    def get(
        cls,
        resource_name: str,
        id: pulumi.Input[str],  # noqa: A002 - what every Pulumi resource calls it
        *,
        cluster: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> ModelService:
        """Look up a service that is there, whoever made it. It is never changed or deleted.

        Args:
            resource_name: Logical name of what is looked up, in this program.
            id: Identity of the service: ``namespace/name``.
            cluster: Logical name of its cluster, unset = ``default``.
            opts: Pulumi's options, passed on.
        """
        where: ModelServiceArgs = {} if cluster is None else {"cluster": cluster}
        return cls(resource_name, opts=looked_up_options(id, opts), **where)

    @property
    @pulumi.getter
    def model_service_id(self) -> pulumi.Output[str]:
        """Identity of the service: `namespace/name`. Known at preview."""

    @property
    @pulumi.getter
    def model_service_name(self) -> pulumi.Output[str]:
        """Name of the service and of its objects. Known at preview."""

    @property
    @pulumi.getter
    def base_url(self) -> pulumi.Output[str]:
        """OpenAI-compatible base URL: `endpoint` + `/v1`, or the provider's. Known at preview."""

    @property
    @pulumi.getter
    def access_name(self) -> pulumi.Output[str]:
        """The `model` value that callers send. Known at preview."""

    @property
    @pulumi.getter
    def model_names(self) -> pulumi.Output[Sequence[str]]:
        """Every name the model answers to. Known at preview."""

    @property
    @pulumi.getter
    def gpu_total(self) -> pulumi.Output[int]:
        """GPUs of all replicas together. Known at preview."""


class ModelProxy(Observed, pulumi.dynamic.Resource, module="modelfleet", name="ModelProxy"):
    """One OpenAI-compatible URL in front of many models.

    A target's ``service`` is a ModelService of this program, or the name of one that is there. All
    problems of a declaration are reported at once, at preview, each with its path.

    ::

        ModelProxy(
            "front",
            namespace="models",
            routes={
                "chat": {
                    "targets": [{"service": large, "weight": 80}, {"service": small, "weight": 20}],
                    "fallbacks": ["spare"],
                },
                "spare": {"targets": [{"base_url": "https://llm.example/v1", "model_name": "m"}]},
            },
            api_keys={"team-a": {"generate": {}, "limits": {"tpm": 100_000}}},
        )
    """

    def __init__(
        self,
        resource_name: str,
        *,
        base: pulumi.Input[ModelProxyArgs] | Sequence[pulumi.Input[ModelProxyArgs]] | None = None,
        opts: pulumi.ResourceOptions | None = None,
        **args: Unpack[ModelProxyArgs],
    ) -> None:
        """Register a ModelProxy.

        Args:
            resource_name: Logical name; also the ``model_proxy_name`` where none is declared.
            base: One or more partial specs, merged deeply; later ones and ``args`` win, None
                takes a value away.
            opts: Pulumi's options, passed on.
            args: The spec. Values may be Outputs at any depth, and none of them is changed.

        Raises:
            pulumi.RunError: An output or ``owner`` is declared, or ``opts`` has ``import_``. A
                secret that stands where it would end up in plain text raises the same, when the
                program is run.
        """
        props = registered_props(
            resource_name,
            layers=[
                with_references(each, service=ModelService) for each in (*layers_of(base), args)
            ],
            options=opts,
            resource=ModelProxy,
            model=ModelProxySpec,
        )
        secret = pulumi.ResourceOptions(additional_secret_outputs=["generated_keys"])
        options = pulumi.ResourceOptions.merge(secret, opts)
        super().__init__(ProviderByName(model_proxy_provider), resource_name, props, options)

    @classmethod
    def get(
        cls,
        resource_name: str,
        id: pulumi.Input[str],  # noqa: A002 - what every Pulumi resource calls it
        *,
        cluster: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> ModelProxy:
        """Look up a proxy that is there, whoever made it. It is never changed or deleted.

        Args:
            resource_name: Logical name of what is looked up, in this program.
            id: Identity of the proxy: ``namespace/name``.
            cluster: Logical name of its cluster, unset = ``default``.
            opts: Pulumi's options, passed on.
        """
        where: ModelProxyArgs = {} if cluster is None else {"cluster": cluster}
        return cls(resource_name, opts=looked_up_options(id, opts), **where)

    @property
    @pulumi.getter
    def model_proxy_id(self) -> pulumi.Output[str]:
        """Identity of the proxy: `namespace/name`. Known at preview."""

    @property
    @pulumi.getter
    def model_proxy_name(self) -> pulumi.Output[str]:
        """Name of the proxy. Known at preview."""

    @property
    @pulumi.getter
    def base_url(self) -> pulumi.Output[str]:
        """OpenAI-compatible base URL: `endpoint` + `/v1`. Known at preview."""

    @property
    @pulumi.getter
    def access_names(self) -> pulumi.Output[Sequence[str]]:
        """The `model` values that callers send. Known at preview."""

    @property
    @pulumi.getter
    def generated_keys(self) -> pulumi.Output[Mapping[str, str]]:
        """The keys that were made here, by name; a secret."""
