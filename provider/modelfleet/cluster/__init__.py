"""The only Kubernetes I/O of modelfleet: read, apply, watch and delete objects.

Objects are plain dicts, as on the wire, for every kind. What they mean (specs, engines, what is
rendered) is none of this package's business, so nothing here imports those layers.

::

    objects         kinds, references, paths                        pure
    access          one server and how to be known there            pure
    kubeconfig      where that is written                           reads files
    credentials     tokens, token files, exec helpers               runs helpers
    transport       one request: TLS, proxy, retries, bounds        HTTP
    api_errors      every API status becomes one class of error     pure
    wire            replies and events as values                    pure
    client          the verbs                                       HTTP
    managed_fields  who owns which field                            pure
    ownership       may we touch this object?                       pure
    apply, delete   objects of one resource, safely                 through the client
    records         what runs here, kept as annotations             pure
"""
