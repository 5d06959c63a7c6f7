"""The command line: its help, its errors, its exit codes. No cluster, no engine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelfleet.adapters.cli.main import app, main
from modelfleet.errors import ProviderBugError

COMMANDS = [
    [],
    ["ls"],
    ["chat"],
    ["import"],
    ["prune"],
    ["local"],
    ["local", "up"],
    ["local", "env"],
]


def plain(text: str) -> str:
    """Return printed text without colours and line breaks, which depend on the terminal."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m|[│╭╮╰╯─]", " ", text).split())


def run_main(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int | str | None:
    """Run the console script and return its exit status."""
    monkeypatch.setattr("sys.argv", ["modelfleet", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert plain(result.output).startswith(f"Usage: {' '.join(['root', *command])}")


@pytest.mark.parametrize("command", COMMANDS[:-2], ids=" ".join)
def test_every_command_says_what_its_exit_codes_mean(command: list[str]) -> None:
    shown = plain(CliRunner().invoke(app, [*command, "--help"]).output)
    assert "Exit codes: 0 fine, 1 failed" in shown
    assert ", 2 wrong usage" in shown


@pytest.mark.parametrize(
    ("command", "means"),
    [
        ("status", "3 it exists, but does not, or not yet, serve as declared."),
        ("import", "3 printed, but it cannot be taken over as it is."),
    ],
)
def test_a_third_exit_code_is_explained_by_the_command_that_has_it(
    command: str, means: str
) -> None:
    assert means in plain(CliRunner().invoke(app, [command, "--help"]).output)


def test_without_a_command_all_of_them_are_shown() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 2
    shown = plain(result.output)
    for name, says in (
        ("local", "A real Pulumi engine and a real Kubernetes control plane on this machine"),
        ("ls", "List the ModelServices and ModelProxies of a cluster."),
        ("chat", "Talk to a ModelService or ModelProxy: one question, or a conversation."),
        ("status", "Show one service or proxy: rollout, pods, what they lack and what to change"),
        ("logs", "Print the engines' logs"),
        ("delete", "Delete what no program declares any more"),
        ("prune", "List objects of a stack that its state does not have"),
    ):
        assert f"{name} {says}" in shown


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["no-such-command"], "No such command 'no-such-command'"),
        (["ls", "--no-such-option"], "No such option"),
        (["ls", "--output", "yaml"], "'yaml' is not one of 'table', 'json'"),
        (["prune"], "Missing option '--stack'"),
        (["status"], "Missing argument 'NAME'"),
        (["delete", "a/b/c"], "'a/b/c' is neither a name nor namespace/name"),
        (["logs", "chat", "--since", "soon"], "'soon' is not a duration such as 90s, 10m or 1h30m"),
        (["logs", "chat", "--tail", "-1"], "'--tail': Input should be greater than or equal to 0"),
        (["chat", "qwen", "--output", "json"], "--output json prints one answer, so it needs"),
        (["chat", "qwen", ""], "the message is empty"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_told_and_ends_with_2(command: list[str], says: str) -> None:
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    assert says in plain(result.output)


def test_an_error_of_the_user_is_one_paragraph_without_a_traceback_and_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "missing")
    assert run_main("ls", "--kubeconfig", missing, monkeypatch=monkeypatch) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert missing in printed.err
    assert printed.err.count("\n") == 1


def test_a_missing_pulumi_is_told_with_the_way_to_the_local_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run_main("prune", "--stack", "dev", monkeypatch=monkeypatch) == 1
    assert capsys.readouterr().err == (
        "error: pulumi was not found on PATH. Install it, or use the local one: "
        'eval "$(modelfleet local env)".\n'
    )


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ProviderBugError("This cannot happen.")

    monkeypatch.setattr("modelfleet.adapters.cli.main.app", broken)
    with pytest.raises(ProviderBugError):
        main()


def test_no_command_waits_for_the_openai_client_but_the_one_that_talks() -> None:
    listed = "import sys, modelfleet.adapters.cli.main; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", listed], capture_output=True, check=True, text=True
    )
    assert "httpx" in done.stdout.split()
    assert {"openai", "httpx2", "wsproto"}.isdisjoint(done.stdout.split())
