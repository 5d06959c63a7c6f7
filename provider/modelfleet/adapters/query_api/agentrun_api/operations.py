"""Every operation of AgentRun's API that is answered here: paths, parameters, bodies, replies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from modelfleet.adapters.query_api.agentrun_api.bodies import DEFAULT_PAGE_SIZE, LARGEST_PAGE_SIZE
from modelfleet.adapters.query_api.agentrun_api.credentials import get_credential
from modelfleet.adapters.query_api.agentrun_api.data_plane import infer
from modelfleet.adapters.query_api.agentrun_api.data_plane import refusal_form as data_form
from modelfleet.adapters.query_api.agentrun_api.providers import list_providers
from modelfleet.adapters.query_api.agentrun_api.replies import refusal_form as control_form
from modelfleet.adapters.query_api.agentrun_api.resources import Verbs
from modelfleet.adapters.query_api.agentrun_api.schemas import (
    CREDENTIAL,
    ERROR,
    OPENAI_ERROR,
    PROVIDER,
    input_schema,
    page_schema,
    reply_schema,
    told_schema,
)
from modelfleet.adapters.query_api.operations import (
    AGENTRUN_SIGNATURE,
    Operation,
    Parameter,
    Schema,
)
from modelfleet.adapters.query_api.refusal import Form
from modelfleet.agentrun.shapes import (
    ModelProxyCreateInput,
    ModelProxyUpdateInput,
    ModelServiceCreateInput,
    ModelServiceUpdateInput,
    Shape,
)
from modelfleet.resource_types import MODEL_PROXY, MODEL_SERVICE

ROOT: Final = "/2025-09-10/agents"
DATA: Final = "/models"

_CONTROL: Final = "AgentRun control API"
_DATA: Final = "AgentRun data endpoint"
_ALWAYS: Final = (400, 401, 403, 405, 408, 409, 413, 429, 500, 503, 504)
_SIGNED: Final = (AGENTRUN_SIGNATURE,)

_PAGED: Final = (
    Parameter("pageNumber", "Which page, from 1.", {"type": "integer", "minimum": 1, "default": 1}),
    Parameter(
        "pageSize",
        "How many items a page has. All pages of one listing are of one moment.",
        {
            "type": "integer",
            "minimum": 1,
            "maximum": LARGEST_PAGE_SIZE,
            "default": DEFAULT_PAGE_SIZE,
        },
    ),
)
_WORKSPACES: Final = (
    Parameter("workspaceId", "Only those of this workspace."),
    Parameter("workspaceIds", "Only those of these workspaces, separated by commas."),
)
_SERVICE_FILTERS: Final = (
    Parameter("modelType", "Only models that do this."),
    Parameter("provider", "Only those of this provider."),
    Parameter("providerType", "`hosted` for those that run here, `external` for the others."),
    *_WORKSPACES,
    *_PAGED,
)
_PROXY_FILTERS: Final = (
    Parameter("proxyMode", "Only those in this mode: single or multi."),
    Parameter("status", "Only those in this status."),
    *_WORKSPACES,
    *_PAGED,
)
_PROVIDER_FILTERS: Final = (
    Parameter("modelName", "Only those that have this model."),
    Parameter("modelType", "Only models that do this."),
    Parameter("provider", "Only this one."),
    *_PAGED,
)


def _replies(data: Schema, *others: int) -> Mapping[int, Schema | None]:
    return {200: data, **dict.fromkeys((*_ALWAYS, *others), ERROR)}


@dataclass(frozen=True)
class _Words:
    """What the document calls the resources of one kind, and how they are filtered and read."""

    kind: str
    noun: str
    nouns: str
    path: str
    filters: tuple[Parameter, ...]
    create: type[Shape]
    update: type[Shape]


_SERVICES: Final = _Words(
    MODEL_SERVICE.kind,
    "service",
    "services",
    "model-services",
    _SERVICE_FILTERS,
    ModelServiceCreateInput,
    ModelServiceUpdateInput,
)
_PROXIES: Final = _Words(
    MODEL_PROXY.kind,
    "proxy",
    "proxies",
    "model-proxies",
    _PROXY_FILTERS,
    ModelProxyCreateInput,
    ModelProxyUpdateInput,
)


def _of_kind(words: _Words) -> tuple[Operation, ...]:
    verbs, told = Verbs(words.kind), told_schema(words.kind)
    many, one = f"{ROOT}/{words.path}", f"{ROOT}/{words.path}/{{name:path}}"
    replies = _replies(reply_schema(told), 404)
    return (
        Operation(
            id=f"create{words.kind}",
            method="POST",
            path=many,
            summary=f"Create a {words.noun}",
            tag=_CONTROL,
            handler=verbs.create,
            body=input_schema(words.create),
            replies=replies,
            schemes=_SIGNED,
        ),
        Operation(
            id=f"list{words.kind}s",
            method="GET",
            path=many,
            summary=f"List {words.nouns} by name",
            tag=_CONTROL,
            handler=verbs.list,
            parameters=words.filters,
            replies=_replies(page_schema(told)),
            schemes=_SIGNED,
        ),
        Operation(
            id=f"get{words.kind}",
            method="GET",
            path=one,
            summary=f"Get a {words.noun}",
            tag=_CONTROL,
            handler=verbs.get,
            replies=replies,
            schemes=_SIGNED,
        ),
        Operation(
            id=f"update{words.kind}",
            method="PUT",
            path=one,
            summary=f"Change what the body says of a {words.noun}; null clears",
            tag=_CONTROL,
            handler=verbs.update,
            body=input_schema(words.update),
            replies=replies,
            schemes=_SIGNED,
        ),
        Operation(
            id=f"delete{words.kind}",
            method="DELETE",
            path=one,
            summary=f"Have a {words.noun} go; the reply tells how it is meanwhile",
            tag=_CONTROL,
            handler=verbs.delete,
            replies=replies,
            schemes=_SIGNED,
        ),
    )


def _handed_on(method: Literal["GET", "POST"], summary: str) -> Operation:
    refusals = (401, 403, 404, 405, 408, 409, 413, 429, 500, 502, 503, 504)
    return Operation(
        id="listModels" if method == "GET" else "infer",
        method=method,
        path=f"{DATA}/{{name}}/v1/{{path:path}}",
        summary=summary,
        tag=_DATA,
        handler=infer,
        replies={200: {}, **dict.fromkeys(refusals, OPENAI_ERROR)},
    )


OPERATIONS: Final[tuple[Operation, ...]] = (
    *_of_kind(_SERVICES),
    *_of_kind(_PROXIES),
    Operation(
        id="listModelProviders",
        method="GET",
        path=f"{ROOT}/model-providers",
        summary="List the providers of the services that there are",
        tag=_CONTROL,
        handler=list_providers,
        parameters=_PROVIDER_FILTERS,
        replies=_replies(page_schema(PROVIDER)),
        schemes=_SIGNED,
    ),
    Operation(
        id="getCredential",
        method="GET",
        path=f"{ROOT}/credentials/{{name:path}}",
        summary="Get the key that a service or proxy is called with; for accounts that may",
        tag=_CONTROL,
        handler=get_credential,
        replies=_replies(reply_schema(CREDENTIAL), 404),
        schemes=_SIGNED,
    ),
    _handed_on("GET", "List the models of a proxy, or of a service that runs here"),
    _handed_on("POST", "Have a model answer, as OpenAI's API does"),
)

FORMS: Final[Mapping[str, Form]] = {f"{ROOT}/": control_form, f"{DATA}/": data_form}
"""How refusals are worded, by the prefix of a path."""
