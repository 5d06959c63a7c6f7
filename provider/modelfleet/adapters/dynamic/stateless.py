"""Base class of our dynamic providers.

The SDK pickles the provider object into the inputs and outputs of every resource. So the object
has no state, and pickles into the name of a factory: the blob is the same for ever, whatever
changes behind it, and the code that is installed is the code that runs. What a process needs once
(threads, an end when the engine ends, the stack's configuration) is set up in ``configure``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from pulumi.dynamic import Config, ConfigureRequest, ResourceProvider

from modelfleet.adapters.dynamic.engine_link import end_with_engine
from modelfleet.adapters.dynamic.pool import widen_pool

_NAMESPACE = "modelfleet"


class StatelessProvider(ResourceProvider, ABC):
    """A provider whose pickle never changes; subclasses write the verbs."""

    # The blob holds no secret, and encrypting it would cost every read and write of the state.
    serialize_as_secret_always = False

    _stack_config: Config | None = None

    @abstractmethod
    def __reduce__(self) -> Any:
        """Return ``(factory, ())``: a function of ``dynamic_entry``, whose path never changes."""

    def configure(self, req: ConfigureRequest) -> None:
        """Prepare the process. The SDK calls this once per process, before the first verb."""
        self._stack_config = req.config
        widen_pool()
        end_with_engine()

    def config(self, key: str) -> str | None:
        """Return the stack's ``modelfleet:<key>``, None where it is not set.

        Structured values come as JSON text, secrets as plain text.
        """
        value = self._stack_config.get(f"{_NAMESPACE}:{key}") if self._stack_config else None
        return None if value is None else str(value)
