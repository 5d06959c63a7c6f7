"""Declarations that tests of planning and comparing share: small, varied, and with unknowns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import strategies as st

from modelfleet.spec.merge import merged
from modelfleet.spec.tree import Path

HOSTED: dict[str, Any] = {
    "model_service_name": "qwen",
    "deployment": {"model": {"uri": "hf://org/model"}, "runtime_version": "v0.11.0"},
}
EXTERNAL: dict[str, Any] = {
    "model_service_name": "qwen",
    "provider_settings": {"base_url": "https://api.example.com/v1"},
}
FULL_RUNTIME = {"name": "engine", "image": "registry.example.com/engine:1"}


class Unknown:
    """Like Pulumi's: truthy, equal to nothing."""

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 1


UNKNOWN = Unknown()


def is_unknown(value: object) -> bool:
    return isinstance(value, Unknown)


def hosted(fields: Mapping[str, Any] | None = None, **others: Any) -> dict[str, Any]:
    """Return a hosted declaration with ``fields`` in its deployment."""
    return merged(HOSTED, {"deployment": fields or {}}, others)


def external(settings: Mapping[str, Any] | None = None, **others: Any) -> dict[str, Any]:
    return merged(EXTERNAL, {"provider_settings": settings or {}}, others)


_SHARED: dict[str, list[Any]] = {
    "workspace_id": ["w", "team-1"],
    "description": ["a", "b"],
    "tags": [{}, {"team": "a"}],
    "wait": [{}, {"until": "all", "timeout_seconds": 5}],
    "adopt": [True, False],
    "model_type": ["llm", "rerank"],
}
_DEPLOYMENT: dict[str, list[Any]] = {
    "replicas": [0, 1, 2, 3.0],
    "model": [{"uri": "hf://org/model"}, {"uri": "hf://org/other", "revision": "main"}],
    "runtime": ["vllm", FULL_RUNTIME, {**FULL_RUNTIME, "port": 9000, "args": ["--x"]}],
    "args": [{}, {"max-num-seqs": 64}, {"max-num-seqs": 64.0, "enforce-eager": True}],
    "env": [{}, {"A": "1"}, {"A": 2, "B": {"secret": "s/k"}}],
    "secret_env": [{}, {"C": "hush"}, {"C": "other", "D": "hush"}],
    "gpu": [{}, {"count": 2, "product": "NVIDIA-L4"}, {"vendor": "amd", "count": 1.0}],
    "cpu": [4, 2, 4.5],
    "startup_seconds": [1800, 1801, 60],
    "drain_seconds": [0, 60],
    "strategy": [{}, {"type": "recreate"}, {"max_surge": 0}, {"max_unavailable": 0}],
    "node_selector": [{}, {"pool": "a"}],
    "tolerations": [[], [{"key": "a"}], [{"key": "a"}, {"key": "b"}]],
    "affinity": [{}, {"podAffinity": {"x": [1.0, {"y": None}]}}],
    "max_model_len": [8192, 16384.0],
    "images": [{}, {"default": "registry.example.com/a:1"}],
}


def _choices(fields: Mapping[str, list[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {}, optional={name: st.sampled_from(values) for name, values in fields.items()}
    )


hosted_declarations = st.builds(
    lambda fields, names, others: hosted(
        {"runtime_version": None if isinstance(fields.get("runtime"), dict) else "v0.11.0"}
        | {"gpu": {}}
        | fields,
        provider_settings={"model_names": names},
        **others,
    ),
    _choices(_DEPLOYMENT),
    st.sampled_from([[], ["alias"], ["w/qwen", "alias"]]),
    _choices(_SHARED),
)
external_declarations = st.builds(
    lambda key, others: external(key, **others),
    st.sampled_from([{}, {"api_key": "hush"}, {"model_names": ["a"]}]),
    _choices(_SHARED),
)
declarations = hosted_declarations | external_declarations


def paths_in(tree: Any, at: Path = ()) -> Iterator[Path]:
    """Yield the path of everything below ``tree``."""
    items: Any = ()
    if isinstance(tree, Mapping):
        items = tree.items()
    elif isinstance(tree, list):
        items = enumerate(tree)
    for key, value in items:
        yield (*at, key)
        yield from paths_in(value, (*at, key))


def replaced(tree: Any, path: Path, value: Any) -> Any:
    """Return ``tree`` with ``value`` at ``path``; the argument is left alone."""
    if not path:
        return value
    copy = list(tree) if isinstance(tree, list) else dict(tree)
    copy[path[0]] = replaced(copy[path[0]], path[1:], value)  # type: ignore[index,call-overload]
    return copy


@st.composite
def with_unknowns(draw: st.DrawFn, of: Mapping[str, Any]) -> dict[str, Any]:
    """Draw a copy of a declaration in which some values, at any depth, are not known."""
    tree: dict[str, Any] = dict(of)
    for _ in range(draw(st.integers(1, 3))):
        paths = [path for path in paths_in(tree) if path != ("model_service_name",)]
        if paths:
            tree = replaced(tree, draw(st.sampled_from(paths)), UNKNOWN)
    return tree
