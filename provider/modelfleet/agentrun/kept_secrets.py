"""The secrets that an update does not send: read back from where they live, and put in their place.

A record says that there is a secret and not what it is. What callers' keys are is known to nobody:
a cluster has their hashes, which stay. The one place of ``agentrun`` that reads Secrets of ours.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from modelfleet import labels
from modelfleet.cluster.client import Client
from modelfleet.cluster.mirror import Key, key_of
from modelfleet.cluster.objects import SECRET, Object, Ref
from modelfleet.errors import ConflictError, NotFoundError, Problem, SpecError
from modelfleet.gateway.keys_file import KEYS_FILE, KeyEntries, entries_in
from modelfleet.render.record_spec import EMPTY
from modelfleet.resource_types import ResourceSpec
from modelfleet.spec.fields import SecretName, secret_name_and_key
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.tree import Path, dotted, value_in, with_values

_API_KEY: Final[Path] = ("provider_settings", "api_key")
_SECRET_ENV: Final[Path] = ("deployment", "secret_env")

_REFERENCE: Final[TypeAdapter[str]] = TypeAdapter(SecretName)

_LOST: Final = "is not in the cluster any more; send it again"


@dataclass(frozen=True)
class KeptSecrets:
    """What the live Secrets of one resource hold: ``values`` by path, and callers' keys by hash."""

    values: Mapping[Path, str] = field(default_factory=dict, repr=False)
    keys: KeyEntries = ()


async def read_kept_secrets(client: Client, spec: ResourceSpec) -> KeptSecrets:
    """Return the secrets of the resource that was declared as ``spec``.

    Raises:
        ForbiddenError: no right to read Secrets.
        ConflictError: one was edited by hand, and cannot be read any more.
    """
    name = _keeper(spec)
    if name is None:
        return KeptSecrets()
    return kept_secrets_in(await client.get(Ref(SECRET, spec.namespace, name)), spec=spec)


def kept_secrets_in(live: Object | None, *, spec: ResourceSpec) -> KeptSecrets:
    """Return what the live Secret of a resource holds of what was declared as ``spec``."""
    texts = {
        key: base64.b64decode(text).decode(errors="replace")
        for key, text in ((live or {}).get("data") or {}).items()
    }
    if isinstance(spec, ModelProxySpec):
        return KeptSecrets(keys=_keys(texts.get(KEYS_FILE), spec))
    if spec.deployment is not None:
        return KeptSecrets({(*_SECRET_ENV, name): text for name, text in texts.items()})
    return KeptSecrets({_API_KEY: texts["api_key"]} if "api_key" in texts else {})


def _keeper(spec: ResourceSpec) -> str | None:
    """Return the name of the Secret with what was declared as secret, None where nothing was."""
    if isinstance(spec, ModelProxySpec):
        return labels.proxy_object_name(spec.name) if spec.api_keys else None
    if spec.deployment is not None:
        return labels.env_secret_name(spec.name) if spec.deployment.secret_env else None
    settings = spec.provider_settings
    has_key = settings is not None and settings.api_key is not None
    return labels.external_secret_name(spec.name) if has_key else None


async def read_secret(
    client: Client, reference: str, *, namespace: str, is_secret_of_others: Callable[[Key], bool]
) -> str:
    """Return the text in the Secret that ``reference`` names.

    A Secret of a resource for which ``is_secret_of_others`` holds is as good as missing.

    Raises:
        SpecError: it is not ``name`` or ``name/key`` of a Secret.
        NotFoundError: there is no such Secret, or no such key in it.
        ForbiddenError: no right to read Secrets.
    """
    try:
        name, key = secret_name_and_key(_REFERENCE.validate_python(reference))
    except ValidationError:
        problem = Problem("credential_name", "must be `name` or `name/key` of a Secret")
        raise SpecError(f"namespace {namespace}", [problem]) from None
    ref = Ref(SECRET, namespace, name)
    live = await client.get(ref)
    if live is None or is_secret_of_others(key_of(live)):
        hint = "Create it, or correct credential_name."
        raise NotFoundError(str(ref), "does not exist", status=404, hint=hint)
    data = live.get("data") or {}
    if key not in data:
        there = ", ".join(sorted(data)) or "none"
        raise NotFoundError(
            str(ref),
            f"has no key {key} (it has: {there})",
            status=404,
            hint="Write `name/key` to use another one.",
        )
    return base64.b64decode(data[key]).decode(errors="replace")


def with_kept(declaration: Mapping[str, Any], kept: KeptSecrets) -> dict[str, Any]:
    """Return ``declaration`` with every secret it only says to be there, as far as it is known."""
    missing = (path for path in _emptied(declaration) if path in kept.values)
    return with_values(declaration, {path: kept.values[path] for path in missing})


def lost_secrets(declaration: Mapping[str, Any], kept: KeptSecrets) -> Iterator[Problem]:
    """Yield a problem for every secret that ``declaration`` says to be there, and is not."""
    known = {entry.name for entry in kept.keys}
    for path in _emptied(declaration):
        if path not in kept.values:
            yield Problem(dotted(path), _LOST)
    for name in kept_key_names(declaration):
        if name not in known:
            yield Problem(dotted(("api_keys", name, "key")), _LOST)


def kept_key_names(declaration: Mapping[str, Any]) -> list[str]:
    """Return the names of the declared keys that a declaration only says to be there."""
    keys = map_at(declaration, ("api_keys",))
    return [name for name in keys if map_at(keys, (name,)).get("key") == EMPTY]


def map_at(tree: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """Return the map at ``path`` of a declaration that may be wrong; empty where there is none."""
    found = value_in(tree, path)
    return found if isinstance(found, Mapping) else {}


def _keys(text: str | None, spec: ModelProxySpec) -> KeyEntries:
    try:
        return () if text is None else entries_in(text, spec=spec)
    except (ValueError, KeyError, TypeError, AttributeError):
        name = labels.proxy_object_name(spec.name)
        raise ConflictError(
            f"Secret {spec.namespace}/{name}",
            f"its {KEYS_FILE} cannot be read: it was edited by hand",
            status=409,
            hint="Delete it, and update the proxy with all of its api_keys.",
        ) from None


def _emptied(declaration: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the paths of secrets whose value a declaration does not hold, callers' keys aside."""
    if value_in(declaration, _API_KEY) == EMPTY:
        yield _API_KEY
    for name, value in map_at(declaration, _SECRET_ENV).items():
        if value == EMPTY:
            yield (*_SECRET_ENV, name)
