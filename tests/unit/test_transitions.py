"""What a service cannot become, being what it is: said by a plan, before a cluster is asked."""

from __future__ import annotations

from typing import Any

import pytest
from declarations import FULL_RUNTIME, UNKNOWN, hosted, is_unknown

from modelfleet.plan import plan


def stored(**storage: Any) -> dict[str, Any]:
    return hosted(
        {
            "runtime": FULL_RUNTIME,
            "runtime_version": None,
            "storage": {"kind": "pvc", "access_mode": "ReadWriteMany", **storage},
        }
    )


def problems(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    found = plan(after, prior=before, is_unknown=is_unknown, unknown=UNKNOWN).problems
    return [str(problem) for problem in found]


def test_a_claim_cannot_shrink() -> None:
    (found,) = problems(stored(size_gib=100), stored(size_gib=50.5))
    assert found.startswith(
        "deployment.storage.size_gib: is 50.5, and a claim of 100 GiB cannot shrink; for another "
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(stored(size_gib=100), stored(size_gib=100.0), id="the same"),
        pytest.param(stored(size_gib=100), stored(size_gib=200), id="it grows"),
        pytest.param(
            stored(size_gib=100), stored(size_gib=50, class_name="other"), id="another claim"
        ),
        pytest.param(
            stored(size_gib=100), stored(claim="models", access_mode=None), id="an existing claim"
        ),
        pytest.param(
            stored(claim="models", access_mode=None), stored(size_gib=50), id="none that exists"
        ),
        pytest.param(
            stored(size_gib=100), stored(size_gib=50, class_name=UNKNOWN), id="maybe another claim"
        ),
        pytest.param(stored(size_gib=100), stored(size_gib=UNKNOWN), id="an unknown size"),
        pytest.param(
            hosted({"storage": {"size_gib": 100}}),
            hosted({"storage": {"size_gib": 50}, "gpu": {}, "runtime_version": "v0.30.0"}),
            id="the limit of an empty_dir",
        ),
    ],
)
def test_everything_else_can_change(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert problems(before, after) == []
