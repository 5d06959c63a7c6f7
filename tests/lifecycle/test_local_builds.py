"""Building a tool: once, whole, by one of many, and with a useful word when it fails."""

from __future__ import annotations

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from modelfleet.local import LocalError, Progress
from modelfleet.local.builds import build, built_folder, is_built
from modelfleet.local.go_compiler import find_go
from modelfleet.local.toolchain import Family

GO_MOD = "module example.test/hello\n\ngo 1.26\n\nrequire example.test/pinned v1.2.3\n"
HELLO = """package main

import "os"

var version string

func main() { os.Stdout.WriteString("hello " + version + "\\n") }
"""


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Family:
    """A family of one small program that needs no download, and a cache of its own."""
    # The user's own compiler and compilation cache, asked for before their folder moves: a test
    # compiles one file, and no library.
    compiler = find_go(progress=Progress())
    monkeypatch.setenv("PATH", f"{compiler.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GOCACHE", compilation_cache(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GOPROXY", "off")
    folder = tmp_path / "hello"
    folder.mkdir()
    (folder / "go.mod").write_text(f"{GO_MOD}\nreplace example.test/pinned => ./pinned\n")
    (folder / "pinned").mkdir()
    (folder / "pinned" / "go.mod").write_text("module example.test/pinned\n\ngo 1.26\n")
    (folder / "go.sum").touch()
    (folder / "main.go").write_text(HELLO)
    return Family(
        "hello",
        module="example.test/pinned",
        packages={"hello": "example.test/hello"},
        stamps={"main.version": "{version}"},
        root=tmp_path,
    )


def compilation_cache(compiler: Path) -> str:
    command = [str(compiler), "env", "GOCACHE"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def lines_of(progress_text: StringIO) -> list[str]:
    return progress_text.getvalue().splitlines()


def test_a_program_is_built_once_with_its_version_in_it(family: Family) -> None:
    text = StringIO()
    progress = Progress(Console(file=text))
    folder = build(family, progress=progress, place="(1 of 5)")
    assert folder == built_folder(family)
    reply = subprocess.run([folder / "bin" / "hello"], capture_output=True, text=True, check=True)
    assert reply.stdout == "hello v1.2.3\n"
    first, *_, last = lines = lines_of(text)
    assert first == "Building hello v1.2.3 (1 of 5) …"
    assert last.startswith("Building hello v1.2.3 (1 of 5): done in ")
    build(family, progress=progress)
    assert lines_of(text) == lines, "nothing is built a second time"


def test_a_build_that_fails_says_which_why_and_where_the_rest_is(family: Family) -> None:
    (family.pins / "main.go").write_text("package main\n\nfunc main() { undefined() }\n")
    with pytest.raises(LocalError) as caught:
        build(family, progress=Progress())
    text = str(caught.value)
    assert text.startswith("Building hello v1.2.3: failed:")
    assert "undefined: undefined" in text
    log = built_folder(family).parent.parent / "logs" / "hello.log"
    assert str(log) in text
    assert "undefined: undefined" in log.read_text()
    assert not is_built(family)


def test_a_build_without_network_says_so(family: Family) -> None:
    (family.pins / "go.mod").write_text(GO_MOD)
    (family.pins / "go.sum").write_text("example.test/pinned v1.2.3 h1:x=\n")
    (family.pins / "main.go").write_text('package main\n\nimport _ "example.test/pinned"\n')
    with pytest.raises(LocalError, match="check the network, or GOPROXY"):
        build(family, progress=Progress())


def test_what_a_killed_build_left_is_removed_and_never_used(family: Family) -> None:
    left = built_folder(family).parent / ".hello.part-abc" / "part" / "bin"
    left.mkdir(parents=True)
    (left / "hello").touch()
    assert not is_built(family)
    build(family, progress=Progress())
    assert is_built(family)
    assert not left.exists()


BUILDER = """
import sys
from pathlib import Path
from rich.console import Console
from modelfleet.local import Progress
from modelfleet.local.builds import build
from modelfleet.local.toolchain import Family
family = Family("hello", module="example.test/pinned", packages={"hello": "example.test/hello"},
                stamps={"main.version": "{version}"}, root=Path(sys.argv[1]))
build(family, progress=Progress(Console(file=sys.stdout)))
"""


def test_two_builders_at_once_build_it_once(family: Family) -> None:
    builders = [
        subprocess.Popen(
            [sys.executable, "-c", BUILDER, str(family.root)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    printed = "".join(builder.communicate(timeout=600)[0] for builder in builders)
    assert [builder.returncode for builder in builders] == [0, 0]
    assert printed.count("done in") == 1
    assert is_built(family)
