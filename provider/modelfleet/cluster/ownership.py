"""May we touch this object? Whose it is, and which of its fields others hold on to. Pure.

An object is ours by its label ``modelfleet.dev/owner``, or by the readable annotation where
somebody stripped the label. Everything else is refused by the name of whoever has it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from modelfleet import labels
from modelfleet.cluster.managed_fields import Manager, Taken
from modelfleet.cluster.objects import Object, ref_of
from modelfleet.errors import AlreadyExistsError, ConflictError

_CONTROLLERS: Final = frozenset(
    {"kube-controller-manager", "kube-scheduler", "kube-apiserver", "kubelet",
     "cloud-controller-manager"}
)  # fmt: skip

_HAND_TOOLS: Final = frozenset(
    {"kubectl", "oc", "k9s", "lens", "freelens", "openlens", "headlamp", "dashboard", "curl",
     "mozilla"}
)  # fmt: skip
"""What people scale with. Anything else that writes through ``scale`` counts as an autoscaler:
to refuse a person costs one message, to fight an autoscaler takes down replicas under load."""


@dataclass(frozen=True)
class Ownership:
    """Who applies: the readable owner, and the owners whose objects it may take over.

    ``also`` holds the earlier names of a renamed stack.
    """

    owner: str
    also: frozenset[str] = frozenset()

    @property
    def field_manager(self) -> str:
        """The manager under which this owner applies."""
        return labels.field_manager(self.owner)

    @property
    def owners(self) -> frozenset[str]:
        """All owners whose objects this one may write."""
        return self.also | {self.owner}

    @property
    def earlier_managers(self) -> frozenset[str]:
        """The managers under which the earlier owners applied."""
        return frozenset(labels.field_manager(owner) for owner in self.also - {self.owner})


def belongs_to(live: Object, owners: Collection[str]) -> bool:
    """Say whether one of ``owners`` made this object."""
    hashed = _labels(live).get(labels.OWNER_HASH)
    if hashed:
        return hashed in {labels.owner_hash(owner) for owner in owners}
    return _annotations(live).get(labels.OWNER) in owners


def incarnation_of(live: Object) -> str | None:
    """Return which creation of its resource an object belongs to."""
    return _annotations(live).get(labels.INCARNATION)


def refuse_foreign(
    desired: Object, live: Object, *, ownership: Ownership, adopt: bool = False
) -> None:
    """Raise AlreadyExistsError where ``live`` is not ours, or is another resource's of ours.

    ``adopt`` allows the first. The second would have two resources take turns in one object.
    """
    subject = str(ref_of(desired))
    if not belongs_to(live, ownership.owners):
        if adopt:
            return
        raise AlreadyExistsError(
            subject,
            f"exists and {maker_of(live)}",
            status=409,
            hint="Choose another name, or set adopt=True to take it over as it is declared here.",
        )
    ours, theirs = _resource(desired), _resource(live)
    if ours != theirs and theirs:
        raise AlreadyExistsError(
            subject,
            f"exists and is part of {theirs}, of the same stack",
            status=409,
            hint=f"Choose another name for {ours}.",
        )


def refuse_held_fields(desired: Object, found: Iterable[Taken]) -> None:
    """Raise ConflictError for fields that other appliers or autoscalers hold on to.

    A person's edits are not among them: those are drift, and are put back.
    """
    held = [each for each in found if any(not is_by_hand(manager) for manager in each.by)]
    if not held:
        return
    fields = "; ".join(str(each) for each in held)
    if any(is_autoscaler(manager) for each in held for manager in each.by):
        first = (
            'Leave the field to it (in a Pulumi program: ignore_changes=["deployment.replicas"]), '
            "remove the autoscaler"
        )
    else:
        first = "Leave the field to that manager (declare the value it has)"
    raise ConflictError(
        str(ref_of(desired)),
        f"fields declared here are managed by others: {fields}",
        status=409,
        hint=f"{first}, or set adopt=True for one update to take the field back.",
    )


def is_autoscaler(manager: Manager) -> bool:
    """Say whether a writer of ``spec.replicas`` is one that will write it again."""
    return manager.subresource == "scale" and manager.name.lower() not in _HAND_TOOLS


def is_by_hand(manager: Manager) -> bool:
    """Say whether what ``manager`` wrote is an edit that we may put back."""
    return manager.operation == "Update" and not is_autoscaler(manager)


def may_be_adopted(manager: Manager) -> bool:
    """Say whether adopting an object takes over what ``manager`` wrote.

    The cluster's controllers and writers through subresources go on working for the new owner.
    """
    return not manager.subresource and manager.name not in _CONTROLLERS


def maker_of(live: Object) -> str:
    """Return the end of a sentence about who made ``live``."""
    owner = _annotations(live).get(labels.OWNER)
    if owner:
        return f"belongs to stack {owner}"
    if labels.OWNER_HASH in _labels(live):
        return f"belongs to another stack (its owner label is {_labels(live)[labels.OWNER_HASH]})"
    last = next(iter(writers(live)), "")
    return "was not made by modelfleet" + (f" (last written by {last})" if last else "")


def writers(live: Object) -> list[str]:
    """Return who wrote an object other than the cluster's own controllers, latest first."""
    entries = sorted(
        live["metadata"].get("managedFields") or (),
        key=lambda entry: str(entry.get("time", "")),
        reverse=True,
    )
    names = (
        str(entry.get("manager"))
        for entry in entries
        if not entry.get("subresource") and entry.get("manager") not in _CONTROLLERS
    )
    return list(dict.fromkeys(names))


def _resource(obj: Object) -> str:
    """Return which resource an object is part of, such as ``ModelService qwen``."""
    found = _labels(obj)
    return f"{found.get(labels.KIND, '')} {found.get(labels.NAME, '')}".strip()


def _labels(obj: Object) -> dict[str, Any]:
    return obj["metadata"].get("labels") or {}


def _annotations(obj: Object) -> dict[str, Any]:
    return obj["metadata"].get("annotations") or {}
