"""The only Kubernetes I/O of modelfleet: read, apply, watch and delete objects.

Objects are plain dicts, as on the wire, for every kind. What they mean (specs, engines, what is
rendered) is none of this package's business, so nothing here imports those layers.

::

    objects         kinds, references, paths                        pure
    access          one server and how to be known there            pure
    kubeconfig      where that is written, in named entries         reads files
    credentials     tokens, token files, exec helpers               runs helpers
    connections     TLS, proxy, and how many requests at once       HTTP
    transport       one request: credentials and retries            HTTP
    api_errors      every API status becomes one class of error     pure
    wire            replies and events as values                    pure
    client          the verbs                                       HTTP
    channels        a forwarded port's bytes as WebSocket messages  pure
    tunnel          one connection to a port of a pod               through the client
    port_forward    a port of a pod as a local port                 through the client
    pod_requests    what a pod tells on such a port                 through the client
    managed_fields  who owns which field                            pure
    ownership       may we touch this object?                       pure
    apply, delete   objects of one resource, safely                 through the client
    records         what runs here, kept as annotations             pure
    mirror, slim    the newest known objects, and what is kept      pure
    follow, watch   a live copy of a kind: one LIST, one WATCH      through the client
    live            services to wait for, resources to read         through watches
    readiness       ready, waiting or failed, and why               pure
    set_readiness   the same of a StatefulSet                       pure
    diagnosis       what logs and events add to a failure           through the client

``readiness`` composes ``rollout``, ``revisions``, ``pod_state``, ``container_state``,
``scheduling`` and ``reasons``; what others wrote is passed on through ``masking``.
"""
