"""``modelfleet logs`` on a real API server, whose fake nodes serve two short files as logs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from fleets import behaving, desired, external, hosted

from modelfleet.cluster.client import Client
from modelfleet.errors import NotReadyError
from modelfleet.fleet import Fleet
from modelfleet.local.api import Api

SAID = "INFO fake node: this pod runs no program; only its status is simulated"
LAST_WORDS = "RuntimeError: Engine core initialization failed. See root cause above."
HUSH = "root cause"


@pytest.fixture
def cli(fleet_kubeconfig: Path) -> CommandLine:
    return CommandLine(fleet_kubeconfig)


def applied(kubeconfig: Path, *inputs: dict[str, Any]) -> None:
    async def apply_all() -> None:
        fleet = Fleet(Client.connect(kubeconfig=str(kubeconfig)))
        try:
            await asyncio.gather(*(fleet.apply(desired(each)) for each in inputs))
        except NotReadyError:
            pass
        finally:
            await fleet.aclose()

    asyncio.run(apply_all())


def test_the_pod_stands_in_front_of_each_line_where_there_are_several(
    cli: CommandLine, fleet_kubeconfig: Path, namespace: str
) -> None:
    applied(fleet_kubeconfig, hosted(namespace, {"replicas": 2}))
    lines = cli.printed("logs", f"{namespace}/qwen").splitlines()
    pods = [line.partition("] ")[0].removeprefix("[") for line in lines]
    assert len(set(pods)) == 2
    assert pods == sorted(pods)
    assert {line.partition("] ")[2] for line in lines} == {SAID}

    assert cli.printed("logs", "qwen", "-n", namespace, "--pod", pods[0]) == f"{SAID}\n"
    assert cli.printed("logs", "qwen", "-n", namespace, "--tail", "0") == ""
    documents = cli.printed("logs", f"{namespace}/qwen", "-o", "json").splitlines()
    assert [json.loads(each) for each in documents] == [
        {"pod": pod, "time": "2025-01-01T00:00:00.000000000Z", "text": SAID} for pod in pods
    ]
    assert cli.refused("logs", f"{namespace}/qwen", "--pod", "other") == (
        f"ModelService {namespace}/qwen: has no pod other (it has: {', '.join(pods)})"
    )


def test_a_single_pod_needs_no_name_and_its_former_run_is_kept(
    cli: CommandLine, fleet_kubeconfig: Path, namespace: str
) -> None:
    secret = {"secret_env": {"TOKEN": HUSH}}
    applied(fleet_kubeconfig, hosted(namespace, {**behaving("crash-loop"), **secret}))
    ran = cli.run("logs", f"{namespace}/qwen", "--previous", "--tail", "1")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == LAST_WORDS.replace(HUSH, "***") + "\n"


def test_a_service_without_pods_or_without_logs_says_so(
    cli: CommandLine, fleet_kubeconfig: Path, namespace: str
) -> None:
    nowhere = {
        **hosted(namespace, {"gpu": {"product": "NVIDIA-A100"}}),
        "model_service_name": "nowhere",
        "wait": {"until": "accepted"},
    }
    stopped = {**hosted(namespace, {"replicas": 0}), "model_service_name": "stopped"}
    applied(fleet_kubeconfig, external(namespace), nowhere, stopped)

    elsewhere = cli.refused("logs", f"{namespace}/qwen")
    assert elsewhere.endswith("runs elsewhere: it has no logs here")
    assert "has no pods. modelfleet status says why." in cli.refused("logs", f"{namespace}/stopped")
    noted = cli.run("logs", f"{namespace}/nowhere")
    while "has no pods" in noted.err:  # its controller has not made them yet
        noted = cli.run("logs", f"{namespace}/nowhere")
    assert (noted.code, noted.out) == (0, "")
    assert noted.err.startswith(f"note: Pod {namespace}/nowhere-")


@pytest.fixture
def followed(fleet_kubeconfig: Path, namespace: str) -> Iterator[subprocess.Popen[str]]:
    """``logs --follow`` of a service with one pod, in a process of its own."""
    applied(fleet_kubeconfig, hosted(namespace))
    program = "from modelfleet.adapters.cli.main import main; main()"
    command = [sys.executable, "-c", program, "logs", f"{namespace}/qwen", "--follow"]
    with subprocess.Popen(
        [*command, "--kubeconfig", str(fleet_kubeconfig)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        yield process
        process.kill()


def test_following_goes_on_to_new_pods_and_ends_well_with_ctrl_c(
    followed: subprocess.Popen[str], plane_api: Api, namespace: str
) -> None:
    assert followed.stdout is not None
    assert followed.stdout.readline() == f"{SAID}\n"
    plane_api.send(
        "PATCH",
        f"/apis/apps/v1/namespaces/{namespace}/deployments/qwen",
        headers={"Content-Type": "application/merge-patch+json"},
        json={"spec": {"replicas": 2}},
    )
    line = followed.stdout.readline()
    assert line.startswith("[qwen-")
    assert line.endswith(f"] {SAID}\n")
    followed.send_signal(signal.SIGINT)
    out, err = followed.communicate(timeout=240)
    assert followed.returncode == 0
    assert (out, "Traceback" in err) == ("", False)


def test_what_is_over_cannot_be_followed(cli: CommandLine) -> None:
    ran = cli.run("logs", "qwen", "--previous", "--follow")
    assert ran.code == 2
    assert "nothing to --follow" in ran.err
