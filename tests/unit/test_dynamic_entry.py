"""The references to our providers that stand in states are frozen."""

from __future__ import annotations

import base64
import inspect
import json
from pathlib import Path

import dill
import pytest
from pulumi.dynamic import ResourceProvider
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime._serialization import _serialize

from modelfleet import dynamic_entry

# One per provider and release that changed it. Add, never edit.
RECORDED: dict[str, str] = json.loads(
    (Path(__file__).parent.parent / "fixtures" / "provider-blobs.json").read_text()
)
FACTORIES = [
    name
    for name, member in vars(dynamic_entry).items()
    if inspect.isfunction(member) and member.__module__ == dynamic_entry.__name__
]


@pytest.mark.parametrize("recorded", RECORDED.values(), ids=RECORDED)
def test_every_reference_ever_written_still_finds_its_provider(recorded: str) -> None:
    provider = dill.loads(base64.b64decode(recorded))  # noqa: S301 (our own fixture)
    assert isinstance(provider, ResourceProvider)


@pytest.mark.parametrize("factory", FACTORIES)
def test_what_is_written_today_is_among_the_recorded_references(factory: str) -> None:
    provider = getattr(dynamic_entry, factory)()
    written, contains_secrets = _serialize(True, serialize_provider, provider)
    assert written in RECORDED.values()
    assert not contains_secrets
    assert not provider.serialize_as_secret_always
