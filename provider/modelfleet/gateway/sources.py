"""The sources of the application that runs in the gateway's pods, as they travel there.

A ConfigMap carries them, so the image stays LiteLLM's own. They are part of what a renderer
renders: a release that changes them changes pods (``render/proxy/history.py``). Reads this
package's own files and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

PACKAGE: Final = "modelfleet_gateway"
"""The name under which the application is imported in its pods."""

_SUFFIX: Final = ".py"


@cache
def sources() -> Mapping[str, str]:
    """Return the text of every file of the application, by file name, in the order of the names."""
    folder = files("modelfleet.gateway") / "app"
    found = {
        each.name: each.read_text(encoding="utf-8")
        for each in folder.iterdir()
        if each.is_file() and each.name.endswith(_SUFFIX)
    }
    return MappingProxyType(dict(sorted(found.items())))
