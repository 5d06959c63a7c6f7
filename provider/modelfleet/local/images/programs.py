"""Compiles the programs of images, each one into a folder of the cache that only its own recipe
decides: an image whose description changes around a program does not compile it again."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path, PurePosixPath

from modelfleet.local.images.description import Image, Program, program_key
from modelfleet.local.images.sources import fetch_distribution, fetch_module
from modelfleet.local.progress import Progress
from modelfleet.local.whole import Work, made_whole, whole_folder

_KIND = "programs"
_MOST_JOBS = 8  # a compiler of C++ takes up to 1 GiB


def program_path(image: Image, path: str) -> Path:
    """Where the program is on this machine, or will be, that the image has at ``path``."""
    name = PurePosixPath(path).name
    key = program_key(image, image.described.programs[path])
    return whole_folder(_KIND, name=name, key=key) / name


def compiled_program(image: Image, path: str, *, progress: Progress) -> Path:
    """Return the program that ``image`` has at ``path``, compiled unless it is in the cache.

    Raises LocalError when its source cannot be had, or it cannot be compiled.
    """
    result = program_path(image, path)
    if result.is_file():
        return result
    program = image.described.programs[path]
    source = _source(image, program, progress=progress)

    def make(work: Work) -> None:
        build = work.part / "build"
        build.mkdir()
        values = {"source": str(source), "jobs": str(min(os.cpu_count() or 1, _MOST_JOBS))}
        for command in program.commands:
            work.run(
                [word.format(**values) for word in command],
                folder=build,
                on_line=lambda line: _report(line, work),
            )
        shutil.copyfile(build / program.result, work.part / result.name)
        (work.part / result.name).chmod(0o755)
        shutil.rmtree(build)

    made_whole(
        _KIND,
        name=result.name,
        key=program_key(image, program),
        title=f"Compiling {result.name}",
        progress=progress,
        make=make,
    )
    return result


def required_programs(image: Image, path: str) -> tuple[str, ...]:
    """What has to be on PATH to have the program at ``path``: nothing when it is in the cache."""
    if program_path(image, path).is_file():
        return ()
    return image.described.programs[path].required_programs


def _source(image: Image, program: Program, *, progress: Progress) -> Path:
    if program.requirements is not None:
        return fetch_distribution(image.folder / program.requirements, progress=progress)
    return fetch_module(program.go_module or "", progress=progress)


def _report(line: str, work: Work) -> None:
    """CMake's makefiles say how far they are, as ``[ 12%]``."""
    if match := re.match(r"\[\s*(\d+)%\]", line):
        work.step.advance(int(match[1]), of=100, unit="percent")
