"""Credentials over time: who fetches them, how often, and what becomes of a refused one."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from modelfleet.cluster import credentials as module
from modelfleet.cluster.access import Access, ExecPlugin
from modelfleet.cluster.credentials import Credentials
from modelfleet.errors import ConfigError

VERSION = "client.authentication.k8s.io/v1"


def plugin(folder: Path, body: str, **options: Any) -> ExecPlugin:
    """Return a plugin that runs the Python code ``body``; it can count its runs with ``run()``."""
    script = folder / "login"
    script.write_text(
        f"#!{sys.executable}\n"
        "import json, os, pathlib, sys\n"
        f"runs = pathlib.Path({str(folder / 'runs')!r})\n"
        "def run():\n"
        "    with runs.open('a') as file: file.write('x')\n"
        "    return len(runs.read_text())\n"
        "def give(version=None, **status):\n"
        "    told = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "    print(json.dumps({'apiVersion': version or told['apiVersion'],\n"
        "                      'kind': 'ExecCredential', 'status': status}))\n"
        f"{body}\n"
    )
    script.chmod(stat.S_IRWXU)
    return ExecPlugin(**{"api_version": VERSION, "command": str(script), **options})


def access(**options: Any) -> Access:
    return Access(server="https://api", source="a test", **options)


async def test_a_helper_is_run_once_for_all_who_wait(tmp_path: Path) -> None:
    found = Credentials(access(exec_plugin=plugin(tmp_path, "give(token=f't{run()}')")))

    together = await asyncio.gather(*(found.current() for _ in range(50)))

    assert {each.token for each in together} == {"t1"}
    assert (tmp_path / "runs").read_text() == "x"


async def test_a_helper_is_run_again_when_what_it_gave_expires(tmp_path: Path) -> None:
    past = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    helper = plugin(tmp_path, f"give(token=f't{{run()}}', expirationTimestamp={past!r})")
    found = Credentials(access(exec_plugin=helper))

    assert [(await found.current()).token for _ in range(2)] == ["t1", "t2"]


async def test_a_helper_is_kept_until_what_it_gave_expires(tmp_path: Path) -> None:
    helper = plugin(tmp_path, "give(token=f't{run()}', expirationTimestamp='2999-01-01T00:00:00Z')")
    found = Credentials(access(exec_plugin=helper))

    assert [(await found.current()).token for _ in range(2)] == ["t1", "t1"]


async def test_many_refusals_of_one_token_run_the_helper_once_more(tmp_path: Path) -> None:
    found = Credentials(access(exec_plugin=plugin(tmp_path, "give(token=f't{run()}')")))
    first = await found.current()

    async def refused() -> str | None:
        assert found.refuse(first)
        return (await found.current()).token

    assert set(await asyncio.gather(*(refused() for _ in range(20)))) == {"t2"}


async def test_a_helper_is_told_about_the_cluster_and_that_nobody_is_there(tmp_path: Path) -> None:
    helper = plugin(
        tmp_path,
        "give(token=os.environ['KUBERNETES_EXEC_INFO'] + os.environ['PROFILE'])",
        cluster={"server": "https://api"},
        env={"PROFILE": "p"},
    )

    token = (await Credentials(access(exec_plugin=helper)).current()).token

    assert token is not None
    told = json.loads(token.removesuffix("p"))
    assert told["spec"] == {"interactive": False, "cluster": {"server": "https://api"}}


async def test_a_helper_may_give_a_certificate(tmp_path: Path) -> None:
    helper = plugin(tmp_path, "give(clientCertificateData='CERT', clientKeyData='KEY')")

    certificate = (await Credentials(access(exec_plugin=helper)).current()).client_certificate

    assert certificate is not None
    assert (certificate.certificate, certificate.key) == ("CERT", "KEY")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("sys.exit('your login has expired')", "exit code 1: your login has expired"),
        ("print('hidden')", "printed no ExecCredential"),
        ("give()", "neither a token nor a certificate"),
        ("give(version='client.authentication.k8s.io/v1beta1', token='hidden')", "answered in"),
    ],
)
async def test_a_helper_that_fails_is_named_with_what_it_said_but_no_credential(
    body: str, reason: str, tmp_path: Path
) -> None:
    found = Credentials(access(exec_plugin=plugin(tmp_path, body)))

    with pytest.raises(ConfigError) as caught:
        await found.current()

    assert reason in str(caught.value)
    assert str(tmp_path / "login") in str(caught.value)
    assert "hidden" not in str(caught.value)


async def test_a_missing_helper_comes_with_its_own_installation_hint(tmp_path: Path) -> None:
    helper = ExecPlugin(VERSION, str(tmp_path / "none"), install_hint="Get it from the cloud.")

    with pytest.raises(ConfigError, match="Get it from the cloud"):
        await Credentials(access(exec_plugin=helper)).current()


async def test_a_helper_that_hangs_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HELPER_TIMEOUT_SECONDS", 0.2)
    found = Credentials(access(exec_plugin=plugin(tmp_path, "import time; time.sleep(60)")))

    with pytest.raises(ConfigError, match="did not end"):
        await found.current()


async def test_a_token_file_is_read_again_after_a_minute_or_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    found = Credentials(access(token_file=file))
    first = await found.current()
    file.write_text("two")

    assert (await found.current()).token == first.token == "one"
    assert found.refuse(first)
    assert (await found.current()).token == "two"

    file.write_text("three")
    later = module.time.time() + module.TOKEN_FILE_SECONDS + 1
    monkeypatch.setattr(module.time, "time", lambda: later)
    assert (await found.current()).token == "three"


async def test_a_token_file_wins_over_a_token_and_a_token_over_a_helper(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from the file")
    helper = plugin(tmp_path, "give(token='from the helper')")

    both = Credentials(access(token_file=file, token="fixed", exec_plugin=helper))
    fixed = Credentials(access(token="fixed", exec_plugin=helper))

    assert (await both.current()).token == "from the file"
    assert (await fixed.current()).token == "fixed"
    assert not fixed.refuse(await fixed.current()), "there is nothing newer to try"


async def test_a_missing_token_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read tokenFile"):
        await Credentials(access(token_file=tmp_path / "none")).current()
