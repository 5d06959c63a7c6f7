"""Real nodes for a plane: kubelet, containerd and kube-proxy in namespaces of their own.

For Linux, and for root.

::

    if not lacking():                       # what this machine would need first
        real = RealNodes(folder, tools=tools, progress=progress)
        real.converge(settings, server_port=…)
        real.end()                          # no process, mount, interface, rule or cgroup is left

A node is a mount, pid, network and uts namespace held by one init process: it sees a ``/run``,
``/var/lib`` and ``/var/log`` of its own, no route leads out of it, and when its init is gone, so is
all that ran and was mounted in it. Outside, there are only veth ends and a cgroup subtree.
"""

from __future__ import annotations
