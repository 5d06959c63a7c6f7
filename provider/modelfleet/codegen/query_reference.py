"""The text of the reference of ZStack's query API: its fields, operators, parameters and tags.

Says what the tables of the API say, in Markdown; what no table says stands here, once. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from modelfleet.adapters.query_api.zstack_api.dates import FORMS
from modelfleet.adapters.query_api.zstack_api.error_codes import Code
from modelfleet.adapters.query_api.zstack_api.fields import FIELDS, Kind
from modelfleet.adapters.query_api.zstack_api.grammar import LONGEST, MEANINGS
from modelfleet.adapters.query_api.zstack_api.operations import OPERATIONS
from modelfleet.adapters.query_api.zstack_api.parameters import PARAMETERS
from modelfleet.adapters.query_api.zstack_api.tags import SYSTEM_TAG, SYSTEM_TAGS, USER_TAG
from modelfleet.codegen.reference import table

_MADE: Final = (
    "<!-- Generated from modelfleet.adapters.query_api.zstack_api. Do not edit; run "
    "`make generate`. -->"
)


def query_reference_text() -> str:
    """Return the whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# ZStack's query API: every field, operator and error"
    yield ""
    yield _MADE
    yield ""
    yield (
        "`modelfleet serve` answers queries for model services as ZStack AIOS does, of the "
        "ModelServices that the caller's account may know of: those of its namespaces and "
        "workspaces. ModelProxies are no model services. A service shows here as soon as the "
        "cluster has it; the header `X-Modelfleet-Age-Seconds` says how old an answer may be."
    )
    yield from _operations()
    yield from _access()
    yield from _query()
    yield from _fields()
    yield from _tags()
    yield from _errors()
    yield from _differences()


def _operations() -> Iterator[str]:
    yield from _head("Operations")
    rows = ((f"`{each.method} {each.path}`", each.summary) for each in OPERATIONS)
    yield from table(("Request", "Does"), rows)


def _access() -> Iterator[str]:
    yield from _head("Access")
    yield (
        '- **Session**: log in with `{"logInByAccount": {"accountName": …, "password": '
        "<SHA-512 in hex>}}`, and send `Authorization: OAuth <inventory.uuid>`. The UUID is always "
        "a new one that the server has made. A session ends after two hours, with a logout, and "
        "with any change of its account. There are at most 500 at once, of which each account may "
        "have an equal share."
    )
    yield (
        "- **Access key**: send `Date`, and `Authorization: ZStack <id>:<signature>`; the "
        "signature is the HMAC-SHA1, in base64, of verb, date and path without `/zstack`, with a "
        "line break between them. The date must be within 15 minutes of the server's clock; `CST` "
        "and `PRC` are the time of China."
    )
    yield (
        "- Neither the query nor the body is signed: that is how ZStack does it, so use TLS. A "
        "signed request that is no GET is taken once. A GET may come again while its date holds: "
        "dates have whole seconds, and clients ask the same thing twice in one."
    )


def _query() -> Iterator[str]:
    yield from _head("A query")
    yield from table(
        ("Parameter", "Says"), ((f"`{name}`", doc) for name, doc in PARAMETERS.items())
    )
    yield ""
    yield (
        "As in the original, other parameters are ignored, the first of several equal ones counts, "
        "and whatever is not `true` is false. A condition is a field, an operator and a value, "
        f"{LONGEST:,} characters at most, encoded for a URL:"
    )
    yield ""
    yield from table(
        ("Operator", "Holds where the field"),
        ((f"`{sign.value}`", meaning) for sign, meaning in MEANINGS.items()),
    )
    yield ""
    yield (
        "- The operator is what follows the field's name; one that stands in the value is part of "
        "the value (`description=a!=b`)."
    )
    yield (
        "- Values are compared as what the field holds: whole numbers, `true` and `false`, points "
        f"in time ({FORMS}; UTC unless a zone is said), and text, in which case matters. What the "
        f"field can never be is `{Code.INVALID_ARGUMENT}`. Patterns look at what an answer says."
    )
    yield (
        "- A field without a value fulfils only `is null`, as in SQL: neither `description=x` nor "
        "`description!=x`."
    )
    yield (
        "- A field with several values fulfils a condition if any of them does, and one that says "
        "*not* if none does. Without any it is null."
    )


def _fields() -> Iterator[str]:
    yield from _head("Fields of a service")
    yield (
        "What cannot be known is null, as in the original. *Rendered* is what this release makes "
        "of the declaration, overrides included. All fields can be asked for in conditions; "
        "objects only by their fields."
    )
    yield ""
    yield from table(
        ("Field", "Type", "Says", "From"),
        ((f"`{each.name}`", each.kind.value, each.doc, each.source) for each in FIELDS),
    )
    for field in FIELDS:
        if field.kind is Kind.OBJECTS:
            yield ""
            yield f"Of each of `{field.name}`:"
            yield ""
            parts = ((f"`{field.name}.{part.name}`", part.doc) for part in field.parts)
            yield from table(("Field", "Says"), parts)


def _tags() -> Iterator[str]:
    yield from _head("Tags")
    yield (
        f"`{USER_TAG}` are the `tags` that a service declares, as `key::value`: "
        f"`q={USER_TAG}=team::search`. `{SYSTEM_TAG}` say what ZStack's fields have no place for, "
        f"such as `q={SYSTEM_TAG}=status::READY`:"
    )
    yield ""
    yield from table(
        ("System tag", "Says"), ((f"`{name}::…`", doc) for name, (doc, _) in SYSTEM_TAGS.items())
    )


def _errors() -> Iterator[str]:
    yield from _head("Errors")
    yield (
        "What is wrong with the request itself is plain text: 400 (no or another "
        "`Authorization`, a parameter that cannot be read), 403 (a `Date` too far from the clock), "
        '404, 405, 413, 429. Everything else is 503 with `{"error": …}`, an ErrorCode of `code`, '
        "`description`, `details` (what is wrong here), `elaboration` (what to do), `cause`, "
        "`opaque`, and `location`, `cost`, `causes`, which are null:"
    )
    yield ""
    yield from table(("Code", "Means"), ((f"`{code.value}`", code.description) for code in Code))


def _differences() -> Iterator[str]:
    yield from _head("Otherwise than in ZStack")
    yield from table(
        ("ZStack AIOS", "Here"),
        (
            ("an operator inside a value splits the condition there", "it is part of the value"),
            (
                "`=null` and `!=null` compare with the text, though documented otherwise",
                "they ask whether there is a value; `?=null` compares with the text",
            ),
            (
                "an unknown field is an internal error",
                f"`{Code.INVALID_ARGUMENT}`, with the nearest field",
            ),
            (
                "`groupBy` is documented, and does nothing",
                "returns the first service of each group",
            ),
            ("`LIKE` has no escape", "`\\%`, `\\_` and `\\\\` are themselves"),
            ("no failed state, no replicas, no owner in a service", "system tags"),
            ("dates are in the time of the server", "dates are in UTC"),
            (
                "add, clone, update, deploy and delete",
                f"`{Code.UNIMPLEMENTED}`, with what to do instead: services are declared, or "
                f"written through AgentRun's API; `{Code.DENIED}` for who may not write. Each "
                "attempt is a line of the audit log",
            ),
            ("lists of GPU specs by UUID", "there are none: products as nodes are labelled"),
        ),
    )


def _head(title: str) -> Iterator[str]:
    yield ""
    yield f"## {title}"
    yield ""
