"""What differs between environments: which models, which GPUs, how many replicas, which cluster.

Read from ``fleet:environment`` in Pulumi.<stack>.yaml and checked before any service is declared.
All mistakes are told at once, each by the configuration key it stands under. Declares nothing.
"""

from __future__ import annotations

from typing import Self

import pulumi
from pydantic import BaseModel, ConfigDict, Field, ValidationError

CONFIG_KEY = "environment"


class Section(BaseModel):
    """A part of the configuration. An unknown key is a mistake: a typo is not to be ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Hosted(Section):
    """What one service of ours serves, such as hf://Qwen/Qwen3-8B, and how many times."""

    model: str = Field(pattern=r"^\w+://")
    replicas: int = Field(1, ge=0)


class HostedOnCpus(Hosted):
    """A service without GPUs, and how many cores each replica may count on."""

    cpu: float = Field(8, gt=0)


class Services(Section):
    """The services that run on Kubernetes."""

    chat: Hosted
    code: Hosted
    embeddings: Hosted
    rerank: Hosted
    titles: HostedOnCpus
    titles_next: HostedOnCpus


class Gpus(Section):
    """GPU products, as the nodes of the cluster are labelled with (nvidia.com/gpu.product)."""

    large: str = Field(min_length=1)
    small: str = Field(min_length=1)


class External(Section):
    """A provider elsewhere.

    Its key is an existing Secret (``credential_name``), or the stack's secret ``frontier_key``.
    """

    base_url: str = Field(pattern=r"^https://")
    model_names: list[str] = Field(min_length=1)
    credential_name: str | None = None


class Front(Section):
    """The gateway in front of the services: its size, and which public names it has here."""

    names: list[str] = Field(min_length=1)
    replicas: int = Field(1, ge=0)
    cpu: float = Field(1, gt=0)
    memory: int = Field(2048, ge=512)


class Environment(Section):
    """One environment. ``cluster`` is a name in modelfleet:clusters; unset = the one at hand."""

    services: Services
    gpus: Gpus
    frontier: External
    front: Front
    cluster: str = "default"
    namespace: str = "models"

    @classmethod
    def of_this_stack(cls) -> Self:
        """Return the environment of the running stack.

        Raises pulumi.RunError, which Pulumi shows as it is, with every mistake.
        """
        key = pulumi.Config().full_key(CONFIG_KEY)
        try:
            environment = cls.model_validate(pulumi.Config().get_object(CONFIG_KEY) or {})
        except ValidationError as error:
            mistakes = [
                f"{'.'.join([key, *map(str, each['loc'])])}: {each['msg']}"
                for each in error.errors()
            ]
        else:
            mistakes = _cluster_mistakes(environment.cluster, key=f"{key}.cluster")
        if mistakes:
            file = f"stacks/Pulumi.{pulumi.get_stack()}.yaml"
            raise pulumi.RunError("\n  ".join([f"{file} is wrong:", *mistakes]))
        return environment


def _cluster_mistakes(name: str, *, key: str) -> list[str]:
    """Return what is wrong with a cluster's name, at preview rather than in the middle of an up."""
    known = {"default", *(pulumi.Config("modelfleet").get_object("clusters") or {})}
    if name in known:
        return []
    return [f"{key}: {name} is none of {', '.join(sorted(known))}; add it to modelfleet:clusters"]
