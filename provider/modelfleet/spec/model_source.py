"""Where the weights of a hosted ModelService come from; what reads them is in ``engines/``."""

from __future__ import annotations

from typing import Annotated

from modelfleet.spec.fields import ChangeClass, SecretName, SpecModel, declared, text

ROLLING = ChangeClass.ROLLING

ModelUri = Annotated[
    str,
    text(
        r"^[a-z0-9]+://\S+$",
        says="must be a URI such as hf://org/name, s3://bucket/path or pvc://claim/path",
        max_length=2048,
    ),
]
Revision = Annotated[
    str, text(r"^[-._/a-zA-Z0-9]+$", says="must be a commit, tag or branch", max_length=256)
]
Sha256 = Annotated[str, text(r"^[0-9a-f]{64}$", says="must be 64 lower-case hexadecimal digits")]


class ModelSource(SpecModel):
    """Where the weights come from."""

    uri: ModelUri = declared(
        change=ROLLING,
        doc="`hf://org/name` or `modelscope://org/name` (a hub; with `/path/file` one file of it), "
        "`hf://org/name:quantisation` (of GGUF files), `ollama://name:tag` (Ollama's library), "
        "`s3://bucket/path`, `gs://bucket/path`, `https://host/file` (fetched where the engine "
        "does not read them), `oci://registry/image:tag` (mounted; `#folder` of it), "
        "`pvc://claim/path` (an existing claim, mounted read-only) or `file:///path` (a path in "
        "the image).",
    )
    revision: Revision | None = declared(
        None, change=ROLLING, doc="Commit, tag or branch of a hub's model. Pin a commit."
    )
    sha256: Sha256 | None = declared(
        None,
        change=ROLLING,
        doc="Checksum of a model that is one file; a pod with another file does not start.",
    )
    credential_name: SecretName | None = declared(
        None,
        change=ROLLING,
        doc="Secret with what the source asks for: the token of a hub or an https:// server "
        "(`name` or `name/key`), or for s3:// and gs:// the `name` of a Secret whose keys are "
        "environment variables such as AWS_ACCESS_KEY_ID.",
    )
