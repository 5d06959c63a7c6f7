"""The Secret of a ModelProxy: who may call it, by the hashes of their keys. Pure."""

from __future__ import annotations

from modelfleet import labels
from modelfleet.gateway.keys_file import KEYS_FILE, KeyEntries, keys_file_of
from modelfleet.render.metadata import Identity, Object, metadata_of
from modelfleet.render.secret import encoded
from modelfleet.spec.proxy import ModelProxySpec


def keys_secret_of(spec: ModelProxySpec, *, identity: Identity, keys: KeyEntries) -> Object:
    """Return the Secret, which is there without keys as well: pods mount it from the start."""
    name = labels.proxy_object_name(spec.name)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata_of(spec, identity=identity, name=name),
        "type": "Opaque",
        "data": encoded({KEYS_FILE: keys_file_of(spec, keys=keys).encode()}),
    }
