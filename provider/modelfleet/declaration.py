"""From what a program passes to what is registered: bases merged, every secret in its place.

Outputs may stand at any depth, a whole base or ``deployment`` included. Secrets stay secret, and
stand only where they do not end up in plain text in a cluster. Registers nothing.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from typing import Any, Final

import pulumi
from pulumi.output import Unknown, contains_unknowns

from modelfleet.errors import Problem, SpecError
from modelfleet.spec.fields import ANY
from modelfleet.spec.merge import merged
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.refused import reason_for
from modelfleet.spec.service import ModelServiceSpec
from modelfleet.spec.tree import Path, dotted

Model = type[ModelServiceSpec] | type[ModelProxySpec]

ENV: Final[Path] = ("deployment", "env")
SECRET_ENV: Final[Path] = ("deployment", "secret_env")

SECRET_PLACES: Final = {
    ModelServiceSpec: "the values of deployment.env and deployment.secret_env and "
    "provider_settings.api_key",
    ModelProxySpec: "api_keys.*.key",
}


def misplaced(model: Model) -> str:
    """Return what is said of a secret in a field that is none."""
    return (
        f"is a secret, and would stand in plain text in the cluster; only {SECRET_PLACES[model]} "
        "may be secrets (pulumi.Output.unsecret() if it is none)"
    )


def misplaced_whole(model: Model) -> str:
    """Return what is said of a secret that is a whole map or list."""
    return (
        "is a secret as a whole, and would stand in plain text in the cluster; make only "
        f"{SECRET_PLACES[model]} secrets (pulumi.Output.unsecret() if it holds none)"
    )


def registered_inputs(
    layers: Sequence[Any],
    *,
    defaults: Mapping[str, Any],
    subject: str,
    model: Model = ModelServiceSpec,
) -> dict[str, Any]:
    """Return the inputs to register for the partial specs ``layers``, the last one winning.

    Each layer is a mapping, or an Output or awaitable of one. Inputs that depend on an Output are
    futures; a future fails with ``pulumi.RunError`` that names every secret of the declaration
    that stands where it cannot be kept. The layers are not changed.
    """
    promised = _promised_fields(layers, model)
    plain = [layer for layer in layers if isinstance(layer, Mapping)]
    prompt = merged(*(_without(layer, promised) for layer in plain))
    inputs = {**defaults, **_secrets_marked(prompt, model)}
    if promised:
        kept = asyncio.ensure_future(_kept(layers, fields=promised, subject=subject, model=model))
        for field in promised:
            inputs[field] = asyncio.ensure_future(_field(kept, field, defaults.get(field)))
    return inputs


async def _kept(
    layers: Sequence[Any], *, fields: set[str], subject: str, model: Model
) -> dict[str, Any]:
    """Return the merged declaration of ``fields``, once every promise in it is kept."""
    opening = _Opening(model)
    opened = [await opening.layer(layer, fields=fields) for layer in layers]
    declaration = merged(*opened, is_unknown=opening.is_unknown)
    problems = [*opening.problems]
    if isinstance(deployment := declaration.get("deployment"), Mapping):
        declaration["deployment"], twice = await _secret_env_apart(deployment, opening)
        problems += twice
    problems += await _misplaced_secrets(declaration, model)
    if problems:
        # The one exception that the program's host shows as a sentence, not as a traceback.
        raise pulumi.RunError(str(SpecError(subject, problems)))
    return _secrets_marked(declaration, model)


async def _field(kept: Awaitable[Mapping[str, Any]], field: str, default: Any) -> Any:
    return (await kept).get(field, default)


class _Opening:
    """Keeps promises: what is opened has plain mappings and lists, and Outputs as leaves only.

    Dependencies and secrecy of an Output go down to the leaves that come out of it.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self.problems: list[Problem] = []
        self._unknown: set[pulumi.Output[Any]] = set()

    def is_unknown(self, value: object) -> bool:
        """Return whether ``value`` is a leaf whose content this preview cannot know."""
        return isinstance(value, pulumi.Output) and value in self._unknown

    async def layer(self, layer: Any, *, fields: set[str]) -> dict[str, Any]:
        """Return ``fields`` of a layer, opened."""
        if isinstance(layer, Mapping):
            return {key: await self.opened(layer[key], (key,)) for key in layer if key in fields}
        opened = await self.opened(layer, ())
        if self.is_unknown(opened):
            return {key: await self.opened(opened[key], (key,)) for key in fields}
        if not isinstance(opened, Mapping):
            self.problems.append(Problem("base", "must be a map of fields"))
            return {}
        for key in opened.keys() - fields:
            self.problems.append(Problem(key, reason_for(key, known=fields)))
        return dict(opened)

    async def opened(self, value: Any, path: Path) -> Any:
        """Return ``value``, which stands at ``path``, opened."""
        if isinstance(value, pulumi.Output):
            return await self._opened_output(value, path)
        if inspect.isawaitable(value):
            return await self.opened(await value, path)
        if isinstance(value, Mapping):
            return {key: await self.opened(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [await self.opened(item, (*path, at)) for at, item in enumerate(value)]
        return value

    async def _opened_output(self, output: pulumi.Output[Any], path: Path) -> Any:
        content: Any = await output.future(with_unknowns=True)
        known = await output.is_known() or contains_unknowns(content)
        if not known or isinstance(content, Unknown):
            self._unknown.add(output)
            return output
        if not isinstance(content, Mapping | list | tuple):
            return None if content is None else output
        if await output.is_secret() and path not in (ENV, SECRET_ENV):
            self.problems.append(Problem(dotted(path) or "base", misplaced_whole(self._model)))
            output = pulumi.Output.unsecret(output)  # said once, not again for every leaf
        if isinstance(content, Mapping):
            return await self.opened({key: output[key] for key in content}, path)
        return await self.opened([output[at] for at in range(len(content))], path)


async def _secret_env_apart(
    deployment: Mapping[str, Any], opening: _Opening
) -> tuple[dict[str, Any], list[Problem]]:
    """Return ``deployment`` with the secrets of ``env`` in ``secret_env``, and what stands in both.

    An ``env`` that is secret as a whole and not known yet moves as a whole.
    """
    env = deployment.get("env")
    if await _is_secret(env):
        secret, plain = env, None
    elif isinstance(env, Mapping):
        secret = {name: env[name] for name in env if await _is_secret(env[name])}
        plain = _without(env, secret)
    else:
        return dict(deployment), []
    present = deployment.get("secret_env") or {}
    twice = [
        Problem(dotted((*ENV, name)), "stands in secret_env too; keep one of them")
        for name in _keys(secret) & _keys(present)
    ]
    both = merged({"all": secret}, {"all": present}, is_unknown=opening.is_unknown)["all"]
    result = _without(deployment, ("env", "secret_env"))
    return result | {name: v for name, v in (("env", plain), ("secret_env", both)) if v}, twice


async def _misplaced_secrets(declaration: Mapping[str, Any], model: Model) -> list[Problem]:
    return [
        Problem(dotted(path), misplaced(model))
        for path, leaf in _leaves(declaration)
        if not any(_leads_to(secret, path) for secret in model.secrets) and await _is_secret(leaf)
    ]


def _leads_to(secret: tuple[str, ...], path: Path) -> bool:
    """Return whether ``path`` is that of a secret, or of a value in a map of secrets."""
    steps = zip(secret, path, strict=False)
    return len(path) >= len(secret) and all(own in (ANY, step) for own, step in steps)


def _secrets_marked(declaration: Mapping[str, Any], model: Model) -> dict[str, Any]:
    """Return ``declaration`` with whatever stands in a secret field marked as a secret."""
    result = dict(declaration)
    for path in model.secrets:
        result = _marked(result, path)
    return result


def _marked(tree: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    step, *rest = path
    result = dict(tree)
    for name in result if step == ANY else [step]:
        value = result.get(name)
        if not rest and value is not None:
            result[name] = _secret(value)
        elif isinstance(value, Mapping):
            result[name] = _marked(value, tuple(rest))
    return result


def _secret(value: Any) -> Any:
    # Value by value: the names of the variables stay readable in a preview.
    if isinstance(value, Mapping):
        return {key: pulumi.Output.secret(item) for key, item in value.items()}
    return pulumi.Output.secret(value)


async def _is_secret(value: Any) -> bool:
    return isinstance(value, pulumi.Output) and await value.is_secret()


def _promised_fields(layers: Sequence[Any], model: Model) -> set[str]:
    """Return the top-level fields that cannot be told without waiting for something."""
    fields = {key for layer in layers if isinstance(layer, Mapping) for key in layer}
    if all(isinstance(layer, Mapping) for layer in layers):
        return {key for key in fields if any(_promises(layer.get(key)) for layer in layers)}
    return fields | set(model.model_fields)


def _promises(value: Any) -> bool:
    if isinstance(value, pulumi.Output) or inspect.isawaitable(value):
        return True
    if isinstance(value, Mapping):
        return any(map(_promises, value.values()))
    return isinstance(value, list | tuple) and any(map(_promises, value))


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list | tuple):
        for at, item in enumerate(value):
            yield from _leaves(item, (*path, at))
    else:
        yield path, value


def _without(mapping: Mapping[str, Any], keys: Any) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in keys}


def _keys(value: Any) -> set[str]:
    return set(value) if isinstance(value, Mapping) else set()
