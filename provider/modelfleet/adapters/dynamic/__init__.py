"""The Pulumi dynamic provider: translates the engine's calls into the core's verbs.

``provider.py`` holds the verbs, ``state.py`` what stands in the state. The rest is plumbing
between them and an SDK that gives a dynamic provider four threads, no URN, no log and no partial
failure; each module gives one of these back and says how:

==================  ============================================================================
stateless.py        base class of our providers: constant pickle, one set-up per process
calls.py            the engine's request that a thread is serving (verb, URN, name, timeout)
check_failures.py   problems of a declaration, without the values
declared_once.py    two resources that mean the same service
lookup.py           services that a program refers to by their id
ignored.py          what ``ignore_changes`` names stays as it is live
reporting.py        exceptions become one paragraph; our own bugs keep their traceback
init_failed.py      "it exists, but is not ready": kept in the state, continued by the next ``up``
rpc_status.py       the answer to a failed call, on the wire
engine_link.py      messages beside a resource, and the end of the engine noticed
pool.py             more threads
secrets_wire.py     secrets in the form the engine understands
loop.py             the one background event loop
==================  ============================================================================

``calls.py``, ``rpc_status.py``, ``init_failed.py`` and ``pool.py`` rest on internals of the SDK.
That is why ``pyproject.toml`` pins its minor version; ``tests/engine/test_engine_contract.py``
shows whether a new one still fits. Where it does not, each falls back to something worse but safe.
"""
