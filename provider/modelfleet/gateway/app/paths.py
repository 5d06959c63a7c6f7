"""Which paths are served, with which verb; everything else of LiteLLM is out of reach.

Decided on the raw path, before anything decodes it: ``/v1/../admin``, ``%2e%2e``, double slashes
and parameters after a semicolon are simply other strings, which nothing matches. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from .errors import method_not_allowed, path_not_found

_PREFIX = b"/v1/"
_INFERENCE = (
    "chat/completions",
    "completions",
    "embeddings",
    "responses",
    "rerank",
    "audio/transcriptions",
    "audio/speech",
    "moderations",
    "images/generations",
)
FORMS = frozenset({"audio/transcriptions"})
"""The paths whose body is a form with a file. LiteLLM has no audio/translations."""


@dataclass(frozen=True)
class Target:
    """What is asked for: ``path`` below /v1, and for a single model its name."""

    path: str
    model: str | None = None

    @property
    def is_inference(self) -> bool:
        """Whether a model is to answer."""
        return self.path != "models"


_TARGETS = {_PREFIX + path.encode(): Target(path) for path in _INFERENCE}
_MODELS = Target("models")


def target_of(method: str, raw_path: bytes) -> Target:
    """The target of a request. Raises GatewayError: 404 for a path, 405 for a verb."""
    path = raw_path.removesuffix(b"/")
    target = _TARGETS.get(path)
    if target is not None:
        if method != "POST":
            raise method_not_allowed("POST")
        return target
    if path == b"/v1/models":
        target = _MODELS
    elif path.startswith(b"/v1/models/") and (name := _model_name(path[len(b"/v1/models/") :])):
        target = Target("models", name)
    else:
        raise path_not_found()
    if method != "GET":
        raise method_not_allowed("GET")
    return target


def _model_name(raw: bytes) -> str | None:
    """The name in a path: only compared with names, so any encoding of one may be meant."""
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        return None
