"""One program, two SDKs: AgentRun's own on the HTTP API, and ``modelfleet.client`` on the cluster.

``main.py agentrun`` and ``main.py modelfleet`` differ by their imports, and by what the environment
says of where the fleet is. Each says line by line what came of every call.
"""

# mypy: ignore-errors
# (a program as it was written for AgentRun's SDK, which is no part of this environment)
import asyncio
import os
import sys

if sys.argv[1:] == ["modelfleet"]:
    from modelfleet.client import (
        BackendType,
        Config,
        HTTPError,
        ModelClient,
        ModelProxy,
        ModelProxyCreateInput,
        ModelProxyListInput,
        ModelProxyUpdateInput,
        ModelService,
        ModelServiceCreateInput,
        ModelServiceListInput,
        ModelServiceUpdateInput,
        ProviderSettings,
        ProxyConfig,
        ProxyConfigEndpoint,
    )
else:
    from agentrun.model import (
        BackendType,
        ModelClient,
        ModelProxy,
        ModelProxyCreateInput,
        ModelProxyListInput,
        ModelProxyUpdateInput,
        ModelService,
        ModelServiceCreateInput,
        ModelServiceListInput,
        ModelServiceUpdateInput,
        ProviderSettings,
        ProxyConfig,
        ProxyConfigEndpoint,
    )
    from agentrun.utils.config import Config
    from agentrun.utils.exception import HTTPError

UPSTREAM = os.environ["UPSTREAM"]  # the base URL of an OpenAI-compatible server
CREDENTIAL = os.environ["CREDENTIAL"]  # a Secret with a key for callers of the proxy
HELLO = [{"role": "user", "content": "hello"}]


class Calls:
    """Calls methods in one of their two forms, and says what came of each."""

    def __init__(self, form, runner):
        self.form = form
        self.runner = runner

    def __call__(self, owner, method, *args, show=lambda _: "done", **kw):
        if self.form == "async":
            return self.said(owner, f"{method}_async", *args, show=show, waits=True, **kw)
        return self.said(owner, method, *args, show=show, **kw)

    def completing(self, owner, *args, show, **kw):
        if self.form == "async":
            return self.said(owner, "acompletion", *args, show=show, waits=True, **kw)
        return self.said(owner, "completion", *args, show=show, **kw)

    def plainly(self, owner, method, *args, show, **kw):
        """Call what has one form only."""
        return self.said(owner, method, *args, show=show, **kw)

    def said(self, owner, method, *args, show, waits=False, **kw):
        async def awaited():
            return await getattr(owner, method)(*args, **kw)

        try:
            result = self.runner.run(awaited()) if waits else getattr(owner, method)(*args, **kw)
            told = show(result)
        except Exception as error:
            result, told = None, failure(error)
        whose = owner.__name__ if isinstance(owner, type) else type(owner).__name__
        print(f"{self.form} {whose}.{method}: {told}", flush=True)
        return result


def failure(error):
    if isinstance(error, HTTPError):
        return f"{type(error).__name__} {error.status_code}: {error.message}"
    return f"{type(error).__name__}: {error}"


def service_line(service):
    settings = service.provider_settings
    where = "upstream" if settings.base_url == UPSTREAM else settings.base_url
    return (
        f"{service.model_service_name} is {service.status}: {service.model_type} of "
        f"{service.provider} at {where}, {settings.model_names}, {service.description!r}"
    )


def proxy_line(proxy):
    endpoints = [each.model_service_name for each in proxy.proxy_config.endpoints]
    return (
        f"{proxy.model_proxy_name}: {proxy.proxy_mode} to {endpoints}, cpu {proxy.cpu}, "
        f"memory {proxy.memory}, {proxy.description!r}"
    )


def names(field):
    return lambda found: sorted(getattr(each, field) for each in found)


def info_line(info):
    return f"{info.model} of {info.provider}, {'a key' if info.api_key else 'no key'}"


def answer(completion):
    return completion.choices[0].message.content


def services(calls, client):
    name = f"{calls.form}-service"
    wanted = ModelServiceCreateInput(
        model_service_name=name,
        model_type="llm",
        provider="openai",
        provider_settings=ProviderSettings(
            base_url=UPSTREAM, api_key="sk-upstream", model_names=["tiny"]
        ),
    )
    service = calls(ModelService, "create", wanted, show=service_line)
    calls(client, "create", wanted)
    calls(ModelService, "get_by_name", name, show=service_line)
    calls(client, "get", name, show=service_line)
    calls(client, "get", name, BackendType.SERVICE, show=service_line)
    calls(service, "update", ModelServiceUpdateInput(description="changed"), show=service_line)
    calls(service, "update", ModelServiceUpdateInput(), show=service_line)
    calls(service, "refresh", show=service_line)
    seen = []
    calls(service, "wait_until_ready_or_failed", lambda it: seen.append(it.status))
    print(f"{calls.form} looked until {seen[-1]}")
    listed = names("model_service_name")
    calls(client, "list", ModelServiceListInput(model_type="llm"), show=listed)
    calls(client, "list", ModelServiceListInput(provider="nobody"), show=listed)
    calls(ModelService, "list_all", provider="openai", show=listed)
    return service


def proxies(calls, client, service):
    name = f"{calls.form}-proxy"
    wanted = ModelProxyCreateInput(
        model_proxy_name=name,
        cpu=0.5,
        memory=1024,
        credential_name=CREDENTIAL,
        proxy_config=ProxyConfig(
            endpoints=[
                ProxyConfigEndpoint(
                    model_service_name=service.model_service_name, model_names=["tiny"]
                )
            ]
        ),
    )
    proxy = calls(ModelProxy, "create", wanted, show=proxy_line)
    calls(client, "create", wanted)
    calls(proxy, "wait_until_ready_or_failed", interval_seconds=1)
    calls(client, "get", name, show=proxy_line)
    calls(ModelProxy, "get_by_name", name, show=lambda it: it.status)
    calls(proxy, "update", ModelProxyUpdateInput(description="changed"), show=proxy_line)
    calls(proxy, "wait_until_ready_or_failed", interval_seconds=1)
    listed = names("model_proxy_name")
    calls(client, "list", ModelProxyListInput(proxy_mode="single"), show=listed)
    calls(ModelProxy, "list_all", proxy_mode="multi", show=listed)
    calls(ModelProxy, "list_all", show=listed)
    return proxy


def inference(calls, *callees):
    for callee in callees:
        calls.plainly(callee, "model_info", show=info_line)
        calls.completing(callee, HELLO, show=answer)
        calls.plainly(callee, "completion", HELLO, stream=True, show=streamed)


def streamed(chunks):
    words = (chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    return "".join(words)


def removal(calls, client, service, proxy):
    calls(service, "delete")
    calls(proxy, "delete_and_wait_until_finished", interval_seconds=1)
    calls(client, "get", proxy.model_proxy_name)
    calls(service, "delete_and_wait_until_finished", interval_seconds=1)
    calls(client, "delete", service.model_service_name)
    calls(ModelService, "get_by_name", service.model_service_name)
    calls(service, "refresh")


def everything(calls):
    client = ModelClient(Config())
    service = services(calls, client)
    proxy = proxies(calls, client, service)
    inference(calls, service, proxy)
    removal(calls, client, service, proxy)


if __name__ == "__main__":
    with asyncio.Runner() as runner:
        everything(Calls("sync", runner))
        everything(Calls("async", runner))
