"""Forms with a file, as audio is sent: read, and written anew with what may be handed on.

Written anew and not passed along, so that no other reading of the same bytes is possible behind.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from .errors import invalid_json

_LIST = "[]"
"""The end of the name of a part that may come more than once."""

_UNSAFE = re.compile(r'[\x00-\x1f"\\\x7f]')
_CONTENT_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")


@dataclass(frozen=True)
class File:
    """A file of a form."""

    filename: str
    content_type: str
    content: bytes


@dataclass(frozen=True)
class Form:
    """The parts of a form, in their order; only a name with ``[]`` comes more than once."""

    parts: tuple[tuple[str, str | File], ...]

    @property
    def texts(self) -> Mapping[str, str | list[str]]:
        """The texts by name, as LiteLLM reads them: those of ``name[]`` are the list ``name``."""
        texts: dict[str, str | list[str]] = {}
        for name, value in self.parts:
            if isinstance(value, str):
                if name.endswith(_LIST):
                    values = texts.setdefault(name.removesuffix(_LIST), [])
                    if isinstance(values, list):
                        values.append(value)
                else:
                    texts[name] = value
        return texts

    def without(self, is_dropped: Callable[[str], bool]) -> Form:
        """The form without the parts of some names, and of their lists."""
        parts = (part for part in self.parts if not is_dropped(_safe(part[0]).removesuffix(_LIST)))
        return Form(tuple(parts))


async def read_form(body: bytes, content_type: bytes) -> Form:
    """The form in ``body``. Raises GatewayError (400) if there is none."""
    if not content_type.lower().startswith(b"multipart/form-data"):
        raise invalid_json("it is not a form (multipart/form-data)")
    headers = Headers({"content-type": content_type.decode("latin-1")})
    try:
        found = await MultiPartParser(headers, _stream(body)).parse()
    except (MultiPartException, KeyError, ValueError) as error:
        raise invalid_json("it is not a form (multipart/form-data)") from error
    parts: list[tuple[str, str | File]] = []
    for name, value in found.multi_items():
        if isinstance(value, UploadFile):
            content = await value.read()
            kind = value.content_type or ""
            parts.append((name, File(value.filename or "file", kind, content)))
        else:
            parts.append((name, value))
    await found.close()
    _check_names([name for name, _ in parts])
    return Form(tuple(parts))


def _check_names(names: list[str]) -> None:
    """Raises GatewayError (400) where it is up to the reader which of several parts counts."""
    once = [name for name in names if not name.endswith(_LIST)]
    lists = {name.removesuffix(_LIST) for name in names if name.endswith(_LIST)}
    if len(set(once)) < len(once) or lists & set(once):
        raise invalid_json("a part of the form comes twice")


def form_body(form: Form) -> tuple[bytes, bytes]:
    """The bytes of a form and their content type."""
    boundary = secrets.token_hex(16)
    lines: list[bytes] = []
    for name, value in form.parts:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_safe(name)}"'
        if isinstance(value, File):
            head += f'; filename="{_safe(value.filename)}"'
            if _CONTENT_TYPE.fullmatch(value.content_type):
                head += f"\r\nContent-Type: {value.content_type}"
        content = value.content if isinstance(value, File) else value.encode()
        lines += [head.encode(), b"\r\n\r\n", content, b"\r\n"]
    lines.append(f"--{boundary}--\r\n".encode())
    return b"".join(lines), f"multipart/form-data; boundary={boundary}".encode()


def _safe(text: str) -> str:
    return _UNSAFE.sub("_", text)


async def _stream(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body
    yield b""
