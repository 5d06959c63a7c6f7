"""What is mounted into the gateway's pods, and where. Pure.

Secrets are mounted and never variables: what changes in them reaches running pods.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any, Final

from modelfleet import labels
from modelfleet.gateway.keys_file import KEYS_FILE
from modelfleet.gateway.upstreams import credentials_of
from modelfleet.render.proxy.config_map import config_map_name_of, files_of, key_of_file
from modelfleet.render.proxy.redis import PASSWORD_KEY
from modelfleet.spec.fields import secret_name_and_key
from modelfleet.spec.proxy import ModelProxySpec

MountAndVolume = tuple[dict[str, Any], dict[str, Any]]

FILES_PATH: Final = "/opt/modelfleet"
SECRETS_PATH: Final = "/etc/modelfleet"
TMP_PATH: Final = "/tmp"  # noqa: S108 - a volume of the pod's own

_READ_BY_GROUP: Final = 0o440
"""Secrets are the group's to read, which the pod's fsGroup is, and nobody else's."""


def proxy_volumes_of(spec: ModelProxySpec, *, renderer_version: int) -> list[MountAndVolume]:
    """Return each mount of the gateway's container with its volume."""
    return [
        _files(spec, renderer_version),
        _secret("keys", "keys", labels.proxy_object_name(spec.name), {KEYS_FILE: KEYS_FILE}),
        *_inbound(spec),
        *_credentials(spec),
        *_redis(spec),
        ({"name": "tmp", "mountPath": TMP_PATH}, {"name": "tmp", "emptyDir": {}}),
    ]


def _files(spec: ModelProxySpec, version: int) -> MountAndVolume:
    paths = sorted(files_of(spec, renderer_version=version))
    name = config_map_name_of(spec, renderer_version=version)
    items = [{"key": key_of_file(path), "path": path} for path in paths]
    return (
        {"name": "files", "mountPath": FILES_PATH, "readOnly": True},
        {"name": "files", "configMap": {"name": name, "items": items}},
    )


def _inbound(spec: ModelProxySpec) -> list[MountAndVolume]:
    if spec.credential_name is None:
        return []
    name, key = secret_name_and_key(spec.credential_name)
    return [_secret("inbound", "inbound", name, {key: "key"})]


def _redis(spec: ModelProxySpec) -> list[MountAndVolume]:
    redis = spec.redis
    if redis is None:
        return []
    if redis.managed:
        items = {PASSWORD_KEY: "password"}
        return [_secret("redis", "redis", labels.redis_name(spec.name), items)]
    if redis.credential_name is None:
        return []
    name, key = secret_name_and_key(redis.credential_name)
    return [_secret("redis", "redis", name, {key: "password"})]


def _credentials(spec: ModelProxySpec) -> list[MountAndVolume]:
    """Return one folder with a file for each credential, none without any.

    None is optional: the kubelet says which Secret or key is missing, and goes on when it is there,
    while the pods of before still serve. Started without it, callers would learn of it instead.
    """
    references = [
        (*secret_name_and_key(reference), number)
        for reference, number in credentials_of(spec).items()
    ]
    if not references:
        return []
    sources = [
        {
            "secret": {
                "name": name,
                "items": [{"key": key, "path": str(number)} for _, key, number in same],
            }
        }
        for name, same in groupby(sorted(references), key=lambda each: each[0])
    ]
    return [
        (
            {
                "name": "credentials",
                "mountPath": f"{SECRETS_PATH}/credentials",
                "readOnly": True,
            },
            {
                "name": "credentials",
                "projected": {"defaultMode": _READ_BY_GROUP, "sources": sources},
            },
        )
    ]


def _secret(name: str, folder: str, secret: str, items: dict[str, str]) -> MountAndVolume:
    """Return a mount of keys of one Secret, each as the file that ``items`` names."""
    return (
        {"name": name, "mountPath": f"{SECRETS_PATH}/{folder}", "readOnly": True},
        {
            "name": name,
            "secret": {
                "secretName": secret,
                "defaultMode": _READ_BY_GROUP,
                "items": [{"key": key, "path": path} for key, path in items.items()],
            },
        },
    )
