"""Changes of a ModelProxy: what they do to its pods, and how they read in a review."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from modelfleet.diff import diff
from modelfleet.resource_types import MODEL_PROXY
from modelfleet.spec.tree import with_values

FRONT: dict[str, Any] = {
    "model_proxy_name": "front",
    "routes": {
        "chat": {
            "targets": [
                {"service": "large", "weight": 80},
                {"service": {"id": "small", "model_names": ["a"]}, "weight": 20},
            ]
        }
    },
    "api_keys": {"team-a": {"key": "sk-0123456789abcdef"}, "team-b": {"generate": {}}},
}


def proxy_changes(*changed: tuple[tuple[str, ...], Any]) -> list[str]:
    changes = diff(FRONT, with_values(FRONT, dict(changed)), of=MODEL_PROXY)
    return [f"{each.change}: {each}" for each in changes]


def test_a_change_in_a_list_of_maps_names_its_places() -> None:
    targets = copy.deepcopy(FRONT["routes"]["chat"]["targets"])
    targets[0]["weight"], targets[1]["service"]["model_names"] = 70, ["b"]
    assert proxy_changes((("routes", "chat", "targets"), targets)) == [
        "rolling: routes.chat.targets [0].weight 80 → 70, [1].service.model_names [a] → [b]"
    ]


def test_keys_change_in_place_and_their_values_are_not_told() -> None:
    found = proxy_changes(
        (("api_keys", "team-a", "key"), "sk-fedcba9876543210"),
        (("api_keys", "team-b", "generate", "rotation"), 2),
        (("api_keys", "team-c"), {"key": "sk-aaaaaaaaaaaaaaaa", "limits": {"rpm": 5}}),
        (("replicas",), 3),
    )
    assert found == [
        "in_place: api_keys.team-a.key (secret) changed",
        "in_place: api_keys.team-b.generate.rotation 1 → 2",
        "in_place: api_keys.team-c (unset) → {key: (secret), limits: {rpm: 5}}",
        "in_place: replicas 1 → 3",
    ]


@pytest.mark.parametrize(
    ("path", "value", "change"),
    [
        (("cpu",), 4, "rolling"),
        (("litellm_version",), "1.108.12", "rolling"),
        (("workspace_id",), "team", "rolling"),
        (("description",), "For everybody.", "in_place"),
        (("network_configuration", "allow_from"), [{"namespace_labels": {}}], "in_place"),
        (("namespace",), "other", "replace"),
        (("model_proxy_name",), "other", "replace"),
    ],
)
def test_each_change_of_a_proxy_is_told_by_what_it_does_to_its_pods(
    path: tuple[str, ...], value: Any, change: str
) -> None:
    (told,) = proxy_changes((path, value))
    assert told.startswith(f"{change}: {'.'.join(path)}")
