"""Bodies of creates and updates on AgentRun's wire, as tired people and attackers write them."""

from __future__ import annotations

import json
from typing import Any, Final

from hypothesis import strategies as st
from spoiling import RUBBISH, at, paths_in, with_value, without

KEY: Final = "sk-a-key-in-its-place"
"""A secret where one belongs."""
STRAY: Final = "sk-a-key-gone-astray"
"""A secret where none belongs; whoever refuses it must not repeat it."""

_MODEL: Final = {
    "modelName": "gpt-x",
    "modelFeatures": {"toolCall": True},
    "modelProperties": {"contextSize": 8192},
    "modelParameterRules": [{"name": "t", "type": "float", "default": 1, "min": 0, "max": 2}],
}
_EXTERNAL: Final = {
    "modelType": "llm",
    "provider": "openai",
    "providerSettings": {
        "baseUrl": "https://api.example.com/v1",
        "modelNames": ["gpt-x"],
        "apiKey": KEY,
    },
    "modelInfoConfigs": [_MODEL],
    "description": "for people",
    "tags": {"team": "a"},
    "networkConfiguration": {"networkMode": "PRIVATE"},
}
_HOSTED: Final = {
    "deployment": {
        "model": {"uri": "hf://org/model", "revision": "main"},
        "runtime": "vllm",
        "gpu": {"count": 1, "product": "NVIDIA-L4"},
        "replicas": 2,
        "cpu": 4,
        "memoryGib": 16,
        "env": {"A": "1", "B": {"secret": "own/key"}},
        "secretEnv": {"TOKEN": KEY},
        "nodeSelector": {"pool": "a"},
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "podOverrides": {"spec": {"containers": [{"name": "engine", "env": []}]}},
    },
}
_PROXY: Final = {
    "proxyConfig": {
        "endpoints": [
            {"modelServiceName": "mine", "weight": 2},
            {"baseUrl": "https://b.example.com/v1", "modelNames": ["gpt-x"]},
        ],
        "policies": {"numRetries": 2, "tokenRateLimiter": {"tpm": 100}},
    },
    "apiKeys": {"team": {"key": KEY, "limits": {"rpm": 5}}, "other": {"generate": {}}},
    "cpu": 2,
    "memory": 4096,
}
_ROUTES: Final = {
    "routes": {"chat": {"targets": [{"service": "mine", "modelName": "gpt-x"}]}},
    "policies": {"cache": True, "fallbacks": [{"modelName": "chat"}]},
}
_ALL: Final = [
    ("ModelService", "modelServiceName", "qwen", [_EXTERNAL, _HOSTED]),
    ("ModelProxy", "modelProxyName", "gate", [_PROXY, _ROUTES]),
]

_NAMES: Final = [
    *("modelServiceNam", "apiKey", "ApiKey", "api_key", "credentialName", "namespace", "cluster"),
    *("owner", "status", "baseUrl", "vpcId", "executionRoleArn", "workspaceId", "deployment"),
    *("", " ", "\x00", "\ud800", "__proto__", "__class__", "a.b", "$ref", "description", "tags"),
]
_ELSEWHERE: Final = [
    *("theirs", "models/theirs", "other/far", "mine", "missing", "theirs-external/api_key"),
    *("http://theirs.models.svc/v1", "http://far.other/v1", "http://169.254.169.254/latest"),
]
_TEXTS: Final = ["\ud83d", "a\udc00", "\x00", "a\u2028b", "\x1b[31m", "\r\nX: y", "x" * 20_000]
_FRAGMENTS: Final = {
    "@1@": "1e999",
    "@2@": "-1e400",
    "@3@": "9" * 5_000,
    "@4@": "NaN",
    "@5@": "Infinity",
    "@6@": "[" * 70 + "]" * 70,
    "@7@": '{"a":' * 300 + "1" + "}" * 300,
    "@8@": "[" * 3_000 + "]" * 3_000,
    "@9@": '{"a": 1, "a": 2}',
    "@10@": "1" * 400 + ".5",
    "@11@": "-0",
    "@12@": "1E-9999",
}
"""JSON that no Python value is written as, each by what stands for it until then."""

_WILD: Final = [
    *(each for each in RUBBISH if each == each and each not in (float("inf"), float("-inf"))),
    *_TEXTS,
    *_FRAGMENTS,
    *_ELSEWHERE,
    None,
    {"key": STRAY},
    [STRAY],
    {"deeper": {"still": STRAY}},
]


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, bool, bytes]:
    """Draw a kind, whether it is an update, and the text of a body."""
    kind, name_field, name, bases = draw(st.sampled_from(_ALL))
    is_update = draw(st.booleans())
    base = draw(st.sampled_from(bases))
    tree: Any = dict(base) if is_update else {name_field: name, **base}
    for _ in range(draw(st.integers(0, 3))):
        tree = _spoilt(draw, tree)
    text = json.dumps(tree)
    for sign, fragment in _FRAGMENTS.items():
        text = text.replace(f'"{sign}"', fragment)
    chance = draw(st.integers(0, 60))
    if chance == 0:
        text = text[: draw(st.integers(0, len(text)))]
    content = text.encode()
    return kind, is_update, b"\xff" + content if chance == 1 else content


def _spoilt(draw: st.DrawFn, tree: Any) -> Any:
    paths = list(paths_in(tree))
    if not paths:
        return tree
    path = draw(st.sampled_from(paths))
    way = draw(st.sampled_from(["wild", "wild", "add", "stray", "remove", "move"]))
    if way == "wild":
        return with_value(tree, path, draw(st.sampled_from(_WILD)))
    if way == "remove":
        return without(tree, path)
    if way == "move":
        moved = json.dumps(at(tree, draw(st.sampled_from(paths)))).replace(KEY, "moved")
        return with_value(tree, path, json.loads(moved))
    maps = [each for each in [(), *paths] if isinstance(at(tree, each), dict)]
    owner = draw(st.sampled_from(maps))
    if way == "add":
        name, value = draw(st.sampled_from(_NAMES)), draw(st.sampled_from(_WILD))
        return with_value(tree, (*owner, name), value)
    # A key under a name that is nearly right.
    return with_value(tree, (*owner, draw(st.sampled_from(["apiKeys_", "keyy", "token"]))), STRAY)
