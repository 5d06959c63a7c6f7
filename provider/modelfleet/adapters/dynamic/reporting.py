"""What a user reads when a verb raises.

A ``ModelFleetError`` is the user's to act on: its text alone is shown, one paragraph. Anything
else is a bug of ours: it is shown with its traceback and says that it is ours. Every verb of a
provider runs under ``reported``. Where the running call cannot be found (see ``calls.py``), the
engine shows what the SDK makes of the exception: the same text below a traceback.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from modelfleet.adapters.dynamic.calls import Call, calling_request
from modelfleet.adapters.dynamic.rpc_status import set_failure
from modelfleet.errors import ModelFleetError, ProviderBugError


@contextmanager
def reported() -> Iterator[None]:
    """Show the user errors as sentences, and bugs with their traceback. A decorator for verbs.

    ::

        @reported()
        def create(self, props): ...

    Raises ModelFleetError as it is, and ProviderBugError in place of everything else.
    """
    try:
        yield
    except ProviderBugError as bug:
        _answer(bug_text(bug))
        raise
    except ModelFleetError as error:
        _answer(str(error))
        raise
    except Exception as unexpected:
        _answer(bug_text(unexpected))
        raise _bug(unexpected) from unexpected


def bug_text(error: Exception) -> str:
    """Return what a user reads of a bug: the traceback, and that it is ours."""
    return f"{''.join(traceback.format_exception(error))}\n{_bug(error)}"


def _answer(text: str) -> None:
    call = calling_request()
    if call is not None:
        set_failure(call, text)


def _bug(error: Exception) -> ProviderBugError:
    if isinstance(error, ProviderBugError):
        return error
    return ProviderBugError(_summary(error, calling_request()))


def _summary(unexpected: Exception, call: Call | None) -> str:
    subject = f"{call.type.rpartition(':')[2]} {call.name}: {call.verb}" if call else "a verb"
    return f"{subject} ended with {type(unexpected).__name__}."
