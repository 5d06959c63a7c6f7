"""The README keeps its word: commands run, excerpts were printed, links lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from documented import ROOT, Block, Shell, blocks, copy_of_this_checkout
from modelfleet.local import Plane
from pulumi_stack import Stack
from stack_fixtures import TRANSCRIPTS

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)#]+)")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clone whose own local cluster is taken down at the end."""
    folder = copy_of_this_checkout(tmp_path_factory.mktemp("readme") / "clone")
    yield folder
    Plane(folder / ".modelfleet").down(purge=True)


def shell_blocks() -> list[Block]:
    return [block for block in blocks(ROOT / "README.md") if block.language == "sh"]


@pytest.mark.xdist_group("readme")
@pytest.mark.timeout(2400)
def test_the_commands_of_the_readme_run_one_after_the_other(
    clone: Path, transcript: Callable[..., None]
) -> None:
    commands = [c for block in shell_blocks() for c in block.commands if c != "make test"]
    assert commands[0] == "make up"
    # Twice, and the second time there is nothing left to do.
    key = {"OPENAI_API_KEY": "not-a-real-key"}
    runs = Shell(clone, environment=key).run(["make up", *commands, "make down"])
    assert "9 unchanged" in runs[1].output
    transcript("readme/make-up", runs[0])
    transcript("readme/make-up-again", runs[1])
    transcript("readme/commands", *runs[2:])


def test_make_up_for_another_stack_says_what_to_do_instead(clone: Path) -> None:
    refused = Shell(clone, environment={"STACK": "prod"}).run(["make up || echo refused"])[0]
    assert "pulumi stack select --create prod" in refused.output
    assert refused.output.endswith("refused\n")


def test_the_program_in_the_readme_is_a_program(stack_factory: Callable[..., Stack]) -> None:
    programs = (each.text for each in blocks(ROOT / "README.md") if each.language == "python")
    program = "\n".join(text for text in programs if "modelfleet.client" not in text)
    assert '"http://chat.models.svc/v1"' in stack_factory(program).preview().output


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_shows_was_printed(document: Path) -> None:
    printed = "".join(unindented(path.read_text()) for path in sorted(TRANSCRIPTS.rglob("*.txt")))
    excerpts = [unindented(block.text) for block in blocks(document) if block.language == "console"]
    assert [excerpt for excerpt in excerpts if excerpt not in printed] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_document_leads_to_a_file(document: Path) -> None:
    links = {match["path"] for match in _LINK.finditer(document.read_text())}
    assert [link for link in sorted(links) if not (document.parent / link).exists()] == []


def unindented(text: str) -> str:
    """Return ``text`` without what stands left of its lines: an excerpt begins at the margin."""
    return "".join(f"{line.strip()}\n" for line in text.splitlines())
