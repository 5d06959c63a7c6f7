"""The Pulumi resource classes of a program.

They name things, merge bases, keep secrets where they belong and register; everything else is
decided by the provider, in its own process. No validation here, and no cluster.
"""

# pulumi.getter fills the empty bodies in.
# mypy: disable-error-code="empty-body"

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Unpack

import pulumi
import pulumi.dynamic

from modelfleet.declaration import registered_inputs
from modelfleet.dynamic_entry import model_service_provider
from modelfleet.errors import Problem, SpecError
from modelfleet.spec import ModelServiceSpec

if TYPE_CHECKING:
    from modelfleet.inputs import ModelServiceArgs

OWNER: Final = "owner"
"""The one input that is not declared on the resource itself: to whom its objects belong."""

CLUSTER: Final = "cluster"
"""The one input that says where to look for a service, beside its id."""

_BOOKKEEPING: Final = frozenset({"incarnation", "schema_version", "renderer_version", "drift"})
"""What the provider keeps in the state beside the outputs; of no use to a program."""

_NOT_AN_INPUT: Final = "is an output, not an input"
_NOT_LOOKED_UP: Final = (
    "is read where a service is looked up by its id; besides that only cluster is given"
)
_NO_IMPORT: Final = (
    "a dynamic resource cannot be imported by its id; declare it with adopt=True instead of "
    "import_, and pulumi up takes over what runs (modelfleet import NAME prints the declaration)."
)
_REASONS: Final[Mapping[str, str]] = {
    OWNER: "is not declared per service; set modelfleet:fleet in the stack's configuration",
    "base_url": f"{_NOT_AN_INPUT}; an external provider's is provider_settings.base_url",
    "model_names": f"{_NOT_AN_INPUT}; a model's further names are provider_settings.model_names",
}


class _ProviderByName(pulumi.dynamic.ResourceProvider):
    """Pickles into the name of the provider, so that a program need not import the provider."""

    serialize_as_secret_always = False

    def __reduce__(self) -> Any:
        return model_service_provider, ()


class ModelService(pulumi.dynamic.Resource, module="modelfleet", name="ModelService"):
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
        subject = f"ModelService {resource_name}"
        options = opts or pulumi.ResourceOptions()
        if options.import_ is not None:
            raise pulumi.RunError(f"{subject}: {_NO_IMPORT}")
        is_looked_up = options.id is not None
        inputs = registered_inputs(
            [*_layers(base), args],
            defaults={} if is_looked_up else {"model_service_name": resource_name},
            subject=subject,
        )
        outputs = _outputs_of(ModelService)
        taken = {OWNER, *_BOOKKEEPING, *outputs} - ModelServiceSpec.model_fields.keys()
        problems = [
            Problem(name, _REASONS.get(name, _NOT_AN_INPUT)) for name in taken & inputs.keys()
        ]
        if is_looked_up:
            problems += [Problem(name, _NOT_LOOKED_UP) for name in inputs.keys() - {CLUSTER}]
        if problems:
            raise pulumi.RunError(str(SpecError(subject, problems)))
        owner = {} if is_looked_up else {OWNER: stack_owner()}
        props: dict[str, Any] = {**dict.fromkeys(outputs), **inputs, **owner}
        super().__init__(_ProviderByName(), resource_name, props, opts)

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
        options = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(id=id))
        where: ModelServiceArgs = {} if cluster is None else {"cluster": cluster}
        return cls(resource_name, opts=options, **where)

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
    def namespace(self) -> pulumi.Output[str]:
        """Kubernetes namespace it lives in. Known at preview."""

    @property
    @pulumi.getter
    def endpoint(self) -> pulumi.Output[str]:
        """URL of the server, without a path. Known at preview."""

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

    @property
    @pulumi.getter
    def pod_template_hash(self) -> pulumi.Output[str]:
        """Changes exactly when pods will be replaced; empty when external. Known at preview."""

    @property
    @pulumi.getter
    def status(self) -> pulumi.Output[str]:
        """READY, CREATING, UPDATING, CREATE_FAILED and so on, STOPPED or DEGRADED."""

    @property
    @pulumi.getter
    def status_reason(self) -> pulumi.Output[str]:
        """Why the status is what it is; empty where there is nothing to say."""

    @property
    @pulumi.getter
    def created_at(self) -> pulumi.Output[str]:
        """When the service was created, as RFC 3339."""

    @property
    @pulumi.getter
    def last_updated_at(self) -> pulumi.Output[str]:
        """When the service was last changed, as RFC 3339."""

    @property
    @pulumi.getter
    def cluster_uid(self) -> pulumi.Output[str]:
        """UID of the cluster's kube-system namespace: which cluster it really runs on."""


def stack_owner() -> str:
    """Return to whom this stack's objects belong.

    ``modelfleet:fleet`` where configured, else ``<organization>/<project>/<stack>``.
    """
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    return pulumi.Config("modelfleet").get("fleet") or stack


def _layers(base: Any) -> list[Any]:
    if base is None:
        return []
    return [*base] if isinstance(base, list | tuple) else [base]


def _outputs_of(resource: type) -> list[str]:
    # What is not among a resource's initial properties never resolves.
    return [name for name, member in vars(resource).items() if inspect.isdatadescriptor(member)]
