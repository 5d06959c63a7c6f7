"""Hashes of what is rendered: of pod templates, and of secrets under a key.

The same input gives the same hash in every process and release of Python. Pure.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any


def canonical_json(value: Any) -> bytes:
    """Return ``value`` as JSON in which equal values are equal bytes."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def short_hash(value: Any) -> str:
    """Return 10 hex digits that stand for ``value``."""
    return hashlib.sha256(canonical_json(value)).hexdigest()[:10]


def secret_hash(values: Mapping[str, str], *, key: bytes) -> str:
    """Return a hash that changes with ``values`` and tells nobody without ``key`` what they are.

    A plain hash of a short secret could be guessed from anything that shows it, such as a pod.
    """
    return hmac.new(key, canonical_json(dict(values)), hashlib.sha256).hexdigest()
