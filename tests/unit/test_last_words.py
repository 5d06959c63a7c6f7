"""What last words and failed probes are known to mean; the texts are those of real nodes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelfleet.cluster.last_words import explained, lines_of, quoted
from modelfleet.cluster.others_words import missing_config, telling
from modelfleet.cluster.reasons import Code, FieldNames, Reason

FIELDS = replace(FieldNames(), port="deployment.runtime.port")
CRASH = Reason(
    Code.CRASH_LOOP, "Pod q-0: container engine exits with code 1, 3 restarts", "deployment.args"
)
UNPROBED = Reason(
    Code.PROBE_FAILING,
    "Pod q-0: not started within 10 s",
    "deployment.startup_seconds",
    "Raise it.",
)
REFUSED = (
    'Startup probe failed: Get "http://198.18.129.6:8080/health": dial tcp 198.18.129.6:8080: '
    "connect: connection refused"
)


@pytest.mark.parametrize(
    ("line", "field", "words"),
    [
        (
            "0.00.010.289 E gguf_init_from_file: failed to open GGUF file '/models/m/none.gguf' "
            "(No such file or directory)",
            "deployment.model.uri",
            "Correct deployment.model.uri, or put the model there",
        ),
        (
            "0.00.011.903 E gguf_init_from_file: failed to open GGUF file '/models/m/a.gguf' "
            "(Permission denied)",
            "deployment.model.uri",
            "must be readable by all, or by group 0",
        ),
        ("error: invalid argument: --no-such-flag", "deployment.args", "does not take that"),
        (
            "vllm: error: unrecognized arguments: --no-such-flag",
            "deployment.args",
            "does not take that",
        ),
        (
            "error: unexpected argument '--no-such-flag' found",
            "deployment.args",
            "does not take that",
        ),
    ],
)
def test_a_line_that_is_known_is_told_alone_and_leads_to_its_field(
    line: str, field: str, words: str
) -> None:
    log = f"0.00.000.001 I srv init: loading\n{line}\n0.00.012.971 E srv exiting\n"
    told = explained(CRASH, lines_of(log), (), fields=FIELDS)
    assert told is not None
    assert told.field == field
    assert words in told.hint
    assert told.text == f"{CRASH.text}: {line.partition(' E ')[2] or line}"


@pytest.mark.parametrize(
    "line",
    [
        "open /etc/other: permission denied",
        "ValueError: no GPU",
        "config not found, using defaults",
    ],
)
def test_a_line_that_is_not_known_explains_nothing(line: str) -> None:
    assert explained(CRASH, [line], (), fields=FIELDS) is None


def test_only_an_engine_is_taken_to_speak_of_the_model() -> None:
    line = "cannot read /models/m: permission denied"
    sidecar = replace(CRASH, field="deployment.pod_overrides")
    assert explained(sidecar, [line], (), fields=FIELDS) is None


def test_a_server_on_another_port_is_told_by_both_ports() -> None:
    lines = ["srv llama_server: listening on http://0.0.0.0:9999"]
    told = explained(UNPROBED, lines, [REFUSED], fields=FIELDS)
    assert told is not None
    assert told.text.endswith(": it listens on port 9999, and not on 8080")
    assert told.field == "deployment.runtime.port"
    assert "deployment.runtime.port or deployment.args" in told.hint


def test_a_server_that_does_not_listen_yet_may_need_longer() -> None:
    told = explained(UNPROBED, ["loading"], [REFUSED], fields=FIELDS)
    assert told is not None
    assert told.text.endswith(": nothing listens on port 8080")
    assert (told.field, told.hint) == (UNPROBED.field, UNPROBED.hint)


def test_a_server_that_listens_where_it_is_asked_is_not_told_so() -> None:
    lines = ["INFO: Uvicorn running on http://0.0.0.0:8080 (Press CTRL+C to quit)"]
    assert explained(UNPROBED, lines, [REFUSED], fields=FIELDS) is None


def test_a_health_path_that_does_not_exist_leads_to_the_probes() -> None:
    probe = "Startup probe failed: HTTP probe failed with statuscode: 404"
    told = explained(UNPROBED, [], [probe], fields=FIELDS)
    assert told is not None
    assert told.field == FIELDS.probes
    busy = probe.replace("404", "503")
    assert explained(UNPROBED, [], [busy], fields=FIELDS) is None


def test_what_is_said_again_and_again_is_quoted_once_and_without_clocks() -> None:
    log = "0.00.1 E failed\n0.00.2 E failed\n[2026-01-01T00:00:00Z] INFO ready\n\n"
    assert quoted(lines_of(log)) == "Last log lines: failed | INFO ready"
    assert quoted([]) == "It left no log"


# -- what runtimes and kubelets write

RUNC = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc "
    "create failed: unable to start container process: "
)
PULL = (
    'rpc error: code = NotFound desc = failed to pull and unpack image "r/e:1": failed to resolve '
    'reference "r/e:1": '
)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        (
            f'{RUNC}exec: "/app/lama": stat /app/lama: no such file or directory: unknown',
            'exec: "/app/lama": stat /app/lama: no such file or directory',
        ),
        (f"{PULL}r/e:1: not found", "r/e:1: not found"),
        (
            f'Failed to pull image "r/e:1": {PULL}failed to do request: Head '
            '"https://r/v2/e/manifests/1": dial tcp: lookup r: no such host',
            "dial tcp: lookup r: no such host",
        ),
        ("of a shape that nobody knows: as it is", "of a shape that nobody knows: as it is"),
        ("x" * 200 + ": " + "y" * 200 + ": the end", "…" + "y" * 200 + ": the end"),
    ],
)
def test_an_error_is_told_by_its_end(text: str, end: str) -> None:
    assert telling(text) == end


def test_what_is_missing_is_read_out_of_a_kubelets_message() -> None:
    missing = missing_config('MountVolume.SetUp failed for volume "x" : secret "absent" not found')
    assert missing is not None
    assert missing.name == "absent"
    assert missing.told.startswith("Secret absent in the same namespace (kubernetes.core.v1.Secret")
    assert missing_config("no room left") is None


GATEWAY = FieldNames(args="image", image="image", image_version="litellm_version")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ModuleNotFoundError: No module named 'litellm'", "Correct litellm_version and image"),
        (
            "ImportError: cannot import name 'app' from 'litellm.proxy.proxy_server'",
            "Correct litellm_version and image",
        ),
        ("OSError: [Errno 30] Read-only file system: '/app/x'", "it wants to write"),
    ],
)
def test_what_keeps_a_gateway_from_starting_leads_to_its_image(line: str, words: str) -> None:
    crash = Reason(
        Code.CRASH_LOOP,
        "Pod g-0: container gateway exits with code 1",
        "image",
        "",
        "g-0",
        "gateway",
    )
    lines = lines_of(f"Traceback (most recent call last):\n  File ...\n{line}\n")
    found = explained(crash, lines, [], fields=GATEWAY)
    assert found is not None
    assert found.text.endswith(line)
    assert found.field == "image"
    assert words in found.hint
    assert explained(crash, ["something else"], [], fields=GATEWAY) is None


def test_a_disk_that_redis_cannot_use_leads_to_its_storage_class() -> None:
    line = "# Can't open or create append-only dir appendonlydir: Permission denied"
    crash = Reason(Code.CRASH_LOOP, "Pod g-redis-0: exits", "redis.image", "", "g-0", "redis")
    fields = FieldNames(args="redis.image", storage="redis.storage_class")
    found = explained(crash, ["Server initialized", line], [], fields=fields)
    assert found is not None
    assert found.field == "redis.storage_class"
    assert "writable for the pod's group" in found.hint
