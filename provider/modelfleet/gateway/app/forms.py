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
    """The parts of a form, in their order; a name may come more than once."""

    parts: tuple[tuple[str, str | File], ...]

    @property
    def texts(self) -> Mapping[str, str]:
        """The texts by name, the last one of several."""
        return {name: value for name, value in self.parts if isinstance(value, str)}

    def without(self, is_dropped: Callable[[str], bool]) -> Form:
        """The form without the parts of some names."""
        return Form(tuple(part for part in self.parts if not is_dropped(part[0])))


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
    return Form(tuple(parts))


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
