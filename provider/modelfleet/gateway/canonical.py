"""The files of a gateway as text: equal values are equal bytes, for people to read all the same.

JSON from the standard library, for LiteLLM's file as well: YAML reads it, and no new release of a
YAML library can change a byte of it, which would restart every gateway. Pure.
"""

from __future__ import annotations

import json
from typing import Any


def canonical_text(value: Any) -> str:
    """Return ``value`` as indented JSON, its keys in the order that it has them."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
