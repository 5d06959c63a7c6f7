"""One service as the fields of an answer are read from it: its entry, and the pods it declares.

The pods are rendered, not read: what is known of them is the same before and after they run. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from modelfleet import labels
from modelfleet.catalogue import Entry
from modelfleet.engines import Launch, launch_of
from modelfleet.render import RENDERER_VERSION, pod_template_of
from modelfleet.spec.deployment import DeploymentSpec
from modelfleet.spec.hardware import Gpu
from modelfleet.spec.service import ModelServiceSpec

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Described:
    """One entry of the catalogue that is a ModelService.

    Whatever depends on a declaration is None where its record cannot be read; whatever depends on
    pods is None for an external service, and where a newer release made them.
    """

    entry: Entry

    @cached_property
    def spec(self) -> ModelServiceSpec | None:
        """What was declared."""
        spec = self.entry.spec
        return spec if isinstance(spec, ModelServiceSpec) else None

    @cached_property
    def deployment(self) -> DeploymentSpec | None:
        """How it runs here."""
        return self.spec.deployment if self.spec else None

    @property
    def gpu(self) -> Gpu | None:
        """The GPUs of one pod."""
        return self.deployment.gpu if self.deployment else None

    @cached_property
    def launch(self) -> Launch | None:
        """The engine's process, before anything of the pod is overridden."""
        return launch_of(self.spec) if self.spec and self.container is not None else None

    @cached_property
    def container(self) -> Object | None:
        """The engine's container, overrides and all."""
        record = self.entry.record
        if self.spec is None or self.deployment is None or record is None:
            return None
        if not 1 <= record.renderer_version <= RENDERER_VERSION:
            return None
        template = pod_template_of(self.spec, renderer_version=record.renderer_version)
        containers = template["spec"].get("containers") or ()
        return next((each for each in containers if each["name"] == labels.ENGINE_CONTAINER), None)

    @property
    def requests(self) -> Object:
        """What the engine's container requests, quantities by resource; empty if not known."""
        resources = (self.container or {}).get("resources") or {}
        requests = resources.get("requests")
        return requests if isinstance(requests, Mapping) else {}
