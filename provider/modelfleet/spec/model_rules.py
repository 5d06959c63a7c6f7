"""Rules on where a model's weights come from: what a URI of each scheme looks like, what it takes.

Which engine can use which source is said beside the engines (``engines/sources.py``). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from modelfleet.errors import Problem
from modelfleet.spec.rule import Problems, Rule, rule

_HUB: Final = re.compile(r"[A-Za-z0-9][-._A-Za-z0-9]*(/[A-Za-z0-9][-._A-Za-z0-9]*(/[^\s?#]+)?)?")
_HUGGING_FACE: Final = re.compile(rf"{_HUB.pattern}|[^/\s:]+/[-._A-Za-z0-9]+:[-._A-Za-z0-9]+")
_LIBRARY: Final = re.compile(
    r"([A-Za-z0-9_][-A-Za-z0-9_]*/)?[A-Za-z0-9_][-._A-Za-z0-9]*(:[A-Za-z0-9_][-._A-Za-z0-9]*)?"
)
_BUCKET: Final = re.compile(r"[A-Za-z0-9][-._A-Za-z0-9]{1,221}(/[^\s?#]*)?")
_CLAIM: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?(/\S*)?")
_IMAGE: Final = re.compile(
    r"[a-z0-9][-._a-zA-Z0-9:/]*[a-zA-Z0-9](@sha256:[0-9a-f]{64})?(#/?[^#\s]*[^#\s/])?"
)
_SERVER: Final = re.compile(r"[^\s/?#@]+/([^\s?#]*/)?[^\s/?#]+(\?[^\s#]*)?")

FORMS: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "hf": (
        _HUGGING_FACE,
        "hf://organisation/model (or hf://organisation/model/path/file for one file, or for GGUF "
        "hf://organisation/model:quantisation)",
    ),
    "modelscope": (_HUB, "modelscope://organisation/model (or with /path/file for one file)"),
    "ollama": (_LIBRARY, "ollama://model:tag, a name in Ollama's library"),
    "s3": (_BUCKET, "s3://bucket/path"),
    "gs": (_BUCKET, "gs://bucket/path"),
    "https": (_SERVER, "https://host/path/file, without credentials"),
    "oci": (_IMAGE, "oci://registry/image:tag (or with #folder, a folder of the image)"),
    "pvc": (_CLAIM, "pvc://claim/path, which begins with the name of a claim"),
    "file": (re.compile(r"/\S*"), "an absolute path: file:///models/x"),
}
"""What stands behind ``scheme://``, and how a user is told."""

_HUBS: Final = ("hf", "modelscope")
_ONE_FILE: Final = ("https", "s3", "gs", "pvc")
_NO_CHECKSUM: Final[Mapping[str, str]] = {
    "hf": "is of one file, and a repository has many; name one (hf://organisation/model/path/file)"
    ", or pin a commit with deployment.model.revision",
    "modelscope": "is of one file, and a repository has many; name one, or pin a commit with "
    "deployment.model.revision",
    "ollama": "is of one file, and a model of Ollama's library has several",
    "oci": "is of one file; pin the image by its digest: oci://registry/image@sha256:…",
    "file": "cannot be compared inside the engine's image; pin that by its digest in "
    "deployment.images",
}
_NO_CREDENTIAL: Final[Mapping[str, str]] = {
    "ollama": "has no meaning for ollama://: models of Ollama's library are public",
    "oci": "has no meaning for oci://: images are pulled with the imagePullSecrets of "
    "deployment.service_account, or of deployment.pod_overrides",
    "pvc": "has no meaning for pvc://: a claim is mounted, not fetched",
    "file": "has no meaning for file://: the model is in the image",
}
_SECRET_QUERY: Final = re.compile(
    r"[?&][^=&]*(sig|token|key|secret|password|auth)[^=&]*=", re.IGNORECASE
)

_URI: Final = "deployment.model.uri"


@rule(_URI)
def _uri_has_its_form(uri: str | None) -> Problems:
    if uri is None:
        return
    scheme, _, rest = uri.partition("://")
    if scheme not in FORMS:
        known = ", ".join(f"{each}://" for each in FORMS)
        yield Problem(_URI, f"{scheme}:// is not a model source; there are {known}")
        return
    pattern, form = FORMS[scheme]
    if not pattern.fullmatch(rest) or "//" in rest.rstrip("/").removeprefix("/"):
        yield Problem(_URI, f"must be {form}")
    elif {".", ".."} & set(re.split("[/#]", rest)):
        yield Problem(_URI, "must not have . or .. as a step of its path")
    elif scheme == "https" and _SECRET_QUERY.search(rest):
        yield Problem(
            _URI,
            "would show the key that its query holds; give a plain URL and a token with "
            "deployment.model.credential_name",
        )


@rule(_URI, "deployment.model.revision")
def _revisions_are_of_hubs(uri: str | None, revision: str | None) -> Problems:
    if uri is not None and revision is not None and _scheme(uri) not in _HUBS:
        yield Problem(
            "deployment.model.revision",
            "has a meaning for hubs only (hf://, modelscope://); pin other sources by their path, "
            "digest or sha256",
        )


@rule(_URI, "deployment.model.credential_name")
def _credentials_fit_their_source(uri: str | None, credential_name: str | None) -> Problems:
    if uri is None or credential_name is None:
        return
    path, scheme = "deployment.model.credential_name", _scheme(uri)
    if scheme in _NO_CREDENTIAL:
        yield Problem(path, _NO_CREDENTIAL[scheme])
    elif scheme in ("s3", "gs") and "/" in credential_name:
        yield Problem(
            path,
            f"must be the name of a whole Secret for {scheme}://, whose keys are environment "
            "variables such as AWS_ACCESS_KEY_ID",
        )


@rule(_URI, "deployment.model.sha256")
def _checksums_are_of_one_file(uri: str | None, sha256: str | None) -> Problems:
    if uri is None or sha256 is None:
        return
    path, scheme, rest = "deployment.model.sha256", _scheme(uri), uri.partition("://")[2]
    is_hub_file = scheme in _HUBS and rest.strip("/").count("/") > 1
    if scheme in _NO_CHECKSUM and not is_hub_file:
        yield Problem(path, _NO_CHECKSUM[scheme])
    elif scheme in (*_ONE_FILE, *_HUBS) and ("/" not in rest or rest.endswith("/")):
        yield Problem(path, f"is of one file, and {uri} is a folder; name the file")


def _scheme(uri: str) -> str:
    return uri.partition("://")[0]


MODEL_RULES: Final[tuple[Rule, ...]] = (
    _uri_has_its_form,
    _revisions_are_of_hubs,
    _credentials_fit_their_source,
    _checksums_are_of_one_file,
)
