"""Which release of LiteLLM a ModelProxy runs: what is declared, or what was fixed when it was made.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from modelfleet.spec.proxy import DEFAULT_LITELLM_VERSION
from modelfleet.spec.tree import IsUnknown, never_unknown

_FIELD: Final = "litellm_version"


def with_release_fixed(
    inputs: Mapping[str, Any],
    prior: Mapping[str, Any] | None,
    *,
    is_unknown: IsUnknown = never_unknown,
) -> dict[str, Any]:
    """Return raw ``inputs`` with the release fixed.

    A declared one stays. An absent one is that of ``prior``, so that a new release of modelfleet
    restarts nothing; for a proxy that is new, the default.
    """
    if inputs.get(_FIELD) is not None:
        return dict(inputs)
    before = (prior or {}).get(_FIELD)
    kept = isinstance(before, str) and not is_unknown(before)
    return {**inputs, _FIELD: before if kept else DEFAULT_LITELLM_VERSION}
