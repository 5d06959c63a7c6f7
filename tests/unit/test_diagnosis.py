"""A diagnosis over a scripted network: what logs and events add, what must not be repeated."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable

import httpx
import pytest

from modelfleet.cluster import diagnosis
from modelfleet.cluster.access import Access
from modelfleet.cluster.client import Client
from modelfleet.cluster.diagnosis import diagnose
from modelfleet.cluster.masking import masked
from modelfleet.cluster.objects import Object
from modelfleet.cluster.reasons import Code, Reason
from modelfleet.cluster.retry import NO_RETRY

SECRET = "s3cr3t-Value-9"
CRASH = Reason(
    Code.CRASH_LOOP,
    "Pod qwen-0: container engine exits with code 1, 4 restarts",
    field="deployment.args",
    hint="Check deployment.args.",
    pod="qwen-0",
    container="engine",
)


def pod(*, restarts: int = 4, message: str = "") -> Object:
    ended = {"exitCode": 1, "reason": "Error", "message": message}
    status = {
        "name": "engine",
        "restartCount": restarts,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": ended},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "qwen-0", "namespace": "models", "uid": "u"},
        "spec": {"containers": [{"name": "engine"}]},
        "status": {"containerStatuses": [status]},
    }


def created_only() -> Object:
    """Return a pod whose container waits for what comes before its start."""
    live = pod()
    live["status"]["containerStatuses"] = [
        {"name": "engine", "restartCount": 0, "state": {"waiting": {"reason": "ContainerCreating"}}}
    ]
    return live


def event(reason: str, message: str, *, at: str = "10", warning: bool = True) -> Object:
    return {
        "metadata": {"name": f"{reason}.{at}"},
        "type": "Warning" if warning else "Normal",
        "reason": reason,
        "message": message,
        "lastTimestamp": f"2026-01-01T00:00:{at}Z",
    }


def refused(code: int, reason: str) -> httpx.Response:
    return httpx.Response(code, json={"kind": "Status", "reason": reason, "message": reason})


async def diagnosed(
    reason: Reason = CRASH,
    *,
    log: Callable[[bool], httpx.Response] | str = "",
    events: tuple[Object, ...] | httpx.Response = (),
    live: Object | None = None,
    secret: str = SECRET,
) -> str:
    """Return the one sentence that comes of ``reason`` when the cluster answers like this."""

    def network(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/log"):
            assert request.url.params["fieldSelector"] == "involvedObject.uid=u"
            if isinstance(events, httpx.Response):
                return events
            return httpx.Response(200, json={"metadata": {}, "items": list(events)})
        if isinstance(log, str):
            return httpx.Response(200, text=log)
        return log(request.url.params.get("previous") == "true")

    access = Access(server="https://api:6443", source="a test")
    client = Client(access, retry=NO_RETRY, http=httpx.MockTransport(network))
    try:
        (told,) = await diagnose(client, [live or pod()], [reason], secrets=[secret])
    finally:
        await client.aclose()
    assert "\n" not in told.sentence
    return told.sentence


async def test_a_crash_is_told_with_the_last_lines_of_the_run_that_crashed() -> None:
    def log(previous: bool) -> httpx.Response:
        return httpx.Response(200, text="loading\n\n\x1b[31mValueError: no GPU\x1b[0m\n" * previous)

    assert await diagnosed(log=log) == (
        "Pod qwen-0: container engine exits with code 1, 4 restarts. Last log lines: loading | "
        "ValueError: no GPU. Check deployment.args."
    )


async def test_where_the_former_run_left_no_log_the_present_one_is_read() -> None:
    def log(previous: bool) -> httpx.Response:
        return refused(400, "BadRequest") if previous else httpx.Response(200, text="starting")

    assert "Last log lines: starting. Check" in await diagnosed(log=log)


async def test_the_end_that_the_kubelet_kept_stands_in_for_a_log_that_is_gone() -> None:
    told = await diagnosed(log="", live=pod(message="panic: out of ideas\n"))
    assert "Last log lines: panic: out of ideas. Check" in told


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refused(403, "Forbidden"), "Its log cannot be read: Pod models/qwen-0: Forbidden"),
        (refused(404, "NotFound"), "It left no log. Check deployment.args."),
        (refused(500, "InternalError"), "Its log cannot be read"),
    ],
)
async def test_a_log_that_cannot_be_read_is_said_to_be_so(
    answer: httpx.Response, words: str
) -> None:
    assert words in await diagnosed(log=lambda _previous: answer)


async def test_a_long_log_is_cut_to_its_last_words() -> None:
    told = await diagnosed(log="\n".join(f"line {index} " + "x" * 300 for index in range(50)))
    assert "line 49" in told
    assert "line 40 " not in told
    assert len(told) < 1_100


async def test_the_newest_warnings_that_say_something_new_are_added() -> None:
    starting = Reason(
        Code.STARTING, "Pod qwen-0: starting its container engine", pod="qwen-0", container="engine"
    )
    events = (
        event("FailedMount", "MountVolume.SetUp failed: configmap not found", at="10"),
        event("FailedMount", "MountVolume.SetUp failed: configmap not found", at="40"),
        event("Unhealthy", "Startup probe failed: HTTP 503", at="30"),
        event("Pulled", "image pulled", warning=False, at="50"),
        event("FailedScheduling", "0/1 nodes are available", at="55"),
        event("NetworkNotReady", "too old to be told", at="05"),
    )
    assert await diagnosed(starting, events=events, live=created_only()) == (
        "Pod qwen-0: starting its container engine. FailedMount: MountVolume.SetUp failed: "
        "configmap not found. Unhealthy: Startup probe failed: HTTP 503. Look at that volume: "
        "volumes come from deployment.storage, deployment.model.uri and deployment.pod_overrides."
    )


async def test_a_missing_secret_of_a_volume_is_told_with_what_makes_it() -> None:
    starting = Reason(
        Code.STARTING, "Pod qwen-0: starting its container engine", pod="qwen-0", container="engine"
    )
    failed = 'MountVolume.SetUp failed for volume "x" : secret "absent" not found'
    told = await diagnosed(starting, events=(event("FailedMount", failed),), live=created_only())
    assert told.startswith(f"{starting.text}. FailedMount: {failed}. Create Secret absent in ")
    assert told.endswith("or change deployment.pod_overrides.")


async def test_what_held_up_a_container_is_no_reason_once_it_has_run() -> None:
    events = (
        event("FailedMount", "MountVolume.SetUp failed for a while"),
        event("FailedCreatePodSandBox", "no network yet"),
        event("Unhealthy", "Startup probe failed: connection refused"),
    )
    assert await diagnosed(events=events, log="ValueError") == (
        "Pod qwen-0: container engine exits with code 1, 4 restarts. Last log lines: ValueError. "
        "Check deployment.args."
    )


async def test_of_a_container_that_could_not_be_started_there_is_no_log() -> None:
    message = 'exec: "/app/lama": stat /app/lama: no such file or directory'
    live = pod(message=message)
    status = live["status"]["containerStatuses"][0]
    status["lastState"]["terminated"]["reason"] = "StartError"
    reason = Reason(
        Code.CRASH_LOOP,
        f"Pod qwen-0: cannot start its container engine: {message}",
        field="deployment.command",
        hint="Correct deployment.command.",
        pod="qwen-0",
        container="engine",
    )
    events = (
        event("Failed", f"Error: failed to create containerd task: {message}: unknown"),
        event("FailedMount", "it was a while until the claim was there", at="05"),
    )
    assert await diagnosed(reason, live=live, events=events, log="never") == reason.sentence


async def test_an_autoscaler_that_will_not_help_is_told() -> None:
    stuck = Reason(Code.UNSCHEDULABLE, "Pod qwen-0: cannot be scheduled", pod="qwen-0")
    events = (event("NotTriggerScaleUp", "2 max node group size reached", warning=False),)
    assert "NotTriggerScaleUp: 2 max node group size reached." in await diagnosed(
        stuck, events=events
    )


async def test_an_event_that_repeats_the_reason_is_left_out() -> None:
    missing = Reason(Code.CONFIG_MISSING, 'Pod qwen-0: secret "a" not found', pod="qwen-0")
    events = (event("Failed", 'Error: secret "a" not found'),)
    assert await diagnosed(missing, events=events) == 'Pod qwen-0: secret "a" not found.'


UNREACHABLE = (
    "dial tcp: lookup registry.example.org on 10.255.255.53:53: dial udp 10.255.255.53:53: "
    "connect: network is unreachable"
)


async def test_what_a_real_node_says_three_times_of_an_image_is_told_once() -> None:
    image = "registry.example.org/none:1"
    wrapped = (
        f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": failed '
        f'to do request: Head "https://registry.example.org/v2/none/manifests/1": {UNREACHABLE}'
    )
    pulling = Reason(
        Code.IMAGE_PULL, f"Pod qwen-0: cannot pull image {image}: {UNREACHABLE}", pod="qwen-0"
    )
    events = (
        event("Failed", f'Failed to pull image "{image}": {wrapped}', at="10"),
        event("Failed", "Error: ErrImagePull", at="11"),
        event("Failed", "Error: ImagePullBackOff", at="12"),
    )
    assert await diagnosed(pulling, events=events) == f"{pulling.text}."


async def test_events_that_cannot_be_read_are_said_to_be_so() -> None:
    starting = Reason(Code.STARTING, "Pod qwen-0: starting", pod="qwen-0")
    told = await diagnosed(starting, events=refused(403, "Forbidden"))
    assert told.startswith("Pod qwen-0: starting. Its events cannot be read: Event objects: ")


async def test_a_cluster_that_takes_too_long_leaves_the_reason_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(diagnosis, "TIME_LIMIT_SECONDS", 0.05)

    async def silent(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        raise AssertionError("answered too late")

    access = Access(server="https://api:6443", source="a test")
    client = Client(access, http=httpx.MockTransport(silent))
    (told,) = await diagnose(client, [pod()], [CRASH])
    await client.aclose()
    assert told.text.startswith(CRASH.text)
    assert told.sentence.endswith("The cluster did not tell more in time. Check deployment.args.")


async def test_reasons_without_a_pod_stay_as_they_are_and_cost_no_request() -> None:
    def network(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    access = Access(server="https://api:6443", source="a test")
    client = Client(access, http=httpx.MockTransport(network))
    reasons = (Reason(Code.QUOTA, "Quota gpus leaves no room"), CRASH)
    assert await diagnose(client, [], reasons) == reasons
    await client.aclose()


# -- secrets


async def test_a_secret_is_repeated_neither_from_logs_nor_events_nor_status() -> None:
    long_line = "x" * 150 + f" {SECRET} tail"
    events = (
        event("Unhealthy", f"probe with {SECRET} failed"),
        event("FailedMount", "y" * 290 + SECRET),
    )
    reason = Reason(Code.CRASH_LOOP, f"exit, {SECRET}", pod="qwen-0", container="engine")
    told = await diagnosed(reason, log=f"using {SECRET}\n{long_line}", events=events)
    assert SECRET not in told
    # Cut in the middle, a secret would no longer be recognised: no part of it may stay.
    assert "s3cr3t" not in told
    assert told.count("***") >= 3


async def test_a_secret_at_the_beginning_of_what_is_left_of_an_error_is_not_repeated() -> None:
    value = "first: second-half-of-it"
    starting = Reason(Code.STARTING, "Pod qwen-0: starting", pod="qwen-0")
    events = (event("FailedMount", f"{'x' * 270}, {value}: {'y' * 40}"),)
    assert masked(f"…{value[-14:]}: y", secrets=[value]) == "…***: y"
    assert "second-half" not in await diagnosed(starting, events=events, secret=value)


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("vllm serve --api-key abc123def --port 8000", "abc123def"),
        ("non-default args: {'api_key': ['abc123def'], 'port': 8000}", "abc123def"),
        ("HF_TOKEN=hf_AbCdEfGhIjKlMn loaded", "hf_AbCdEfGhIjKlMn"),
        ("401 for https://huggingface.co with hf_AbCdEfGhIjKlMn", "hf_AbCdEfGhIjKlMn"),
        ("Authorization: Bearer abcDEF123456", "abcDEF123456"),
        ("postgres://user:hunter2@db/x", "hunter2"),
        ("key sk-proj-abcdefgh12345 is wrong", "sk-proj-abcdefgh12345"),
        ("password: hunter2hunter2", "hunter2hunter2"),
        ("jwt eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl", "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl"),
    ],
)
def test_what_looks_like_a_secret_is_masked(line: str, secret: str) -> None:
    assert secret not in masked(line)
    assert "***" in masked(line)


@pytest.mark.parametrize(
    "line",
    [
        "max_num_batched_tokens=8192, max_model_len=4096",
        "ValueError: tokenizer Qwen/Qwen3-8B not found",
        'secret "hf-token" not found',
        'secret "hf-token-2" not found',
        "processed token 5 of 10",
        "couldn't find key api_key in Secret models/other",
        "GET https://huggingface.co/api/models 404",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
    ],
)
def test_what_explains_a_failure_is_left_readable(line: str) -> None:
    assert masked(line) == line


@pytest.mark.parametrize("noise", ["x", "token", "--", "eyJ", "://", " ", "'"])
def test_a_long_line_of_anything_is_masked_in_no_time(noise: str) -> None:
    began = time.process_time()  # whatever else the machine does
    masked(noise * 60_000)
    assert time.process_time() - began < 5


async def test_names_of_ours_that_look_like_secrets_stay_readable() -> None:
    reason = Reason(Code.CONFIG_MISSING, "Pod api-token: cannot start, its secret: absent")
    assert await diagnosed(reason) == "Pod api-token: cannot start, its secret: absent."


def test_a_secret_too_short_to_be_told_from_a_word_is_not_searched_for() -> None:
    assert masked("a cat sat", secrets=["a", ""]) == "a cat sat"
    assert not re.search("longer", masked("the longer one", secrets=["long", "longer"]))


async def test_the_log_of_a_run_that_has_just_ended_is_the_present_one() -> None:
    live = pod()
    status = live["status"]["containerStatuses"][0]
    status["state"] = status.pop("lastState")
    told = await diagnosed(
        live=live, log=lambda previous: httpx.Response(200, text="before" if previous else "now")
    )
    assert "Last log lines: now. Check" in told
