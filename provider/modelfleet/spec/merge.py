"""Deep merge of partial declarations: the meaning of ``base=``.

Later values win; mappings are merged key by key, everything else (lists too) is replaced whole.
``None`` in a later declaration takes an earlier value away. Pure, and blind to what it merges.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merged(*declarations: Mapping[str, Any]) -> dict[str, Any]:
    """Return one declaration out of several, the last one winning.

    Mappings in the result are new; leaves are shared with the arguments.
    """
    result: dict[str, Any] = {}
    for declaration in declarations:
        for key, value in declaration.items():
            earlier = result.get(key)
            if value is None:
                result.pop(key, None)
            elif isinstance(value, Mapping):
                result[key] = merged(earlier if isinstance(earlier, Mapping) else {}, value)
            else:
                result[key] = value
    return result
