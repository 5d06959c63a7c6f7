"""`make up` where real nodes can be had: it ends with an answer from a real pod."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from documented import Shell, copy_of_this_checkout
from modelfleet.local import Plane


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    """A clone whose own local cluster is taken down at the end."""
    folder = copy_of_this_checkout(tmp_path / "clone")
    yield folder
    Plane(folder / ".modelfleet").down(purge=True)


@pytest.mark.timeout(3600)
def test_make_up_ends_with_an_answer_from_a_real_pod_and_does_nothing_the_second_time(
    clone: Path, transcript: Callable[..., None]
) -> None:
    shell = Shell(clone, environment={"PODS": "auto"})
    first, second = shell.run(["make up", "make up"])
    # How long pods take is told on the way there, and differs; the end does not.
    transcript("readme/make-up-pods", replace(first, stdout=_end_of(first.stdout)))
    assert "pods: real                2      2     8       0" in first.output
    assert "9 unchanged" in second.output
    (status,) = shell.run(["make down"])
    assert "kubelet" in status.output


def _end_of(printed: str) -> str:
    return printed[printed.index("==> Running") :]
