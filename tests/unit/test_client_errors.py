"""The SDK's errors: AgentRun's shapes, and which of the core's errors becomes which."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator

import pytest

from modelfleet import errors as core
from modelfleet.client.errors import (
    AgentRunError,
    ClientError,
    DeleteResourceError,
    HTTPError,
    ResourceAlreadyExistError,
    ResourceNotExistError,
    ServerError,
    raised_as_agentruns,
)
from modelfleet.errors import ModelFleetError, Problem

BECOMES: dict[type[ModelFleetError], tuple[ModelFleetError, type[HTTPError], int]] = {
    core.SpecError: (core.SpecError("x", [Problem("a", "wrong")]), ClientError, 400),
    core.ConfigError: (core.ConfigError("protected"), ClientError, 400),
    core.ForbiddenError: (core.ForbiddenError("x", "no", status=403), ClientError, 403),
    core.ConflictError: (core.ConflictError("x", "belongs to you"), ClientError, 409),
    core.ImmutableFieldError: (core.ImmutableFieldError("x", "f", status=422), ClientError, 422),
    core.UnavailableError: (core.UnavailableError("x", "nobody answers"), ClientError, 0),
    core.ClusterError: (core.ClusterError("x", "odd"), ServerError, 500),
    core.NotFoundError: (core.NotFoundError("x", "no namespace"), ClientError, 404),
    core.AlreadyExistsError: (core.AlreadyExistsError("x", "is yours"), ClientError, 409),
}


@pytest.mark.parametrize("kind", BECOMES)
def test_an_error_of_the_core_becomes_one_of_agentruns_and_stays_its_cause(
    kind: type[ModelFleetError],
) -> None:
    error, becomes, status = BECOMES[kind]
    # Not found is no answer to a create, nor does an update ask whether something exists already.
    creating = kind is not core.AlreadyExistsError
    with pytest.raises(AgentRunError) as caught, raised_as_agentruns("qwen", creating=creating):
        raise error
    assert type(caught.value) is becomes
    assert caught.value.status_code == status
    assert caught.value.message == str(error)
    assert caught.value.__cause__ is error


def test_every_error_that_a_cluster_can_answer_with_is_in_the_table() -> None:
    def all_of(kind: type[ModelFleetError]) -> Iterator[type[ModelFleetError]]:
        yield kind
        for each in kind.__subclasses__():
            yield from all_of(each)

    public = {each for each in all_of(core.ClusterError) if each.__module__ == core.__name__}
    assert public <= set(BECOMES)


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_that_fails_is_a_server_error(status: int) -> None:
    with pytest.raises(ServerError, match=f"HTTP {status}: x: overloaded"), raised_as_agentruns(""):
        raise core.UnavailableError("x", "overloaded", status=status)


def test_existence_is_decided_by_what_was_asked_and_never_by_words() -> None:
    with pytest.raises(ResourceNotExistError) as missing, raised_as_agentruns("qwen"):
        raise core.NotFoundError("x", "whatever it says", status=404)
    with pytest.raises(ResourceAlreadyExistError) as there, raised_as_agentruns("q", creating=True):
        raise core.AlreadyExistsError("x", "whatever it says")
    assert str(missing.value) == "Resource Model(qwen) does not exist."
    assert str(there.value) == "Resource Model(q) already exists."
    assert (missing.value.status_code, there.value.status_code) == (404, 409)
    with pytest.raises(ClientError, match="403"), raised_as_agentruns("qwen"):
        raise core.ForbiddenError("x", "does not exist, not found, already exists", status=403)


def test_what_agentrun_has_no_word_for_passes_as_it_is() -> None:
    for error in (core.NotReadyError("x", ["y"]), core.ProviderBugError("x"), KeyError("x")):
        with pytest.raises(type(error)), raised_as_agentruns("qwen"):
            raise error


def test_messages_are_put_together_as_agentruns_are() -> None:
    assert str(AgentRunError("told", a=1)) == "told"
    assert AgentRunError("told", a="ä").details_str() == '{"a": "ä"}'
    assert AgentRunError("told").details_str() == ""
    assert str(HTTPError(404, "msg")) == "HTTP 404: msg"
    assert str(HTTPError(500, "msg", "r-1", "Code", field="x")) == (
        'HTTP 500: msg. Error Code: Code. Request ID: r-1. Details: {"field": "x"}'
    )
    assert str(HTTPError(500, "Do this.", error_code="Code")) == (
        "HTTP 500: Do this. Error Code: Code"
    )
    assert str(DeleteResourceError()) == "Failed to delete resource."
    assert str(DeleteResourceError("why")) == "Failed to delete resource. Reason: why"


def test_a_http_error_says_what_it_means_for_a_resource() -> None:
    missing = HTTPError(404, "whatever", "r-1").to_resource_error("Model", "a")
    assert isinstance(missing, ResourceNotExistError)
    assert (missing.request_id, missing.status_code) == ("r-1", 404)
    there = HTTPError(409, "whatever", error_code="AlreadyExists").to_resource_error("Model", "a")
    assert isinstance(there, ResourceAlreadyExistError)
    for other in (HTTPError(409, "already exists"), HTTPError(403, "does not exist")):
        assert other.to_resource_error("Model", "a") is other


@pytest.mark.parametrize(
    "error",
    [
        AgentRunError("x", a=1),
        ClientError(404, "x", "r-1", "Code", {"b": 1}, {"h": "1"}, a=1),
        ResourceNotExistError("Model", "a"),
        ResourceAlreadyExistError("Model", "a"),
        DeleteResourceError("why"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_the_way_to_another_process(error: AgentRunError) -> None:
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301
        assert type(twin) is type(error)
        assert (str(twin), twin.__dict__) == (str(error), error.__dict__)
