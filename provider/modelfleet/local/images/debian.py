"""Makes a minimal Debian (or Ubuntu) root file system, from the mirror that this machine uses.

The mirror is read from apt's own configuration when it is needed; it is written into no file of
ours and is taken out of the image again. Needs root, as debootstrap does.
"""

from __future__ import annotations

import functools
import platform
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelfleet.local.errors import LocalError
from modelfleet.local.whole import Work

APT = Path("/etc/apt")

NEEDS = ("debootstrap", "unshare")
"""Programs that have to be there."""

# Made anew on any machine, or of this build only; the mirror's address is among them.
_EMPTIED = (
    "debootstrap",
    "dev",
    "etc/apt/sources.list.d",
    "run",
    "tmp",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache",
    "var/lib/apt/lists",
    "var/log",
    "var/tmp",
)
_REMOVED = (
    "etc/apt/sources.list",
    "etc/hostname",
    "etc/resolv.conf",
    "root/.wget-hsts",
    "var/lib/dpkg/status-old",
)


@dataclass(frozen=True)
class Mirror:
    """Where packages come from, and the key ring that signs for it, ``None`` for the usual one."""

    uri: str
    keyring: Path | None = None


@functools.cache
def release() -> str:
    """The code name of the release that this machine runs, such as ``bookworm``; empty if none."""
    try:
        return platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError:
        return ""


def mirror_of(suite: str, *, folder: Path = APT) -> Mirror:
    """Return the first mirror of ``suite`` in apt's configuration.

    Raises LocalError when there is none, which is so on a system that has no apt.
    """
    for text in _texts(folder, pattern="*.list", first="sources.list"):
        if found := mirror_in_lines(text, suite=suite):
            return found
    for text in _texts(folder, pattern="*.sources"):
        if found := mirror_in_stanzas(text, suite=suite):
            return found
    raise LocalError(
        f"images: apt on this machine names no mirror for {suite or 'its release'!r} ({folder}).",
        hint="Images for real pods are made from Debian packages: use a Debian or Ubuntu machine.",
    )


def _texts(folder: Path, *, pattern: str, first: str = "") -> Iterator[str]:
    paths = [folder / first] if first else []
    for path in (*paths, *sorted((folder / "sources.list.d").glob(pattern))):
        if path.is_file():
            yield path.read_text()


def mirror_in_lines(text: str, *, suite: str) -> Mirror | None:
    """The mirror in a file of lines such as ``deb [options] http://mirror/debian suite main``."""
    pattern = r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<rest>.*)"
    for line in text.splitlines():
        match = re.fullmatch(pattern, line.partition("#")[0].strip())
        if match and match["suite"] == suite and "main" in match["rest"].split():
            options = dict(
                option.split("=", 1) for option in (match["options"] or "").split() if "=" in option
            )
            if mirror := _mirror([match["uri"]], signed_by=options.get("signed-by", "")):
                return mirror
    return None


def mirror_in_stanzas(text: str, *, suite: str) -> Mirror | None:
    """The mirror in a file of stanzas with ``Types:``, ``URIs:``, ``Suites:`` and so on."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", lines):
        fields = _fields(stanza)
        if (
            "deb" in fields.get("types", "").split()
            and suite in fields.get("suites", "").split()
            and "main" in fields.get("components", "").split()
            and fields.get("enabled", "yes").lower() not in ("no", "false", "0")
            and (
                mirror := _mirror(
                    fields.get("uris", "").split(), signed_by=fields.get("signed-by", "")
                )
            )
        ):
            return mirror
    return None


def _fields(stanza: str) -> Mapping[str, str]:
    """Fields by lower-case name; a line that begins with a space goes on with the one before."""
    joined = re.sub(r"\n[ \t]+", " ", stanza)
    found = (line.split(":", 1) for line in joined.splitlines() if ":" in line)
    return {name.strip().lower(): value.strip() for name, value in found}


def _mirror(uris: Sequence[str], *, signed_by: str) -> Mirror | None:
    """The first address that debootstrap understands; a key that stands in the text is no file."""
    keyring = Path(signed_by) if re.fullmatch(r"/\S+", signed_by) else None
    usable = (uri for uri in uris if uri.startswith(("http://", "https://", "file:")))
    return next((Mirror(uri, keyring) for uri in usable), None)


def make_root_filesystem(target: Path, *, packages: Sequence[str], work: Work) -> None:
    """Fill ``target`` with the release of this machine and ``packages``. Raises LocalError."""
    suite = release()
    mirror = mirror_of(suite)
    options = ["--variant=minbase"]
    if packages:
        options.append(f"--include={','.join(packages)}")
    if mirror.keyring and mirror.keyring.is_file():
        options.append(f"--keyring={mirror.keyring}")
    # What debootstrap mounts below the target is mounted for it alone, and gone with it: whoever
    # clears up after one that was killed must not come upon this machine's /proc and /sys.
    alone = ["unshare", "--mount", "--propagation", "private"]
    work.run(
        [*alone, "debootstrap", *options, suite, str(target), mirror.uri],
        environ={"LC_ALL": "C.UTF-8"},
        hint="If packages could not be downloaded: check the network and apt's mirror. It needs "
        "to mount and to make device nodes, which some containers forbid even to root.",
    )
    if "python3" in packages:
        _compile_python(target, work=work)
    clean(target)


def _compile_python(root: Path, *, work: Work) -> None:
    """Write byte code that holds no times: layers have none, and users of a pod cannot write it."""
    compileall = ["-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash"]
    libraries = [f"/usr/lib/{path.name}" for path in sorted((root / "usr/lib").glob("python3*"))]
    work.run(["chroot", str(root), "/usr/bin/python3", *compileall, *libraries])


def clean(root: Path) -> None:
    """Take out what an image has no use for: package lists, caches, logs, this machine's names."""
    for path in (root / name for name in _EMPTIED):
        for entry in path.iterdir() if path.is_dir() else ():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    for path in (root / "usr/share/doc").glob("*/*"):
        if path.name != "copyright" and not path.is_dir():
            path.unlink()
    for name in _REMOVED:
        (root / name).unlink(missing_ok=True)
    shutil.rmtree(root / "debootstrap", ignore_errors=True)
