"""A caller's arguments and what is sent for them."""

from __future__ import annotations

from typing import Any

import pytest

from modelfleet.client.asked import Request, request_of

KNOWN = frozenset(
    {"messages", "model", "temperature", "metadata", "extra_headers", "extra_body", "timeout"}
)


def asked(provider: str | None = None, **given: Any) -> Request:
    return request_of(given, call="completion", known=KNOWN, provider=provider)


def test_what_openais_client_knows_goes_to_it_untouched() -> None:
    given = {"model": None, "temperature": 0, "metadata": {"team": "blue"}, "timeout": 3}
    assert asked(**given).parameters == given


def test_what_it_does_not_know_goes_into_the_body_beside_what_is_there() -> None:
    request = asked(top_k=20, min_p=0.1, extra_body={"min_p": 0.2})
    assert request.parameters == {"extra_body": {"top_k": 20, "min_p": 0.2}}


def test_headers_are_merged_under_either_name() -> None:
    request = asked(headers={"a": "1", "b": "1"}, extra_headers={"b": "2"})
    assert request.parameters == {"extra_headers": {"a": "1", "b": "2"}}
    assert "extra_headers" not in asked(headers={}).parameters


def test_options_of_the_client_are_no_part_of_the_body_and_keys_do_not_show() -> None:
    request = asked(api_key="sk-of-one-caller", max_retries=0)
    assert request.parameters == {}
    assert request.options == {"api_key": "sk-of-one-caller", "max_retries": 0}
    assert "sk-of-one-caller" not in repr(request)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("base_url", r"the resource's own; another address is Config\(endpoint=…\)"),
        ("api_version", "the resource's own"),
        ("fallbacks", "a ModelProxy declares, in its routes and policies"),
        ("num_retries", "a ModelProxy declares"),
        ("mock_response", "nothing that a gateway or an engine knows"),
        ("litellm_call_id", "only LiteLLM understands"),
        ("aws_region_name", "only LiteLLM understands"),
        ("request_timeout", "is called timeout"),
        ("thinking", "reasoning_effort"),
    ],
)
def test_what_only_litellm_understands_is_refused_by_name(name: str, why: str) -> None:
    with pytest.raises(TypeError, match=rf"^completion\(\) takes no argument '{name}', .*{why}"):
        asked(**{name: "x"})


@pytest.mark.parametrize("provider", [None, "", "openai", "custom"])
def test_a_provider_that_speaks_openais_protocol_may_be_named(provider: str | None) -> None:
    assert asked(provider, temperature=1).parameters == {"temperature": 1}


@pytest.mark.parametrize("provider", ["anthropic", "OpenAI", "vertex_ai"])
def test_a_provider_that_speaks_another_protocol_is_refused(provider: str) -> None:
    with pytest.raises(ValueError, match="every endpoint here speaks OpenAI's protocol"):
        asked(provider)
