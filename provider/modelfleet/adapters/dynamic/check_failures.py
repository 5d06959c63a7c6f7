"""Problems of a declaration, as ``check`` returns them.

The engine prints a failure as ``property P value V has a problem: reason``, and V is the plain
value even of a secret when P is the name of a top-level property; for any path below it is
``{<nil>}``. So a failure names no property: its path leads the reason, which also reads better.
"""

from __future__ import annotations

from collections.abc import Iterable

from pulumi.dynamic import CheckFailure

from modelfleet.errors import Problem


def check_failures(problems: Iterable[Problem]) -> list[CheckFailure]:
    """Return one failure per problem, sorted by path; each is shown as one line."""
    return [CheckFailure("", str(problem)) for problem in sorted(problems)]
