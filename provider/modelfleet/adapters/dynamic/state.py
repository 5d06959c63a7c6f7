"""What stands in the Pulumi state of a resource, and what each key is.

Three groups share one flat bag: what the user declared, what ``check`` could already say, and
what only the cluster knows. Property names and shapes are frozen: a state of any release must
stay readable (``migrate``). Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from pulumi.dynamic.dynamic import PROVIDER_KEY

from modelfleet.adapters.dynamic.secrets_wire import secret
from modelfleet.errors import ConfigError
from modelfleet.gateway.generated_keys import GeneratedKeys
from modelfleet.gateway.keys_file import KeyEntry
from modelfleet.plan import Rendered
from modelfleet.render import FIRST_RENDERER
from modelfleet.resource_types import MODEL_PROXY, MODEL_SERVICE, ResourceType
from modelfleet.service import Service
from modelfleet.spec import tree
from modelfleet.spec.tree import Path

Props = Mapping[str, Any]

POD_TEMPLATE_HASH: Final = "pod_template_hash"
RENDERER: Final = "renderer_version"

OUTPUTS: Final = (
    "status",
    "status_reason",
    "created_at",
    "last_updated_at",
    "cluster_uid",
    "incarnation",
    "schema_version",
)
"""What only a live resource has."""

GENERATED_KEYS: Final = "generated_keys"
FORMER_KEYS: Final = "former_keys"

OWNER: Final = "owner"
DRIFT: Final = "drift"

_NOT_INPUTS: Final = frozenset({*OUTPUTS, GENERATED_KEYS, FORMER_KEYS})
_NOT_DECLARED: Final = frozenset({*_NOT_INPUTS, OWNER, DRIFT, PROVIDER_KEY})


def declaration_of(props: Mapping[str, Any], *, of: ResourceType = MODEL_SERVICE) -> dict[str, Any]:
    """Return what the user declared, out of checked inputs or out of a state."""
    left_out = {*_NOT_DECLARED, *of.planned}
    return {key: value for key, value in props.items() if key not in left_out}


def inputs_of(props: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checked inputs that a state was made from.

    The first renderer is not named in them, as it was not while there was no other: an input that
    is new would be a change of every service, on the day modelfleet is upgraded.
    """
    is_first = props.get(RENDERER) == FIRST_RENDERER
    left_out = {*_NOT_INPUTS, DRIFT, *([RENDERER] if is_first else [])}
    return {key: value for key, value in props.items() if key not in left_out}


def renderer_of(props: Mapping[str, Any]) -> int:
    """Return the renderer that checked inputs or a state name."""
    return int(props.get(RENDERER, FIRST_RENDERER))


def with_renderer(
    inputs: Mapping[str, Any], renderer_version: int, *, of: ResourceType = MODEL_SERVICE
) -> dict[str, Any]:
    """Return checked ``inputs`` as that renderer, of a run whose state was lost, made them."""
    if renderer_version == renderer_of(inputs):
        return dict(inputs)
    made = {**inputs, RENDERER: renderer_version}
    return inputs_of(made | {POD_TEMPLATE_HASH: _planned_of(made, of)[POD_TEMPLATE_HASH]})


def rendered_of(props: Mapping[str, Any]) -> Rendered | None:
    """Return what checked inputs or a state say that runs, None where there is no service yet."""
    template_hash = props.get(POD_TEMPLATE_HASH)
    return None if template_hash is None else Rendered(renderer_of(props), str(template_hash))


def with_values(
    inputs: Mapping[str, Any], values: Mapping[Path, Any], *, of: ResourceType = MODEL_SERVICE
) -> dict[str, Any]:
    """Return checked ``inputs`` with ``values`` at their paths, and with what follows.

    What another release of modelfleet made of the inputs stays: a preview is to show that.
    """
    changed = tree.with_values(inputs, values)
    before, after = (_planned_of(each, of) for each in (inputs, changed))
    return changed | {name: after[name] for name in after if inputs.get(name) == before.get(name)}


def _planned_of(inputs: Mapping[str, Any], of: ResourceType) -> dict[str, Any]:
    spec = of.model.model_validate(tree.pruned(declaration_of(inputs, of=of)))
    planned: dict[str, Any] = of.planned_of(spec, renderer_version=renderer_of(inputs))
    return planned


def generated_keys_in(olds: Mapping[str, Any]) -> GeneratedKeys:
    """Return the keys that a state holds."""
    former = olds.get(FORMER_KEYS) or []
    return GeneratedKeys(
        dict(olds.get(GENERATED_KEYS) or {}), tuple(KeyEntry(**each) for each in former)
    )


def lacks_keys(declaration: Mapping[str, Any], olds: Mapping[str, Any]) -> bool:
    """Return whether keys are to be made that a state has not: it was imported, which has none."""
    made = olds.get(GENERATED_KEYS)
    declared = declaration.get("api_keys")
    if made is None or not isinstance(declared, Mapping):
        return False
    return any(
        isinstance(each, Mapping) and each.get("generate") is not None and name not in made
        for name, each in declared.items()
    )


def key_outputs_of(keys: GeneratedKeys, *, of: ResourceType) -> dict[str, Any]:
    """Return the outputs of a ModelProxy that hold its generated keys, the keys as secrets."""
    if of is not MODEL_PROXY:
        return {}
    return {
        GENERATED_KEYS: secret(dict(keys.keys)),
        FORMER_KEYS: [asdict(each) for each in keys.former],
    }


def outputs_of(service: Service, *, renderer_version: int = FIRST_RENDERER) -> dict[str, Any]:
    """Return the outputs that only the live ``service`` knows.

    The schema is the oldest that can say which renderer made its pods: what did not change can be
    read by the release that wrote it, and a refresh after an upgrade finds nothing new.
    """
    return {
        "status": service.status,
        "status_reason": service.status_reason,
        "created_at": service.created_at,
        "last_updated_at": service.last_updated_at,
        "cluster_uid": service.cluster_uid,
        "incarnation": service.incarnation,
        "schema_version": 1 if renderer_version == FIRST_RENDERER else 2,
    }


def _with_the_first_renderer(props: Props) -> Props:
    return {RENDERER: FIRST_RENDERER, **props}


STEPS: Final[Mapping[int, Callable[[Props], Props]]] = {
    1: _with_the_first_renderer,
}
"""By schema version, how a state of it becomes one of the next. Add, never edit.

Checked inputs alone carry no version, so a step leaves alone what it finds done.
"""

SCHEMA_VERSION: Final = max(STEPS) + 1


def migrate(props: Mapping[str, Any], *, of: ResourceType = MODEL_SERVICE) -> dict[str, Any]:
    """Return a state, or checked inputs, of any known schema in the shape of this release.

    Raises:
        ConfigError: the state was written by a newer release.
    """
    what = str(props.get(of.id_field, f"this {of.kind}"))
    _refuse_newer(what, "schema", version=int(props.get("schema_version", 1)), known=SCHEMA_VERSION)
    for version in range(int(props.get("schema_version", 1)), SCHEMA_VERSION):
        props = STEPS[version](props)
    _refuse_newer(what, "renderer", version=renderer_of(props), known=of.renderer_version)
    return dict(props)


def _refuse_newer(what: str, aspect: str, *, version: int, known: int) -> None:
    if version > known:
        raise ConfigError(
            f"The state of {what} has {aspect} version {version}; this release of modelfleet "
            f"knows up to {known}.",
            hint="Upgrade modelfleet to at least the release that wrote it.",
        )
