"""What it takes to call a model with any client, as AgentRun tells it."""

from __future__ import annotations

from pydantic import Field

from modelfleet.agentrun.shapes import Shape


class BaseInfo(Shape):
    """An OpenAI-compatible address, and what belongs into every request to it.

    ``model`` is what is asked for where a call names no model, ``""`` where it has to.
    ``api_key`` is ``""`` where there is none, or none that may be read. ``address`` says how
    ``base_url`` was come by. Keys and headers do not show.
    """

    model: str | None = None
    api_key: str | None = Field(default=None, repr=False)
    base_url: str | None = None
    headers: dict[str, str] | None = Field(default=None, repr=False)
    provider: str | None = None
    address: str = ""
