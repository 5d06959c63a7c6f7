"""What earlier releases have left behind, as ``tests/fixtures/releases`` has it.

A folder per schema of the state: the program, the state that ``pulumi stack export`` printed and
the objects that were in the cluster, of one real run (``record_release.py``). Once a release has
written that schema it is never recorded again: users have such states.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pulumi.runtime.rpc import _special_sig_key

from modelfleet import labels

Object = dict[str, Any]

FOLDER: Final = Path(__file__).parent / "fixtures" / "releases"
PLAIN: Final = "a-value"


@dataclass(frozen=True)
class Release:
    """The recorded fleet of one release: namespace, project and stack are the same in all."""

    folder: Path

    namespace = "recorded"
    project = "releases"
    stack = "recorded"

    @property
    def schema_version(self) -> int:
        """The schema of its states."""
        return int(self.folder.name)

    @property
    def state(self) -> Object:
        """The exported stack."""
        state: Object = json.loads((self.folder / "state.json").read_text())
        return state

    @property
    def services(self) -> dict[str, Object]:
        """The ModelServices in the state, by name."""
        return {
            resource["outputs"]["model_service_name"]: resource
            for resource in self.state["deployment"]["resources"]
            if "model_service_name" in resource.get("outputs", {})
        }

    @property
    def objects(self) -> list[Object]:
        """The objects that were in the cluster, in the order of an apply."""
        objects: list[Object] = json.loads((self.folder / "objects.json").read_text())
        return objects

    @property
    def renderer_version(self) -> int:
        """The renderer that made its pods."""
        annotations = [each["metadata"]["annotations"] for each in self.objects]
        records = [each[labels.RECORD] for each in annotations if labels.RECORD in each]
        (version,) = {json.loads(record)["renderer_version"] for record in records}
        return int(version)

    @property
    def cluster_uid(self) -> str:
        """The cluster of the recording."""
        (uid,) = {each["outputs"]["cluster_uid"] for each in self.services.values()}
        return str(uid)


RELEASES: Final = [
    Release(folder) for folder in sorted(FOLDER.iterdir(), key=lambda each: int(each.name))
]


def without_secrets(value: Any) -> Any:
    """Return what a state holds with a value in the place of every secret, as a provider gets it.

    Providers are kept: they are references, not values.
    """
    if isinstance(value, Mapping):
        if _special_sig_key in value:
            return PLAIN
        return {key: without_secrets(item) for key, item in value.items()}
    return [without_secrets(item) for item in value] if isinstance(value, list) else value


def manager_of(live: Object) -> str:
    """Return the field manager that applied ``live``."""
    (entry,) = _applied_entries(live)
    return str(entry["manager"])


def fields_of(live: Object) -> Any:
    """Return the set of fields, as on the wire, that the one who applied ``live`` owns."""
    (entry,) = _applied_entries(live)
    return entry["fieldsV1"]


def applied(live: Object) -> Object:
    """Return what was applied to make ``live``: the fields its applier owns, and its identity."""
    identity = {key: live["metadata"][key] for key in ("name", "namespace")}
    owned = _owned(live, fields_of(live))
    return {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        **owned,
        "metadata": {**identity, **owned["metadata"]},
    }


def _applied_entries(live: Object) -> list[Object]:
    return [each for each in live["metadata"]["managedFields"] if each["operation"] == "Apply"]


def _owned(value: Any, fields: Mapping[str, Any]) -> Any:
    """Return the part of ``value`` that a set of fields (FieldsV1) names."""
    below = {key: child for key, child in fields.items() if key != "."}
    if isinstance(value, dict) and below:
        named = {key.removeprefix("f:"): child for key, child in below.items()}
        return {key: _owned(item, named[key]) for key, item in value.items() if key in named}
    if isinstance(value, list) and below:
        keyed = [(json.loads(key.removeprefix("k:")), child) for key, child in below.items()]
        return [
            _owned(item, child)
            for item in value
            for key, child in keyed
            if key.items() <= item.items()
        ]
    return value
