"""``modelfleet serve``: the HTTP APIs as a process, and what deploying them takes.

Translates only. The server itself is imported when it runs: no other command pays for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from modelfleet.adapters.query_api.settings import Settings
from modelfleet.errors import ConfigError

if TYPE_CHECKING:
    from modelfleet.adapters.query_api.new_account import NewAccount

_DEFAULT = Settings()


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = _DEFAULT.host,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 = any.")] = _DEFAULT.port,
    tls_cert: Annotated[
        Path | None, typer.Option(help="Certificate chain, PEM; read again when it is renewed.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key, PEM.")] = None,
    insecure_http: Annotated[
        bool,
        typer.Option(
            "--insecure-http", help="No TLS, for other addresses than this machine's as well."
        ),
    ] = False,
    accounts: Annotated[
        Path | None, typer.Option(help="File of accounts; read again when it changes.")
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Let nobody write, whatever the accounts say.")
    ] = False,
    public_address: Annotated[
        str,
        typer.Option(
            help="URL at which this server, or with {name} and {namespace} each proxy, is reached "
            "from outside: reported as their endpoint. Unset = the one in the cluster."
        ),
    ] = "",
    behind: Annotated[
        list[str] | None,
        typer.Option(
            help="Address or network of a reverse proxy whose X-Forwarded-For counts; repeatable."
        ),
    ] = None,
    body_bytes: Annotated[
        int, typer.Option(help="Longest body of a request.")
    ] = _DEFAULT.body_bytes,
    account_rate: Annotated[
        float, typer.Option(help="Requests a second of one account.")
    ] = _DEFAULT.account_rate,
    address_rate: Annotated[
        float, typer.Option(help="Requests a second from one address.")
    ] = _DEFAULT.address_rate,
    concurrency: Annotated[int, typer.Option(help="Requests at once.")] = _DEFAULT.concurrency,
    request_seconds: Annotated[
        float, typer.Option(help="Longest that a request may take.")
    ] = _DEFAULT.request_seconds,
    drain_seconds: Annotated[
        int, typer.Option(help="Longest that running requests are waited for at the end.")
    ] = _DEFAULT.drain_seconds,
    inference_body_bytes: Annotated[
        int, typer.Option(help="Longest body of a request to a model.")
    ] = _DEFAULT.inference_body_bytes,
    inference_concurrency: Annotated[
        int, typer.Option(help="Requests to models at once.")
    ] = _DEFAULT.inference_concurrency,
    inference_seconds: Annotated[
        float, typer.Option(help="Longest that a request to a model may take.")
    ] = _DEFAULT.inference_seconds,
    session_seconds: Annotated[
        int, typer.Option(help="How long a login lasts.")
    ] = _DEFAULT.session_seconds,
    sessions: Annotated[int, typer.Option(help="Logins at once.")] = _DEFAULT.sessions,
    skew_seconds: Annotated[
        int, typer.Option(help="How far the clock of who signs a request may be off.")
    ] = _DEFAULT.skew_seconds,
    remembered_signatures: Annotated[
        int, typer.Option(help="Signed requests remembered, so that none is accepted twice.")
    ] = _DEFAULT.remembered_signatures,
    cluster: Annotated[
        str, typer.Option(help="Name that declarations call the cluster by.")
    ] = _DEFAULT.cluster,
    kubeconfig: Annotated[
        str | None,
        typer.Option(help="Kubeconfig to use; unset = the ambient one, or the pod's account."),
    ] = None,
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig.")] = None,
    manifests: Annotated[
        bool,
        typer.Option("--manifests", help="Print the objects that run it in a cluster, and end."),
    ] = False,
    image: Annotated[
        str, typer.Option(help="With --manifests: your image with modelfleet in it.")
    ] = "",
    api_server_port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65_535,
            help="With --manifests: the port that `kubectl get endpointslice kubernetes` shows, "
            "if it is neither 443 nor 6443.",
        ),
    ] = None,
    account: Annotated[
        str,
        typer.Option(
            help="Print an entry for the file of accounts, with a new password and access key, "
            "and end."
        ),
    ] = "",
    workspace: Annotated[
        list[str] | None,
        typer.Option(help="With --account: a workspace it sees; repeatable, unset = all."),
    ] = None,
    may_read_credentials: Annotated[
        bool,
        typer.Option(
            "--may-read-credentials",
            help="With --account: let it read the credentials that what it sees names, as "
            "AgentRun's SDK does before it calls a model.",
        ),
    ] = False,
    namespace: Annotated[
        str,
        typer.Option(
            "--namespace", "-n", help="With --manifests: its own. With --account: the account's."
        ),
    ] = "default",
) -> None:
    """Serve AgentRun's control API and ZStack's model-service API over one cluster's fleet.

    Ends on SIGTERM, when what runs is finished.
    """
    settings = _settings(
        host=host,
        port=port,
        tls_cert=tls_cert,
        tls_key=tls_key,
        insecure_http=insecure_http,
        accounts=accounts,
        read_only=read_only,
        public_address=public_address,
        behind=tuple(behind or ()),
        body_bytes=body_bytes,
        account_rate=account_rate,
        address_rate=address_rate,
        concurrency=concurrency,
        request_seconds=request_seconds,
        drain_seconds=drain_seconds,
        inference_body_bytes=inference_body_bytes,
        inference_concurrency=inference_concurrency,
        inference_seconds=inference_seconds,
        session_seconds=session_seconds,
        sessions=sessions,
        skew_seconds=skew_seconds,
        remembered_signatures=remembered_signatures,
        cluster=cluster,
    )
    if account:
        from modelfleet.adapters.query_api.new_account import new_account

        made = new_account(
            account,
            namespace=namespace,
            workspaces=workspace or (),
            may_write=not read_only,
            may_read_credentials=may_read_credentials,
        )
        _print_account(account, made)
    elif manifests:
        _print_manifests(
            settings, namespace=namespace, image=image, api_server_port=api_server_port
        )
    else:
        from modelfleet.adapters.query_api.server import serve_until_told

        serve_until_told(settings, kubeconfig=kubeconfig, context=context)


def _settings(**said: Any) -> Settings:
    try:
        return Settings(**said)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        problems = [f"--{str(each['loc'][0]).replace('_', '-')}: {each['msg']}" for each in found]
        raise ConfigError(f"{'; '.join(problems)}.") from None


def _print_account(name: str, made: NewAccount) -> None:
    typer.echo(made.entry, nl=False)
    typer.echo(
        f"Password of {name}, said this once: {made.password}\n"
        f"Access key: {made.key_id}, its secret: {made.key_secret}",
        err=True,
    )


def _print_manifests(
    settings: Settings, *, namespace: str, image: str, api_server_port: int | None
) -> None:
    from modelfleet.adapters.query_api.manifests import manifests_text

    if not image:
        raise ConfigError(
            "--manifests needs --image: modelfleet publishes none.",
            hint="docs/http-api.md has a Dockerfile of a few lines.",
        )
    text = manifests_text(
        settings, namespace=namespace, image=image, api_server_port=api_server_port
    )
    typer.echo(text, nl=False)
