"""How packages of Python are installed here. Installs nothing itself."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def installer() -> list[str]:
    """The command to install packages: uv where there is one, else this Python's pip."""
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv:
        return [uv, "pip", "install", "--python", sys.executable]
    return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
