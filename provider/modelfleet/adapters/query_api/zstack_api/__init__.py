"""ZStack's query API for model services: its paths, words, fields and errors. Reads, and no more.

``OPERATIONS`` are what is routed; ``FORMS`` word what does not reach them. How the original
behaves, and where this differs, is in ``docs/reference/query-api.md``, which is made from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from modelfleet.adapters.query_api.refusal import Form
from modelfleet.adapters.query_api.zstack_api.operations import OPERATIONS, ROOT
from modelfleet.adapters.query_api.zstack_api.replies import refused

__all__ = ["FORMS", "OPERATIONS", "ROOT"]

FORMS: Final[Mapping[str, Form]] = {"/zstack/": refused}
"""How refusals are worded, by the prefix of a path."""
