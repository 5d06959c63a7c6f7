"""Fleets by chance: a seed gives a few services, and what becomes of their program. Pure.

A program is what is declared at one time: inputs of services by name. What is in the way of a
service (an object of somebody else under a name that it needs) is part of the story.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fleets import OTHER_OWNER, external, hosted
from writing import owned

from modelfleet.cluster.objects import Object
from modelfleet.cluster.retry import RetryPolicy

Program = Mapping[str, Mapping[str, Any]]

NAMES = ("ada", "bart", "clip", "dpr")
_RATES = (0.03, 0.1, 0.25, 0.6)
_BUDGETS_SECONDS = (0.0, 0.1, 0.5, 1.5)


@dataclass(frozen=True)
class Story:
    """Programs run one after another, each meeting faults at ``rate``; the last is run again.

    ``killed_after_seconds`` ends the process in the last of them, at that time. ``secrets`` are all
    values that no message may tell; ``foreign`` is there before, and belongs to others.
    """

    seed: int
    owner: str
    programs: tuple[Program, ...]
    rate: float
    retry: RetryPolicy
    killed_after_seconds: float | None
    foreign: tuple[Object, ...]
    secrets: frozenset[str]


def story_of(seed: int, *, namespace: str) -> Story:
    """Return the story of ``seed``."""
    teller = _Teller(random.Random(seed), namespace)  # noqa: S311 - chance that can be had again
    chance = teller.chance
    names = chance.sample(NAMES, chance.randint(1, len(NAMES)))
    programs = [{name: teller.service(name) for name in names}]
    for _ in range(chance.randint(0, 2)):
        programs.append(teller.changed(programs[-1]))
    retry = RetryPolicy(
        first_delay_seconds=0.02,
        longest_delay_seconds=0.2,
        budget_seconds=chance.choice(_BUDGETS_SECONDS),
    )
    return Story(
        seed=seed,
        owner=f"acme/faults/{seed}",
        programs=tuple(programs),
        rate=chance.choice(_RATES),
        retry=retry,
        killed_after_seconds=chance.uniform(0.02, 0.4) if chance.random() < 0.2 else None,
        foreign=tuple(teller.foreign(names)),
        secrets=frozenset(teller.secrets),
    )


class _Teller:
    """Draws the parts of one story."""

    def __init__(self, chance: random.Random, namespace: str) -> None:
        self.chance = chance
        self.secrets: set[str] = set()
        self._namespace = namespace

    def service(self, name: str) -> dict[str, Any]:
        """Return what one service is declared to be."""
        chance = self.chance
        common = {
            "model_service_name": name,
            "description": chance.choice(["small", "large"]),
            "wait": {"until": "accepted"},
        }
        if chance.random() < 0.25:
            common["wait"]["on_failure"] = "rollback"
        if chance.random() < 0.3:
            key = {"api_key": self._secret()} if chance.random() < 0.7 else {}
            names = {"model_names": [name, chance.choice(["a", "b"])]}
            return {**external(self._namespace, **key, **names), **common}
        fields: dict[str, Any] = {
            "replicas": 0,
            "env": {"MODE": chance.choice(["fast", "exact"])},
            "startup_seconds": chance.choice([60, 120]),
        }
        if chance.random() < 0.5:
            fields["secret_env"] = {"API_TOKEN": self._secret()}
        if chance.random() < 0.1:
            fields["replicas"] = 1
            common["wait"] |= {"until": "all", "timeout_seconds": 240}
        return {**hosted(self._namespace, fields), **common}

    def changed(self, program: Program) -> dict[str, Mapping[str, Any]]:
        """Return the next program: services changed, dropped, added and left as they are."""
        result: dict[str, Mapping[str, Any]] = {}
        for name in NAMES:
            fate = self.chance.random()
            if name not in program:
                if fate < 0.3:
                    result[name] = self.service(name)
            elif fate < 0.55:
                result[name] = self._again(name, program[name])
            elif fate < 0.8:
                result[name] = program[name]
        return result

    def _again(self, name: str, before: Mapping[str, Any]) -> dict[str, Any]:
        """Return another declaration of the same kind, as the other kind would replace it."""
        while True:
            after = self.service(name)
            if ("deployment" in after) == ("deployment" in before):
                return after

    def foreign(self, names: list[str]) -> list[Object]:
        """Return objects of others, some of them in the way of a service."""
        found = [self._of_others("v1", "ConfigMap", "bystander", data={"mine": "yes"})]
        if self.chance.random() < 0.25:
            name = self.chance.choice(names)
            ports = [{"port": 80}]
            found.append(
                self.chance.choice(
                    [
                        self._of_others("v1", "Service", name, spec={"ports": ports}),
                        self._of_others("v1", "Secret", f"{name}-env", data={}),
                        self._of_others("v1", "Secret", f"{name}-external", data={}),
                    ]
                )
            )
        return found

    def _of_others(self, api_version: str, kind: str, name: str, **content: Any) -> Object:
        metadata = {"name": name, "namespace": self._namespace}
        obj = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}
        if self.chance.random() < 0.5:
            return owned(obj, name=name, owner=OTHER_OWNER)
        return obj

    def _secret(self) -> str:
        value = f"hush-{self.chance.getrandbits(64):016x}"
        self.secrets.add(value)
        return value
