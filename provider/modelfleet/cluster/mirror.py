"""The last known objects of one kind, by the resource they belong to.

News come from three sides that do not keep step: lists, watch events, and what our own writes
returned. The newest resource version wins, so that none of them can undo another. (Kubernetes
promises comparable versions since 1.35; etcd's were numbers that grow from the start.) No I/O.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from modelfleet import labels
from modelfleet.cluster.objects import Object


class Key(NamedTuple):
    """The resource an object belongs to, by its labels."""

    namespace: str
    kind: str
    name: str


def key_of(obj: Object) -> Key:
    """Return the resource that ``obj`` belongs to; one without our labels stands for itself."""
    metadata = obj["metadata"]
    marks = metadata.get("labels") or {}
    name = marks.get(labels.NAME, metadata["name"])
    return Key(metadata.get("namespace", ""), marks.get(labels.KIND, ""), name)


def version_of(obj: Object) -> int:
    """Return the resource version, which grows with every change within one kind."""
    return int(obj["metadata"]["resourceVersion"])


class Mirror:
    """Objects by key. Each change returns the keys it touched, so that only those are looked at.

    ``version`` is how far the news of list and watch have come. Objects handed out are the
    mirror's own: read only.
    """

    def __init__(self) -> None:
        self.version = 0
        self._objects: dict[Key, dict[str, Object]] = {}
        self._keys: dict[tuple[str, str], Key] = {}

    def objects(self, key: Key) -> tuple[Object, ...]:
        """Return the objects of one resource."""
        return tuple(self._objects.get(key, {}).values())

    def everything(self) -> tuple[Object, ...]:
        """Return all objects."""
        return tuple(obj for same in self._objects.values() for obj in same.values())

    def listed(self, items: Iterable[Object], *, version: int) -> set[Key]:
        """Take in a complete list: what it does not have is gone, unless it is newer."""
        touched: set[Key] = set()
        places = set()
        for obj in items:
            places.add(_place(obj))
            touched |= self._put(obj)
        for place in [place for place in self._keys if place not in places]:
            touched |= self._drop(place, version=version)
        self.version = max(self.version, version)
        return touched

    def changed(self, obj: Object) -> set[Key]:
        """Take in an object that a watch says was added or modified."""
        self.version = max(self.version, version_of(obj))
        return self._put(obj)

    def deleted(self, obj: Object) -> set[Key]:
        """Take in the last state of an object that a watch says is gone."""
        self.version = max(self.version, version_of(obj))
        return self._drop(_place(obj), version=version_of(obj))

    def written(self, obj: Object) -> set[Key]:
        """Take in what our own write returned, ahead of the watch.

        Ignored once list and watch have come that far: the object may have been deleted since, and
        must not come back for ever.
        """
        return self._put(obj) if version_of(obj) > self.version else set()

    def removed(self, obj: Object) -> set[Key]:
        """Forget what our own deletion has ended, ahead of the watch; ``obj`` as last read."""
        return self._drop(_place(obj), version=version_of(obj))

    def _put(self, obj: Object) -> set[Key]:
        place, key = _place(obj), key_of(obj)
        former = self._keys.get(place)
        if former is not None:
            if version_of(self._objects[former][place[1]]) >= version_of(obj):
                return set()
            if former != key:
                self._remove(place, former)
        self._keys[place] = key
        self._objects.setdefault(key, {})[place[1]] = obj
        return {key} if former is None else {key, former}

    def _drop(self, place: tuple[str, str], *, version: int) -> set[Key]:
        """Forget what was gone at ``version``; what is kept may have been made after that."""
        key = self._keys.get(place)
        if key is None or version_of(self._objects[key][place[1]]) > version:
            return set()
        self._remove(place, key)
        return {key}

    def _remove(self, place: tuple[str, str], key: Key) -> None:
        del self._keys[place]
        del self._objects[key][place[1]]
        if not self._objects[key]:
            del self._objects[key]


def _place(obj: Object) -> tuple[str, str]:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
