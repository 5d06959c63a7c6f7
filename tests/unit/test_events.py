"""Events as lines for people: of whom, how often, and nothing that must not be repeated."""

from __future__ import annotations

from typing import Any

import pytest

from modelfleet.cluster.events import Event, events_about, slim_event
from modelfleet.cluster.objects import Object

SECRET = "s3cr3t-Value-9"


def event(
    reason: str,
    message: str,
    *,
    pod: str = "qwen-0",
    at: str = "10",
    warning: bool = True,
    **fields: Any,
) -> Object:
    return {
        "metadata": {"name": f"{reason}.{at}", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "involvedObject": {"kind": "Pod", "name": pod, "uid": f"uid-of-{pod}"},
        "type": "Warning" if warning else "Normal",
        "reason": reason,
        "message": message,
        "lastTimestamp": f"2026-01-01T00:00:{at}Z",
        **fields,
    }


def told(*events: Object, **how: Any) -> tuple[Event, ...]:
    return events_about(events, is_about=lambda _, name: name.startswith("qwen"), **how)


def test_what_happens_to_many_pods_is_one_line_with_their_number() -> None:
    (line,) = told(
        event("FailedScheduling", "0/4 nodes are available", pod="qwen-0", at="10", count=3),
        event("FailedScheduling", "0/4 nodes are available", pod="qwen-1", at="12"),
    )
    assert line == Event(
        last_at="2026-01-01T00:00:12Z",
        type="Warning",
        reason="FailedScheduling",
        about="2 Pods",
        message="0/4 nodes are available",
        count=4,
    )


def test_a_message_that_names_its_pod_is_the_same_message() -> None:
    text = "Back-off restarting container engine in pod {0}_models(uid-of-{0})"
    (line,) = told(
        event("BackOff", text.format("qwen-0")),
        event("BackOff", text.format("qwen-1"), pod="qwen-1"),
    )
    assert line.count == 2


def test_warnings_with_other_words_are_other_lines_and_what_goes_well_is_one() -> None:
    lines = told(
        event("Scheduled", "to node-0", warning=False),
        event("Scheduled", "to node-1", pod="qwen-1", at="11", warning=False),
        event("Failed", "no such image", at="12"),
        event("Failed", "no such secret", at="13"),
    )
    assert [(line.reason, line.message, line.count) for line in lines] == [
        ("Scheduled", "to node-1", 2),
        ("Failed", "no such image", 1),
        ("Failed", "no such secret", 1),
    ]


def test_events_come_newest_last_and_only_so_many() -> None:
    events = [event(f"Reason{n}", "text", at=str(n)) for n in (30, 10, 20)]
    assert [line.reason for line in told(*events)] == ["Reason10", "Reason20", "Reason30"]
    assert [line.reason for line in told(*events, limit=2)] == ["Reason20", "Reason30"]


def test_events_of_others_and_of_a_namesake_that_is_gone_are_not_told() -> None:
    events = [
        event("Killing", "an earlier one", at="05"),
        event("Killing", "somebody else's", pod="other-0"),
    ]
    assert told(*events, since="2026-01-01T00:00:06Z") == ()


@pytest.mark.parametrize(
    ("fields", "count", "last_at"),
    [
        ({"count": 7}, 7, "2026-01-01T00:00:10Z"),
        (
            {"series": {"count": 9, "lastObservedTime": "2026-01-01T00:00:40.5Z"}},
            9,
            "2026-01-01T00:00:40.5Z",
        ),
        ({"lastTimestamp": None, "eventTime": "2026-01-01T00:00:20Z"}, 1, "2026-01-01T00:00:20Z"),
        ({"lastTimestamp": None}, 1, "2026-01-01T00:00:00Z"),
    ],
)
def test_every_form_in_which_a_cluster_counts_events_is_read(
    fields: dict[str, Any], count: int, last_at: str
) -> None:
    (line,) = told(event("Pulled", "text", **fields))
    assert (line.count, line.last_at) == (count, last_at)


def test_secrets_in_messages_are_masked() -> None:
    (line,) = told(
        event("Failed", f"refused {SECRET} and HF_TOKEN=hf_abcdefghijkl"), secrets=[SECRET]
    )
    assert line.message == "refused *** and HF_TOKEN=***"


def test_what_is_kept_of_an_event_is_all_that_is_told_of_it() -> None:
    whole = event("Failed", "text", series={"count": 2}, source={"component": "kubelet"})
    slim = slim_event({**whole, "metadata": {**whole["metadata"], "managedFields": [{}]}})
    assert told(slim) == told(whole)
    assert slim.keys() == whole.keys() - {"source"}
    assert "managedFields" not in slim["metadata"]
