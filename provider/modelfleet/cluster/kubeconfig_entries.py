"""Kubeconfig files, and the named entries in them: what stands there, or why it cannot be used.

Reads files; knows no field's meaning. Messages name file, entry and key, never a value.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from modelfleet.errors import ConfigError


@dataclass(frozen=True)
class Document:
    """One kubeconfig; ``path`` is None where it was given as text."""

    path: Path | None
    content: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What messages call it."""
        return str(self.path) if self.path else "the kubeconfig text"


@dataclass(frozen=True)
class Entry:
    """A cluster, user or context, or a part of one, and the document that it is relative to."""

    document: Document
    what: str
    content: Mapping[str, Any]

    def text(self, key: str) -> str | None:
        """Return a value as text; an empty one counts as absent, as kubectl has it."""
        value = self.content.get(key)
        if isinstance(value, list | dict):
            raise self.error(f"{key} must be text")
        return str(value) if value else None

    def flag(self, key: str) -> bool:
        """Return a switch, which is off where it is absent. ``"false"`` would not be."""
        value = self.content.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.error(f"{key} must be true or false")
        return bool(value)

    def texts(self, key: str) -> list[str]:
        """Return a list of texts."""
        value = self.content.get(key) or []
        if not isinstance(value, list):
            raise self.error(f"{key} must be a list")
        return [str(each) for each in value]

    def named(self, key: str) -> list[Mapping[str, Any]]:
        """Return a list of mappings that have a name each."""
        value = self.content.get(key) or []
        if not _is_named(value):
            raise self.error(f"{key} must be a list of names and what they stand for")
        return list(value)

    def mapping(self, key: str) -> Mapping[str, Any]:
        """Return a mapping."""
        value = self.content.get(key) or {}
        if not isinstance(value, dict):
            raise self.error(f"{key} must be a mapping")
        return value

    def part(self, key: str) -> Entry:
        """Return a mapping as an entry of its own."""
        return Entry(self.document, f"{key} of {self.what}", self.mapping(key))

    def path(self, key: str) -> Path | None:
        """Return a path, taken as relative to the kubeconfig it stands in."""
        value = self.text(key)
        if value is None or Path(value).is_absolute():
            return Path(value) if value else None
        if self.document.path is None:
            raise self.error(f"{key} is a relative path, which means nothing in a text")
        return self.document.path.absolute().parent / value

    def pem(self, key: str) -> str | None:
        """Return the PEM text of ``key``, given inline as ``<key>-data`` or as a file."""
        inline = self.text(f"{key}-data")
        if inline:  # wins over the file, as in kubectl
            try:
                return base64.b64decode("".join(inline.split()), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                raise self.error(f"{key}-data is not base64 of PEM text") from None
        path = self.path(key)
        return text_of(path, f"{self.document.name}: {self.what}: {key}") if path else None

    def error(self, reason: str, *, hint: str = "") -> ConfigError:
        """Return the error of an entry that cannot be used."""
        return ConfigError(f"{self.document.name}: {self.what}: {reason}.", hint=hint)


def document_of(text: str, path: Path | None) -> Document:
    """Return what a kubeconfig says. Raises ConfigError for what is none."""
    document = Document(path, {})
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)  # a line number; the text may hold a token
        where = f" (line {mark.line + 1})" if mark else ""
        raise ConfigError(f"{document.name}: this is not valid YAML{where}.") from None
    if content is not None and not isinstance(content, dict):
        raise ConfigError(f"{document.name}: this is not a kubeconfig.")
    return Document(path, content or {})


def entry_named(documents: Iterable[Document], what: str, name: str) -> Entry:
    """Return the first entry of that name: with several files the first one wins."""
    known: list[str] = []
    for document in documents:
        items = document.content.get(f"{what}s") or []
        if not _is_named(items) or not all(
            isinstance(item.get(what) or {}, dict) for item in items
        ):
            raise ConfigError(
                f"{document.name}: {what}s is not a list of names and what they stand for.",
                hint=f"Each item has a name, and a mapping under {what}.",
            )
        for item in items:
            if item["name"] == name:
                return Entry(document, f'{what} "{name}"', item.get(what) or {})
            known.append(str(item["name"]))
    names = ", ".join(document.name for document in documents)
    raise ConfigError(
        f'{names}: there is no {what} "{name}".',
        hint=f"Known: {', '.join(dict.fromkeys(known)) or 'none at all'}.",
    )


def text_of(path: Path, what: str) -> str:
    """Return the text of a file. Raises ConfigError, which names ``what`` it is."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{what}: cannot read {path}: {error}.") from error


def _is_named(items: Any) -> bool:
    return isinstance(items, list) and all(
        isinstance(item, dict) and "name" in item for item in items
    )
