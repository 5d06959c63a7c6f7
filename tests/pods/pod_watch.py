"""Everything that happened to the pods of a service, as a watch saw it.

No state in between is missed: it is computed from each event of the watch, in the order in which
the cluster wrote them.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from children import tied

from modelfleet import labels
from modelfleet.local.api import Api

_GPU = "nvidia.com/gpu"

Pod = dict[str, Any]


@dataclass
class Seen:
    """What a watch saw; filled in when it has ended.

    ``least_ready`` and ``most_gpus`` are of pods that nobody has told to stop, which is what a
    rollout's strategy is about. Ready is what has been so and was not started again: an engine that
    is busy, on a machine that is, may answer a probe too late. ``most_gpus_held`` is of pods on
    nodes: those that finish their requests have theirs still, those that wait for a GPU have none.
    """

    least_ready: int = 10_000
    most_gpus: int = 0
    most_gpus_held: int = 0
    names: set[str] = field(default_factory=set)
    _were_ready: set[str] = field(default_factory=set, repr=False)

    def add(self, pods: Mapping[str, Pod]) -> None:
        """Take note of the pods that there were at one time."""
        alive = [pod for pod in pods.values() if not _is_over(pod)]
        meant = [pod for pod in alive if "deletionTimestamp" not in pod["metadata"]]
        held = [pod for pod in alive if "nodeName" in pod["spec"]]
        self._were_ready |= {_name(pod) for pod in meant if _is_ready(pod)}
        ready = [pod for pod in meant if _name(pod) in self._were_ready and not _restarts(pod)]
        self.least_ready = min(self.least_ready, len(ready))
        self.most_gpus = max(self.most_gpus, sum(map(_gpus, meant)))
        self.most_gpus_held = max(self.most_gpus_held, sum(map(_gpus, held)))
        self.names |= pods.keys()


@contextmanager
def pods_watched(
    api: Api, namespace: str, *, service: str, file: Path, environment: Mapping[str, str]
) -> Iterator[Seen]:
    """Watch the pods of ``service`` meanwhile; ``file`` takes what the watch says."""
    seen = Seen()
    selector = f"{labels.NAME}={service}"
    path = f"/api/v1/namespaces/{namespace}/pods"
    command = ["kubectl", "get", "pods", f"--namespace={namespace}", f"--selector={selector}"]
    with file.open("w") as out:
        watch = subprocess.Popen(
            tied([*command, "--watch", "--output-watch-events", "--output=json"]),
            env=environment,
            stdout=out,
        )
    try:

        def is_up_to_date() -> bool:
            live = api.send("GET", path, params={"labelSelector": selector})["items"]
            return _versions(_last(file)) == _versions({_name(pod): pod for pod in live})

        _wait(is_up_to_date)
        listed = sum(1 for _ in _events(file))
        yield seen
        _wait(is_up_to_date)
    finally:
        watch.kill()
        watch.wait()
    for number, pods in enumerate(_states(file), start=1):
        if number >= listed:  # the first events are the pods that there are, one by one
            seen.add(pods)


def _states(file: Path) -> Iterator[dict[str, Pod]]:
    """Yield the pods by name after each event."""
    pods: dict[str, Pod] = {}
    for event in _events(file):
        pods = {**pods, _name(event["object"]): event["object"]}
        if event["type"] == "DELETED":
            del pods[_name(event["object"])]
        yield pods


def _events(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the whole events among those that are being written."""
    text, at = file.read_text(), 0
    decoder = json.JSONDecoder()
    while (start := text.find("{", at)) >= 0:
        try:
            event, at = decoder.raw_decode(text, start)
        except ValueError:
            return
        yield event


def _last(file: Path) -> dict[str, Pod]:
    """Return the pods by name as the watch saw them last."""
    states = [{}, *_states(file)]
    return states[-1]


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, "the watch does not see what there is"
        time.sleep(0.2)


def _versions(pods: Mapping[str, Pod]) -> dict[str, str]:
    return {name: pod["metadata"]["resourceVersion"] for name, pod in pods.items()}


def _name(pod: Pod) -> str:
    return str(pod["metadata"]["name"])


def _is_over(pod: Pod) -> bool:
    return pod["status"]["phase"] in ("Succeeded", "Failed")


def _is_ready(pod: Pod) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _restarts(pod: Pod) -> int:
    return sum(int(each["restartCount"]) for each in pod["status"].get("containerStatuses", ()))


def _gpus(pod: Pod) -> int:
    containers = pod["spec"]["containers"]
    return sum(int(each["resources"].get("limits", {}).get(_GPU, 0)) for each in containers)
