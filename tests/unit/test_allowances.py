"""What a namespace allows: the numbers of a refusal, told as what is short and by how much."""

from __future__ import annotations

import pytest

from modelfleet.cluster.allowances import allowance

QUOTA = "(kubernetes.core.v1.ResourceQuota in a Pulumi program)"
RANGE = "(kubernetes.core.v1.LimitRange in a Pulumi program)"


def exceeded(requested: str, used: str, limited: str) -> str:
    return (
        f'pods "x" is forbidden: exceeded quota: team, requested: {requested}, used: {used}, '
        f"limited: {limited}"
    )


@pytest.mark.parametrize(
    ("message", "short", "field", "lower", "raised"),
    [
        (
            exceeded(
                "requests.nvidia.com/gpu=4",
                "requests.nvidia.com/gpu=6",
                "requests.nvidia.com/gpu=8",
            ),
            "2 requests.nvidia.com/gpu",
            "deployment.gpu.count",
            "deployment.gpu.count or deployment.replicas",
            "requests.nvidia.com/gpu",
        ),
        (
            exceeded("requests.memory=40Gi", "requests.memory=100Gi", "requests.memory=128Gi"),
            "12Gi requests.memory",
            "deployment.memory_gib",
            "deployment.memory_gib or deployment.replicas",
            "requests.memory",
        ),
        (
            exceeded("memory=256Mi", "memory=0", "memory=100Mi"),
            "156Mi memory",
            "deployment.memory_gib",
            "deployment.memory_gib or deployment.replicas",
            "memory",
        ),
        (
            exceeded("cpu=250m,pods=1", "cpu=3900m,pods=2", "cpu=4,pods=3"),
            "150m cpu",
            "deployment.cpu",
            "deployment.cpu or deployment.replicas",
            "cpu",
        ),
        (
            exceeded("cpu=2,memory=8Gi", "cpu=3,memory=8Gi", "cpu=4,memory=8Gi"),
            "1 cpu and 8Gi memory",
            "deployment.cpu",
            "deployment.cpu or deployment.memory_gib or deployment.replicas",
            "cpu and memory",
        ),
        (
            exceeded("requests.storage=1Gi", "requests.storage=5Gi", "requests.storage=5Gi"),
            "1Gi requests.storage",
            "deployment.storage",
            "deployment.storage or deployment.replicas",
            "requests.storage",
        ),
        (
            exceeded("count/services=1", "count/services=5", "count/services=5"),
            "1 count/services",
            "deployment.replicas",
            "deployment.replicas",
            "count/services",
        ),
    ],
)
def test_a_quota_is_told_by_what_is_short_and_by_how_much(
    message: str, short: str, field: str, lower: str, raised: str
) -> None:
    found = allowance(message)
    assert found is not None
    assert found.may_grow
    assert found.field == field
    assert found.text.startswith(f"ResourceQuota team is short of {short} (requested: ")
    assert found.hint == f"Lower {lower}, or raise {raised} of ResourceQuota team {QUOTA}."


@pytest.mark.parametrize(
    ("specified", "field"),
    [
        ("limits.cpu for: engine", "deployment.pod_overrides"),
        ("limits.cpu,limits.memory for: engine", "deployment.pod_overrides"),
        ("requests.cpu for: engine; requests.memory for: engine", "deployment.cpu"),
        ("memory for: engine", "deployment.memory_gib"),
    ],
)
def test_a_quota_that_counts_what_is_not_declared_asks_for_it_or_for_a_default(
    specified: str, field: str
) -> None:
    found = allowance(f'pods "x" is forbidden: failed quota: team: must specify {specified}')
    assert found is not None
    assert not found.may_grow
    assert found.field == field
    assert found.hint == (
        f"Declare it in {field}, give it a default with a LimitRange {RANGE}, or take it out of "
        f"ResourceQuota team {QUOTA}."
    )


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("maximum memory usage per Container is 1Gi, but limit is 2Gi", "deployment.memory_gib"),
        ("minimum cpu usage per Pod is 100m, but request is 50m", "deployment.cpu"),
        ("maximum cpu usage per Container is 2.  No limit is specified", "deployment.cpu"),
        (
            "memory max limit to request ratio per Container is 2, but provided ratio is 4.000000",
            "deployment.memory_gib",
        ),
        (
            "maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 10Gi",
            "deployment.storage",
        ),
    ],
)
def test_a_range_is_told_with_both_numbers_and_the_field(message: str, field: str) -> None:
    found = allowance(f'pods "x" is forbidden: {message}')
    assert found is not None
    assert found.field == field
    assert found.text == f"a LimitRange of the namespace: {message.split('.  ')[0]}"
    assert found.hint == f"Change {field}, or the LimitRange {RANGE} of the namespace."


@pytest.mark.parametrize(
    "message", ["", 'pods "x" is forbidden: violates PodSecurity "restricted"', "exceeded"]
)
def test_other_refusals_are_not_about_what_a_namespace_allows(message: str) -> None:
    assert allowance(message) is None
