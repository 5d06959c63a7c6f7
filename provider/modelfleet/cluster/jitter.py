"""Chance for waits, so that those who were turned away together do not come back together. Pure.

Not Python's own ``random``: a program that seeds that, as those that train models do, must neither
find its sequence moved on by us nor give all of its processes the same delays.
"""

from __future__ import annotations

import random
from typing import Final

_CHANCE: Final = random.SystemRandom()


def jittered(ceiling: float, *, least: float = 0.5) -> float:
    """Return something between ``least`` times ``ceiling`` and ``ceiling``."""
    return ceiling * _CHANCE.uniform(least, 1.0)
