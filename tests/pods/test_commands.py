"""The commands for people, typed in a shell of their own, about services that really run.

``talker`` has two replicas; ``stumbler`` ends its first run, serves in the second, and takes its
time over every word.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from children import tied
from small_services import PATIENCE_SECONDS, REAL, sentence

from modelfleet import labels
from modelfleet.local.api import Api, LocalError
from pulumi_stack import Stack

StackFactory = Callable[..., Stack]

TIMEOUT_SECONDS: Final = 600

FIRST_WORDS: Final = "the first run ends here"
STUMBLES: Final = [
    *("/bin/sh", "-c"),
    f"if [ ! -e /cache/ran ]; then touch /cache/ran; echo {FIRST_WORDS}; exit 3; fi; "
    'exec /app/llama-server "$@"',
    "",
]

DEPLOYMENT: Final[Mapping[str, Any]] = {
    "model": {"uri": "pvc://models/tiny-chat.gguf"},
    "runtime": "llama.cpp",
    "cpu": 0.1,
    "memory_gib": 0.5,
    "shm_gib": 0,
    "max_model_len": 512,
    "drain_seconds": 1,
}
SERVICES: Final[Mapping[str, Mapping[str, Any]]] = {
    "talker": {**DEPLOYMENT, "replicas": 2, "gpu": REAL},
    "stumbler": {
        **DEPLOYMENT,
        "model": {"uri": "pvc://models/slow-chat.gguf"},
        "command": STUMBLES,
    },
}

PATHS: Final = {
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments/{}",
    "Service": "/api/v1/namespaces/{}/services/{}",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies/{}",
}


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Shell:
    """Where ``modelfleet`` is typed: a process for every command, KUBECONFIG as ``env`` says."""

    environment: Mapping[str, str]

    def command(self, *arguments: str) -> list[str]:
        """Return the words of a command, which ends with us."""
        return tied([str(Path(sys.executable).parent / "modelfleet"), *arguments])

    def run(self, *arguments: str, typed: str = "") -> Ran:
        """Run a command to its end."""
        ended = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            input=typed,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        assert "Traceback" not in ended.stderr, ended
        return Ran(ended.returncode, ended.stdout, ended.stderr)

    def printed(self, *arguments: str, typed: str = "") -> str:
        """Run a command that ends well, and return what it printed."""
        ran = self.run(*arguments, typed=typed)
        assert ran.code == 0, ran
        return ran.out

    def refused(self, *arguments: str, typed: str = "") -> str:
        """Run a command that fails with one paragraph, and return that."""
        ran = self.run(*arguments, typed=typed)
        assert (ran.code, ran.err.count("error: ")) == (1, 1), ran
        return ran.err.rpartition("error: ")[2].strip()

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Give a command that goes on, and kill it if the test does not end it in time."""
        with subprocess.Popen(
            self.command(*arguments),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            timer = threading.Timer(TIMEOUT_SECONDS, process.kill)
            timer.start()
            try:
                yield process
            finally:
                timer.cancel()
                process.kill()


@pytest.fixture(scope="module")
def shell(environment: Mapping[str, str]) -> Shell:
    return Shell({**environment, "COLUMNS": "200"})  # as wide as a table may want


@pytest.fixture(scope="module")
def here(module_stack_factory: StackFactory, module_namespace: str) -> str:
    """The namespace of the services, which ``pulumi up`` has made; both serve."""
    declared = "\n".join(
        f"ModelService({name!r}, namespace={module_namespace!r}, deployment={dict(runs)!r}, "
        f"wait={{'timeout_seconds': {PATIENCE_SECONDS}, 'until': 'all'}})"
        for name, runs in SERVICES.items()
    )
    program = f"from modelfleet import ModelService\n\n{declared}\n"
    module_stack_factory(program, cluster=True).up()
    return module_namespace


def pods_of(api: Api, namespace: str, service: str) -> list[str]:
    """Return the names of a service's pods."""
    selector = {"labelSelector": f"{labels.NAME}={service}"}
    pods = api.send("GET", f"/api/v1/namespaces/{namespace}/pods", params=selector)["items"]
    return [pod["metadata"]["name"] for pod in pods]


def exists(api: Api, kind: str, namespace: str, name: str) -> bool:
    """Return whether there is such an object."""
    try:
        api.send("GET", PATHS[kind].format(namespace, name))
    except LocalError as error:
        assert "not found" in str(error)
        return False
    return True


# -- ls and status


def test_ls_shows_the_fleet(shell: Shell, here: str) -> None:
    rows = shell.printed("ls", "--namespace", here).splitlines()
    assert rows[0].split()[:6] == ["KIND", "NAMESPACE", "NAME", "STATUS", "READY", "GPUS"]
    assert [row.split()[:6] for row in rows[1:]] == [
        ["ModelService", here, "stumbler", "READY", "1/1", "-"],
        ["ModelService", here, "talker", "READY", "2/2", "2"],
    ]
    _, talker = json.loads(shell.printed("ls", "--namespace", here, "--output", "json"))
    assert (talker["name"], talker["model"]) == ("talker", "pvc://models/tiny-chat.gguf")
    assert talker["owner"].endswith("/project/dev")


def test_status_shows_rollout_pods_and_events(shell: Shell, here: str, api: Api) -> None:
    printed = shell.printed("status", f"{here}/talker")
    assert printed.startswith(f"ModelService {here}/talker: READY\n")
    assert "2 declared, 2 updated, 2 ready, 2 available" in printed
    for pod in pods_of(api, here, "talker"):
        assert pod in printed
    report = json.loads(shell.printed("status", "stumbler", "-n", here, "--output", "json"))
    assert [(pod["is_ready"], pod["restarts"]) for pod in report["pods"]] == [(True, 1)]
    assert report["diagnosis"] == []
    assert "Started" in {event["reason"] for event in report["events"]}


def test_what_is_not_there_or_wrongly_typed_has_its_own_exit_code(shell: Shell, here: str) -> None:
    absent = f"nobody: no ModelService or ModelProxy is called so in namespace {here}."
    assert shell.refused("status", f"{here}/nobody").startswith(absent)
    assert shell.run("logs", f"{here}/talker", "--previous", "--follow").code == 2


# -- logs


def test_logs_of_several_pods_have_the_pod_in_front_and_can_be_cut(
    shell: Shell, here: str, api: Api
) -> None:
    pods = pods_of(api, here, "talker")
    everything = shell.printed("logs", f"{here}/talker").splitlines()
    last = shell.printed("logs", f"{here}/talker", "--tail", "1").splitlines()
    assert {line.partition(" ")[0] for line in everything} == {f"[{pod}]" for pod in pods}
    assert sorted(line.partition(" ")[0] for line in last) == sorted(f"[{pod}]" for pod in pods)
    assert any("listening on http" in line for line in everything)

    one = shell.printed("logs", f"{here}/talker", "--pod", pods[0], "--output", "json")
    assert {json.loads(line)["pod"] for line in one.splitlines()} == {pods[0]}


def test_the_log_of_the_run_before_a_crash_can_be_had(shell: Shell, here: str) -> None:
    assert shell.printed("logs", f"{here}/stumbler", "--previous") == f"{FIRST_WORDS}\n"
    assert FIRST_WORDS not in shell.printed("logs", f"{here}/stumbler")


def test_followed_logs_tell_of_a_request_and_end_on_ctrl_c(shell: Shell, here: str) -> None:
    with shell.started("logs", f"{here}/stumbler", "--follow", "--tail", "1") as following:
        assert following.stdout is not None
        assert following.stdout.readline()  # it is connected
        shell.printed("chat", f"{here}/stumbler", "Hello?", "--max-tokens", "1")
        for line in following.stdout:
            if b"processing task" in line:
                break
        else:
            pytest.fail("the log ended")
        following.send_signal(signal.SIGINT)
        assert following.wait(timeout=TIMEOUT_SECONDS) == 0
        assert following.stderr is not None
        assert following.stderr.read() == b""


# -- chat


def test_chat_gives_the_answer_of_the_model(shell: Shell, here: str, api: Api) -> None:
    # Which lets nobody in but pods of this namespace and gateways: we come through the API server.
    assert exists(api, "NetworkPolicy", here, "talker")
    said = f"{sentence('tiny-chat')}\n"
    assert shell.printed("chat", f"{here}/talker", "Who are you?", "--no-stream") == said
    assert shell.printed("chat", f"{here}/talker", "-", typed="Who are you?\n") == said


def test_a_conversation_goes_on_until_it_is_ended(shell: Shell, here: str) -> None:
    ran = shell.run("chat", "talker", "-n", here, typed="Who are you?\nAnd now?\n/exit\nMore?\n")
    assert ran.code == 0
    assert ran.out.splitlines()[0] == sentence("tiny-chat")
    assert len(ran.out.splitlines()) == 2


def test_a_whole_completion_tells_its_usage(shell: Shell, here: str) -> None:
    printed = shell.printed("chat", f"{here}/talker", "Who are you?", "--output", "json")
    completion = json.loads(printed)
    assert completion["choices"][0]["message"]["content"] == sentence("tiny-chat")
    usage = completion["usage"]
    assert usage["prompt_tokens"] > 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_an_answer_is_printed_word_by_word(shell: Shell, here: str) -> None:
    firsts = []
    for _ in range(10):  # for whoever sleeps a moment too long, all words are there at once
        with shell.started("chat", f"{here}/stumbler", "Who are you?") as answering:
            assert answering.stdout is not None
            first = os.read(answering.stdout.fileno(), 4096)
            answer = (first + answering.stdout.read()).decode()
            assert answering.wait(timeout=TIMEOUT_SECONDS) == 0
        assert answer == f"{sentence('slow-chat')}\n"
        if 0 < len(first) < len(answer) / 2:
            return
        firsts.append(first)
    pytest.fail(f"came first: {firsts}")


# -- delete: the last, for it takes away what the others look at


def test_delete_asks_for_the_name_and_takes_all_of_it_away(
    shell: Shell, here: str, api: Api
) -> None:
    refused = shell.refused("delete", f"{here}/talker", typed="talkr\n")
    assert refused.startswith("Nothing was deleted: the name was not typed.")
    assert all(exists(api, kind, here, "talker") for kind in PATHS)
    assert len(pods_of(api, here, "talker")) == 2

    ran = shell.run("delete", f"{here}/talker", typed="talker\n")
    assert ran.code == 0, ran
    assert ran.err.splitlines()[0] == "Type its name to delete it: "
    assert "2 pods end, 2 GPUs become free." in ran.out
    assert ran.out.endswith(f"Deleted ModelService {here}/talker.\n")
    assert [kind for kind in PATHS if exists(api, kind, here, "talker")] == []
    pods = api.send("GET", f"/api/v1/namespaces/{here}/pods")["items"]
    assert [pod for pod in pods if pod["metadata"]["name"].startswith("talker-")] == []
    assert "talker" not in shell.printed("ls", "--namespace", here)
