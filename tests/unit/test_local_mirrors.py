"""Where a root file system comes from: the mirror that this machine's apt is configured with."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelfleet.local.errors import LocalError
from modelfleet.local.images.debian import (
    Mirror,
    mirror_in_lines,
    mirror_in_stanzas,
    mirror_of,
)

MIRROR = "http://mirror.example/debian"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (f"deb {MIRROR} bookworm main", Mirror(MIRROR)),
        (f"  deb   {MIRROR}\tbookworm main contrib # ours", Mirror(MIRROR)),
        (
            f"deb [arch=amd64 signed-by=/usr/share/keyrings/own.gpg] {MIRROR} bookworm main",
            Mirror(MIRROR, Path("/usr/share/keyrings/own.gpg")),
        ),
        ("deb file:/srv/mirror bookworm main", Mirror("file:/srv/mirror")),
        (f"# deb {MIRROR} bookworm main", None),
        (f"deb-src {MIRROR} bookworm main", None),
        (f"deb {MIRROR} bookworm-updates main", None),
        (f"deb {MIRROR} trixie main", None),
        (f"deb {MIRROR} bookworm contrib", None),
        ("deb cdrom:[Debian]/ bookworm main", None),
        ("deb http://broken", None),
    ],
)
def test_a_line_gives_the_mirror_of_its_own_suite(line: str, found: Mirror | None) -> None:
    assert mirror_in_lines(line, suite="bookworm") == found


STANZA = f"""Types: deb
# a snapshot
URIs: {MIRROR}
Suites: bookworm bookworm-updates
Components: main
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (STANZA, Mirror(MIRROR)),
        (
            f"{STANZA}Signed-By: /usr/share/keyrings/a.gpg\n",
            Mirror(MIRROR, Path("/usr/share/keyrings/a.gpg")),
        ),
        (
            f"{STANZA}Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBF\n",
            Mirror(MIRROR),
        ),
        (STANZA.replace("URIs: ", "URIs: mirror+file:/etc/apt/mirrors.txt\n "), Mirror(MIRROR)),
        (
            f"Types: deb-src\nURIs: http://other.example\nSuites: bookworm\n\n{STANZA}",
            Mirror(MIRROR),
        ),
        (f"{STANZA}Enabled: no\n", None),
        (STANZA.replace("Types: deb", "Types: deb-src"), None),
        (STANZA.replace("bookworm ", ""), None),
        (STANZA.replace("main", "contrib"), None),
    ],
)
def test_a_stanza_gives_the_mirror_of_its_own_suites(text: str, found: Mirror | None) -> None:
    assert mirror_in_stanzas(text, suite="bookworm") == found


def test_all_of_apts_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "tool.list").write_text("deb http://tool.example any main\n")
    (tmp_path / "sources.list.d" / "debian.sources").write_text(STANZA)
    assert mirror_of("bookworm", folder=tmp_path) == Mirror(MIRROR)
    (tmp_path / "sources.list").write_text("deb http://first.example/debian bookworm main\n")
    assert mirror_of("bookworm", folder=tmp_path) == Mirror("http://first.example/debian")


def test_a_machine_without_a_mirror_is_told_what_would_have_one(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="names no mirror for 'bookworm'") as refused:
        mirror_of("bookworm", folder=tmp_path)
    assert "Debian" in str(refused.value.hint)
