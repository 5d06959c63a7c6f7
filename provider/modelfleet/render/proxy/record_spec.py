"""The spec of a ModelProxy as it is kept in the cluster: without a single secret. Pure."""

from __future__ import annotations

from typing import Any

from modelfleet.render.record_spec import EMPTY
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.tree import pruned


def proxy_record_spec_of(spec: ModelProxySpec) -> dict[str, Any]:
    """Return the declared fields of ``spec`` as JSON values, its keys emptied.

    The spec made of the result has the same names of keys, the same permissions and the same pods.
    """
    # Taken out before dumping: what is not there cannot leak through a change of pydantic's.
    without = {"api_keys": {name: {"key"} for name in spec.api_keys}}
    record: dict[str, Any] = spec.model_dump(mode="json", exclude_unset=True, exclude=without)
    for name, declared in spec.api_keys.items():
        if declared.key is not None:
            record["api_keys"][name]["key"] = EMPTY
    result: dict[str, Any] = pruned(record)
    return result
