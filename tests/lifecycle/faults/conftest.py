"""What the tests of faults are given: fleets whose requests meet some."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from faults.faulty_fleet import Through, through_faults
from modelfleet.cluster.kubeconfig import load_access


@pytest.fixture
def through(fleet_kubeconfig: Path) -> Through:
    """``through(schedule, retry=…)`` gives a fleet of the least rights behind a fault proxy."""
    return partial(through_faults, load_access(kubeconfig=str(fleet_kubeconfig)))
