"""Kubernetes quantities, written as the API server writes them back.

A quantity in any other spelling would come back changed and read as drift. Pure.
"""

from __future__ import annotations

import math
from typing import Final

_BINARY_UNITS: Final = ("Mi", "Gi", "Ti", "Pi")


def cpu_quantity(cores: float) -> str:
    """Return ``cores`` as a quantity, rounded up to the thousandth: ``4``, ``500m``, ``1k``."""
    millicores = max(1, _rounded_up(cores * 1000))
    if millicores % 1000:
        return f"{millicores}m"
    whole = millicores // 1000
    return f"{whole // 1000}k" if whole % 1000 == 0 else str(whole)


def memory_quantity(gib: float) -> str:
    """Return ``gib`` as a quantity, rounded up to the MiB: ``16Gi``, ``1536Mi``, ``1Ti``."""
    amount, unit = max(1, _rounded_up(gib * 1024)), 0
    while amount % 1024 == 0 and unit < len(_BINARY_UNITS) - 1:
        amount, unit = amount // 1024, unit + 1
    return f"{amount}{_BINARY_UNITS[unit]}"


def _rounded_up(value: float) -> int:
    # 0.29 * 1000 is a hair above 290: what only binary fractions add is not rounded up.
    return math.ceil(round(value, 6))
