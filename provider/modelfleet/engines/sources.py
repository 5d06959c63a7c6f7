"""Where the weights come from: read by the engine, mounted, or fetched before it starts.

``model_location`` answers it for one deployment and one engine. What the fetching container runs
is in ``fetching``. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

from modelfleet.engines import fetching
from modelfleet.engines.launch import CACHE_PATH, MODELS_PATH, ModelLocation
from modelfleet.errors import Problem
from modelfleet.spec.deployment import DeploymentSpec
from modelfleet.spec.fields import secret_name_and_key
from modelfleet.spec.model_source import ModelSource
from modelfleet.spec.rules import Problems, Rule

MOUNTED: Final = frozenset({"file", "pvc", "oci"})
"""Schemes that every engine can use: the weights are files in its container."""

HUBS: Final = frozenset({"hf", "modelscope"})
"""Schemes that name a repository of many files, or with a path behind it one file of it."""

BUCKETS: Final = frozenset({"s3", "gs"})

FILE_SUFFIXES: Final = (".gguf", ".safetensors", ".bin", ".onnx", ".pt", ".pth", ".nemo")
"""What the path of an object in a bucket ends with where it is one file and not a folder."""


def model_location(deployment: DeploymentSpec, *, reads: frozenset[str]) -> ModelLocation:
    """Return where an engine that ``reads`` these URI schemes by itself finds its model.

    ``path`` is what to give to it: ``org/name`` for a hub it reads, the URI for anything else it
    reads, an absolute path in the container for the rest. What it does not read is fetched into
    the cache volume, as is a single file of a hub, and a file with a checksum. Total, also over
    what rules refuse.
    """
    model = deployment.model
    scheme, _, rest = model.uri.partition("://")
    if scheme == "pvc":
        claim, _, folder = rest.strip("/").partition("/")
        mount = claim_path(claim)
        path = _joined(mount, folder)
        fetch = fetching.verification(model, path=path) if model.sha256 else None
        return ModelLocation(path, claim=claim, mount=mount, fetch=fetch)
    if scheme == "oci":
        image, _, folder = rest.partition("#")
        return ModelLocation(_joined(IMAGE_PATH, folder), image=image, mount=IMAGE_PATH)
    if scheme == "file":
        return ModelLocation(rest)
    if scheme in reads and not is_one_file_to_fetch(model):
        secret = None
        if scheme in BUCKETS and model.credential_name is not None:
            secret, _ = secret_name_and_key(model.credential_name)
        return ModelLocation(rest if scheme in HUBS else model.uri, secret=secret)
    if not can_be_fetched(model):
        return ModelLocation(rest)
    path = fetched_path(model)
    fetch = fetching.download(deployment, path=path, one_file=is_one_file(model))
    return ModelLocation(path, fetch=fetch)


IMAGE_PATH: Final = f"{MODELS_PATH}/image"
"""Where the image of an ``oci://`` model is mounted."""


def claim_path(claim: str) -> str:
    """Return where ``claim`` is mounted."""
    return f"{MODELS_PATH}/{claim}"


def is_one_file(model: ModelSource) -> bool:
    """Return whether ``model`` is a single file, as far as its declaration tells."""
    scheme, _, rest = model.uri.partition("://")
    if scheme in HUBS:
        return _names_a_file(rest)
    return scheme == "https" or model.sha256 is not None or rest.lower().endswith(FILE_SUFFIXES)


def can_be_fetched(model: ModelSource) -> bool:
    """Return whether ``model`` can be had without an engine that knows its source."""
    scheme = model.uri.partition("://")[0]
    return scheme in BUCKETS or scheme == "https" or (scheme in HUBS and is_one_file(model))


def is_one_file_to_fetch(model: ModelSource) -> bool:
    """Return whether an engine is handed ``model`` as a file, whatever it could read itself.

    Engines read repositories of a hub, not single files of them; and what they read themselves
    nobody has compared with a checksum.
    """
    scheme = model.uri.partition("://")[0]
    return is_one_file(model) and (scheme in HUBS or model.sha256 is not None)


def fetched_path(model: ModelSource) -> str:
    """Return where a fetched model is kept: another declaration of it is another place."""
    declared = "\n".join((model.uri, model.revision or "", model.sha256 or ""))
    digest = hashlib.sha256(declared.encode()).hexdigest()[:12]
    rest = model.uri.partition("://")[2].partition("?")[0]
    return f"{CACHE_PATH}/models/{digest}/{rest.strip('/').rpartition('/')[2] or 'model'}"


def _joined(mount: str, folder: str) -> str:
    return "/".join(filter(None, (mount, folder.strip("/"))))


Reader = tuple[str, frozenset[str]]
"""What an engine is called, and the URI schemes that it reads by itself."""


def source_rule(reader_of: Callable[[Any], Reader | None]) -> Rule:
    """Return the rule that a model can be had by the engine that is to serve it.

    ``reader_of`` is asked with the declared runtime; None says that nothing is known of it.
    """

    def check(runtime: Any, uri: str | None) -> Problems:
        reader = reader_of(runtime)
        if uri is None or reader is None:
            return
        engine, reads = reader
        scheme, _, rest = uri.partition("://")
        if scheme in HUBS and scheme not in reads and not _names_a_file(rest):
            yield Problem(
                "deployment.model.uri",
                f"{engine} reads no repository of {scheme}:// by itself; name one file of it "
                f"({scheme}://organisation/model/path/file), which is fetched before the engine "
                "starts, or copy the repository to a claim (pvc://) or a bucket (s3://, gs://)",
            )

    return Rule(("deployment.runtime", "deployment.model.uri"), check, names_only=True)


def _names_a_file(rest: str) -> bool:
    """Return whether what stands behind a hub's scheme is one file, not a whole repository."""
    return rest.strip("/").count("/") > 1
