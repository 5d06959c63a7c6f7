"""The ConfigMap of a ModelProxy: LiteLLM's configuration, the application's, the application.

It never changes: another content is another ConfigMap, whose name, with the hash of its content,
stands in the pod template. So pods roll exactly when what they read is another, and the pods of
before keep what they were started with. Pure.
"""

from __future__ import annotations

from typing import Any

from modelfleet import labels
from modelfleet.gateway.configuration import CONFIGURATION_FILE, configuration_of
from modelfleet.gateway.litellm_config import LITELLM_FILE, litellm_config_of
from modelfleet.gateway.sources import PACKAGE, sources
from modelfleet.render.hashes import short_hash
from modelfleet.render.metadata import Identity, Object, metadata_of
from modelfleet.render.proxy.history import PROXY_RENDERER_VERSION, files_rendered_by
from modelfleet.spec.proxy import ModelProxySpec


def files_of(
    spec: ModelProxySpec, *, renderer_version: int = PROXY_RENDERER_VERSION
) -> dict[str, str]:
    """Return the files of the pods by their paths below one folder, as that renderer makes them."""
    newest = {
        LITELLM_FILE: litellm_config_of(spec),
        CONFIGURATION_FILE: configuration_of(spec),
        **{f"{PACKAGE}/{name}": text for name, text in sources().items()},
    }
    return files_rendered_by(renderer_version, newest, spec=spec)


def key_of_file(path: str) -> str:
    """Return the key under which a file stands in the ConfigMap, where no key has a slash."""
    return path.replace("/", ".")


def config_map_name_of(
    spec: ModelProxySpec, *, renderer_version: int = PROXY_RENDERER_VERSION
) -> str:
    """Return the name of the ConfigMap of this very configuration."""
    content = files_of(spec, renderer_version=renderer_version)
    return labels.proxy_config_name(spec.name, variant=short_hash(content))


def config_map_of(
    spec: ModelProxySpec, *, identity: Identity, renderer_version: int = PROXY_RENDERER_VERSION
) -> Object:
    """Return the ConfigMap."""
    data: dict[str, Any] = {
        key_of_file(path): text
        for path, text in sorted(files_of(spec, renderer_version=renderer_version).items())
    }
    name = config_map_name_of(spec, renderer_version=renderer_version)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata_of(spec, identity=identity, name=name),
        "immutable": True,
        "data": data,
    }
