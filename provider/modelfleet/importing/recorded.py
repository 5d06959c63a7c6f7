"""What modelfleet made, as the declaration in its record. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from modelfleet.cluster.objects import Object, ref_of
from modelfleet.cluster.records import Record
from modelfleet.errors import ConflictError
from modelfleet.importing.defaults import without_defaults
from modelfleet.importing.imported import Imported
from modelfleet.resource_types import ResourceSpec, type_of
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.tree import pruned


def recorded_declaration(primary: Object, record: Record, *, owner: str | None) -> Imported:
    """Return what the ``record`` on ``primary`` declares, defaults left out and secrets empty.

    ``owner`` is who is going to have it, None for whoever has it now; another one has to adopt it.

    Raises:
        ConflictError: the record declares what this modelfleet does not know.
    """
    of = type_of(record.kind)
    try:
        spec = of.model.model_validate(record.spec)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise ConflictError(
            str(ref_of(primary)),
            f"its record declares what this modelfleet does not know ({where}: {first['msg']})",
            hint="It was made by another release; import it with that one, or with a newer one.",
        ) from None
    declared = {key: value for key, value in record.spec.items() if key != "adopt"}
    declaration = without_defaults(pruned(_whole_numbers(declared)), of.model)
    if owner is not None and owner != record.owner:
        declaration["adopt"] = True
    return Imported(declaration, source=str(record), of=of, notes=tuple(_notes(spec)))


def _notes(spec: ResourceSpec) -> Iterator[str]:
    """Yield what to know of keys that were made: only the state that is lost has them."""
    if not isinstance(spec, ModelProxySpec):
        return
    made = sorted(name for name, key in spec.api_keys.items() if key.generate is not None)
    if made:
        yield (
            f"of the keys that modelfleet made ({', '.join(made)}) the cluster has only hashes: "
            "the next up makes new ones, and those in use are refused from then on"
        )


def _whole_numbers(tree: Any) -> Any:
    """Return ``tree`` with 2.0 as 2: a Pulumi program sends every number as a float."""
    if isinstance(tree, Mapping):
        return {key: _whole_numbers(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_whole_numbers(item) for item in tree]
    return int(tree) if isinstance(tree, float) and tree.is_integer() else tree
