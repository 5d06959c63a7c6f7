"""A disk for a proxy's Redis. Nothing provisions one here: a folder of a node is declared."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from client_pods import NODES

from modelfleet.local import Plane
from modelfleet.local.api import Api
from modelfleet.local.pods import real_nodes

_FOLDER = Path("/var/lib/modelfleet/disks")


@contextlib.contextmanager
def redis_disk(plane: Plane, api: Api, *, namespace: str, proxy: str) -> Iterator[None]:
    """Give the Redis of a proxy a disk, a folder of the first node that goes afterwards."""
    node, name = NODES[0], f"{namespace}-{proxy}-redis"
    inside = _FOLDER / name
    init = real_nodes.pids(plane.state_folder / "plane")[f"{node}/{real_nodes.INIT}"]
    folder = Path(f"/proc/{init}/root{inside}")
    folder.mkdir(parents=True)
    volume = {
        "metadata": {"name": name},
        "spec": {
            "storageClassName": "",
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "persistentVolumeReclaimPolicy": "Retain",
            # Unlike a hostPath, it is made the group's to write that the pod asks for.
            "local": {"path": str(inside)},
            "nodeAffinity": {
                "required": {
                    "nodeSelectorTerms": [
                        {
                            "matchExpressions": [
                                {
                                    "key": "kubernetes.io/hostname",
                                    "operator": "In",
                                    "values": [node],
                                }
                            ]
                        }
                    ]
                }
            },
            "claimRef": {"namespace": namespace, "name": f"data-{proxy}-redis-0"},
        },
    }
    api.send("POST", "/api/v1/persistentvolumes", json=volume)
    yield
    api.send("DELETE", f"/api/v1/persistentvolumes/{name}")
