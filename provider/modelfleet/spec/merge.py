"""Deep merge of partial declarations: the meaning of ``base=``.

Later values win; mappings are merged key by key, everything else (lists too) is replaced whole.
``None`` in a later declaration takes an earlier value away; what is merged with an unknown value
stays unknown. Pure, and blind to what it merges.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelfleet.spec.tree import IsUnknown, never_unknown


def merged(
    *declarations: Mapping[str, Any], is_unknown: IsUnknown = never_unknown
) -> dict[str, Any]:
    """Return one declaration out of several, the last one winning.

    Mappings in the result are new; leaves are shared with the arguments. An earlier value for
    which ``is_unknown`` holds may turn out to be a mapping: it stands for whatever a later
    mapping would make of it.
    """
    result: dict[str, Any] = {}
    for declaration in declarations:
        for key, value in declaration.items():
            earlier = result.get(key)
            if value is None:
                result.pop(key, None)
            elif isinstance(value, Mapping):
                if not is_unknown(earlier):
                    earlier = earlier if isinstance(earlier, Mapping) else {}
                    result[key] = merged(earlier, value, is_unknown=is_unknown)
            else:
                result[key] = value
    return result
