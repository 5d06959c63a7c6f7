"""How far the Deployment controller is with a rollout, in pods. Pure arithmetic over a status."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from modelfleet.cluster.objects import Object

Until = Literal["accepted", "available", "all"]
"""What is waited for: taken by the API server, enough pods serve, every pod serves."""


@dataclass(frozen=True)
class Rollout:
    """How far the Deployment controller is, in pods; ``old`` are those of former versions."""

    observed: bool
    replicas: int
    updated: int
    available: int
    old: int
    terminating: int
    tolerated: int

    @classmethod
    def of(cls, deployment: Object) -> Rollout:
        """Read the counts of a Deployment; absent means 0 in a status, and 1 for replicas."""
        spec, status = deployment["spec"], deployment.get("status") or {}
        replicas = int(spec.get("replicas", 1))
        updated = int(status.get("updatedReplicas") or 0)
        generation = int(deployment["metadata"].get("generation") or 0)
        return cls(
            observed=int(status.get("observedGeneration") or 0) >= max(generation, 1),
            replicas=replicas,
            updated=updated,
            available=int(status.get("availableReplicas") or 0),
            old=max(0, int(status.get("replicas") or 0) - updated),
            terminating=int(status.get("terminatingReplicas") or 0),
            tolerated=_may_be_unavailable(spec.get("strategy") or {}, replicas),
        )

    @property
    def out(self) -> bool:
        """Whether all pods are of the present version, and there are as many as declared."""
        return self.updated == self.replicas and self.old == 0

    @property
    def told(self) -> str:
        """How far it is, in words."""
        if self.replicas == 0:
            left = max(self.old + self.updated, self.terminating)
            return f"{pods_in_words(left)} still to stop" if left else "stopped, no pods"
        available = min(self.available, self.replicas)
        text = f"{available} of {pods_in_words(self.replicas)} available"
        if self.updated < self.replicas:
            text += f", {self.updated} of the new version"
        if self.old:
            text += f", {self.old} of the former version still to stop"
        return text

    def needed(self, until: Until) -> int:
        """Return how many pods must serve."""
        return self.replicas if until == "all" else max(1, self.replicas - self.tolerated)

    def serves(self, until: Until) -> bool:
        """Return whether enough pods of the present version serve."""
        return self.out and self.available >= self.needed(until)

    def spare(self, until: Until) -> int:
        """Return how many pods may be beyond help without the service being so.

        None while the rollout is under way: its controller goes no further with a pod down.
        """
        return self.replicas - self.needed(until) if self.out else 0


def pods_in_words(count: int) -> str:
    """Return ``1 pod``, ``2 pods``."""
    return "1 pod" if count == 1 else f"{count} pods"


def _may_be_unavailable(strategy: Mapping[str, Any], replicas: int) -> int:
    """Return ``maxUnavailable`` in pods, by the rounding rules of the Deployment controller."""
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return 0
    rolling = strategy.get("rollingUpdate") or {}
    unavailable = _pods(rolling.get("maxUnavailable", "25%"), replicas, math.floor)
    surge = _pods(rolling.get("maxSurge", "25%"), replicas, math.ceil)
    return min(unavailable, replicas) if unavailable or surge else 1


def _pods(amount: int | str, replicas: int, rounding: Callable[[float], int]) -> int:
    if isinstance(amount, str) and amount.endswith("%"):
        return rounding(replicas * int(amount[:-1]) / 100)
    return int(amount)
