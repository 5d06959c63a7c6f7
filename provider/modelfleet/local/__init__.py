"""A real Pulumi engine and a real Kubernetes control plane on this machine.

Its nodes are fake, as many as are asked for; as root on Linux two more can be real, and run pods.

::

    plane = Plane()                       # state in .modelfleet/ of this project
    plane.up(gpus="h100-80gb:8x2")        # builds what is missing, starts what is not running
    plane.environment()                   # what a shell or a child process needs to use it
    plane.down()

This package knows nothing of model services: it starts programs, writes nodes, and says where
everything is. It uses :mod:`modelfleet.errors` and nothing else of the project.
"""

from __future__ import annotations

from modelfleet.local.errors import LocalError, NotRunningError
from modelfleet.local.plane import Plane
from modelfleet.local.progress import Progress
from modelfleet.local.settings import DEFAULT_GPUS
from modelfleet.local.status import Status
from modelfleet.local.tools import Tools, install_tools

__all__ = [
    "DEFAULT_GPUS",
    "LocalError",
    "NotRunningError",
    "Plane",
    "Progress",
    "Status",
    "Tools",
    "install_tools",
]
