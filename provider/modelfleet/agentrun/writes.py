"""What a create or update makes of a resource: checked whole before anything is written. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from modelfleet.agentrun.kept_secrets import (
    KeptSecrets,
    kept_key_names,
    lost_secrets,
    map_at,
    with_kept,
)
from modelfleet.agentrun.proxy_keys import ProxyKeys, proxy_keys_of
from modelfleet.agentrun.scope import Scope
from modelfleet.cluster.records import Record
from modelfleet.desired import Desired, new_incarnation
from modelfleet.diff import diff
from modelfleet.errors import Problem, SpecError
from modelfleet.gateway.keys_file import sha256_of
from modelfleet.plan import Rendered, plan
from modelfleet.render.record_spec import EMPTY
from modelfleet.resource_types import ResourceSpec, ResourceType, type_of
from modelfleet.spec.fields import ChangeClass
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.tree import Path, dotted, pruned, with_values

_FIXED: Final = "is fixed once the resource is made; delete it, and create it anew"
_HOSTED: Final = (
    "a service that runs here cannot become one that runs elsewhere, nor the other way round; "
    "delete it, and create it anew"
)


@dataclass(frozen=True)
class Write:
    """What is to be applied, and the keys that are made with it, in plain text by name."""

    desired: Desired
    made_keys: Mapping[str, str] = field(default_factory=dict, repr=False)


def creation_of(declaration: Mapping[str, Any], *, kind: str, scope: Scope) -> Write:
    """Return the creation of what is declared, in the name of ``scope``.

    Raises:
        SpecError: with every problem of the declaration.
    """
    of = type_of(kind)
    planned = plan(declaration, of=of)
    _refuse(planned.problems, declaration, of=of)
    spec = of.model.model_validate(pruned(planned.inputs))
    keys = proxy_keys_of(spec) if isinstance(spec, ModelProxySpec) else ProxyKeys()
    desired = Desired(
        spec=spec,
        owner=scope.owner,
        incarnation=new_incarnation(),
        renderer_version=planned.values["renderer_version"],
        keys=keys.entries,
    )
    return Write(desired, keys.made)


def change_of(
    record: Record, declaration: Mapping[str, Any], *, kept: KeptSecrets, scope: Scope
) -> Write:
    """Return the update of the recorded resource to ``declaration``, in the name of ``scope``.

    Secrets that ``declaration`` only says to be there are those that are ``kept``.

    Raises:
        SpecError: with every problem of the declaration, and what cannot be changed about it.
    """
    of = type_of(record.kind)
    before = with_kept(record.spec, kept)
    after = with_kept(_without_engine_of(before, declaration), kept)
    prior = of.model.model_validate(before)
    running = Rendered(
        record.renderer_version,
        of.template_hash(prior, renderer_version=record.renderer_version),
    )
    stand_ins: dict[Path, Any] = {
        ("api_keys", name, "key"): secrets.token_urlsafe(16) for name in kept_key_names(after)
    }
    planned = plan(with_values(after, stand_ins), of=of, prior=before, rendered=running)
    problems = [
        *lost_secrets(after, kept),
        *planned.problems,
        *(() if planned.problems else _same_keys(after, kept)),
        *_replacements(before, planned.inputs, of=of),
    ]
    _refuse(problems, after, of=of)
    inputs = with_values(planned.inputs, dict.fromkeys(stand_ins, EMPTY))
    spec = of.model.model_validate(pruned(inputs))
    keys = _keys_of(spec, prior=prior, kept=kept)
    is_ours = record.owner == scope.owner
    desired = Desired(
        spec=spec,
        owner=scope.owner,
        incarnation=record.incarnation,
        urn=record.urn if is_ours else "",
        former_owner=None if is_ours else record.owner,
        prior=prior,
        renderer_version=planned.values["renderer_version"],
        prior_renderer_version=record.renderer_version,
        keys=keys.entries,
        prior_keys=kept.keys,
    )
    return Write(desired, keys.made)


def _keys_of(spec: ResourceSpec, *, prior: ResourceSpec, kept: KeptSecrets) -> ProxyKeys:
    if not isinstance(spec, ModelProxySpec) or not isinstance(prior, ModelProxySpec):
        return ProxyKeys()
    return proxy_keys_of(spec, prior=prior, before=kept.keys)


def _without_engine_of(
    before: Mapping[str, Any], declaration: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return ``declaration`` without the version that was fixed for another engine than its own."""
    was, is_to_be = (map_at(tree, ("deployment",)) for tree in (before, declaration))
    is_same_engine = was.get("runtime") == is_to_be.get("runtime")
    if is_same_engine or was.get("runtime_version") != is_to_be.get("runtime_version"):
        return declaration
    return with_values(declaration, {("deployment", "runtime_version"): None})


def _same_keys(declaration: Mapping[str, Any], kept: KeptSecrets) -> Iterator[Problem]:
    """Yield a problem for each key that is sent, and is one that another caller has."""
    staying = set(kept_key_names(declaration))
    known = {entry.sha256: entry.name for entry in kept.keys if entry.name in staying}
    keys = map_at(declaration, ("api_keys",))
    for name in keys:
        key = map_at(keys, (name,)).get("key")
        other = known.get(sha256_of(key)) if isinstance(key, str) else None
        if other is not None:
            told = f"is the same key as that of {other}; give each caller its own"
            yield Problem(dotted(("api_keys", name, "key")), told)


def _replacements(
    before: Mapping[str, Any], after: Mapping[str, Any], *, of: ResourceType
) -> Iterator[Problem]:
    for change in diff(before, after, of=of):
        if change.change is ChangeClass.REPLACE:
            is_hosted = change.path == "deployment"
            yield Problem(change.path, _HOSTED if is_hosted else _FIXED)


def _refuse(problems: Any, declaration: Mapping[str, Any], *, of: ResourceType) -> None:
    if problems:
        place = f"{declaration.get('namespace', 'default')}/{declaration.get(of.name_field, '')}"
        raise SpecError(f"{of.kind} {place}", problems)
