"""What runs before an engine to fetch its model into the cache, or to check the file it is.

One shell script per kind of source, the same for every service: what differs is in its
environment. A download goes to a name of its own beside the target, is compared with the checksum,
and is renamed: whoever finds the target finds it whole. Pure.

Checked in November 2026: curl 8.22 and rclone 1.75, in the images of their projects, which bring
BusyBox (``sh``, ``sha256sum``, ``mv``, ``find``) and run under any user.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from modelfleet.engines.launch import EnvSource, Fetch, SecretKey
from modelfleet.spec.deployment import DeploymentSpec
from modelfleet.spec.fields import secret_name_and_key
from modelfleet.spec.model_source import ModelSource
from modelfleet.spec.runtime import SecretRef

CURL_IMAGE: Final = "curlimages/curl:8.22.0"
RCLONE_IMAGE: Final = "rclone/rclone:1.75.1"

RCLONE_REMOTES: Final[Mapping[str, str]] = {"s3": ":s3:", "gs": ":gcs:"}
"""How rclone calls a bucket that it finds no configuration of, by URI scheme."""

_PASSED_ON: Final = ("AWS_", "GOOGLE_", "RCLONE_", "SSL_CERT_")
_PASSED_ON_WHOLE: Final = frozenset({"HF_ENDPOINT", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"})
"""The declared variables that reach the container too, proxies also in lower case."""


def download(deployment: DeploymentSpec, *, path: str, one_file: bool) -> Fetch:
    """Return how the model is brought to ``path``.

    Of a hub (hf, modelscope), of an https:// server and of a bucket with ``one_file`` it is a
    file, else a folder with all that the bucket has below the URI. Total: what cannot be fetched
    is what rules refuse.
    """
    model = deployment.model
    env = _passed_on(deployment)
    scheme, _, rest = model.uri.partition("://")
    if scheme in RCLONE_REMOTES:
        name = model.credential_name
        return Fetch(
            image=RCLONE_IMAGE,
            program=_FETCH.replace("<fetch>", _RCLONE),
            env={
                **env,
                "MODEL_SOURCE": _literal(RCLONE_REMOTES[scheme] + rest),
                **_target(model, path),
                "MODEL_COPY": "copyto" if one_file else "copy",
                # Nothing is configured in files, and HOME could not be written.
                "RCLONE_CONFIG": "/dev/null",
            },
            secret=secret_name_and_key(name)[0] if name is not None else None,
        )
    if model.credential_name is not None:
        env["MODEL_TOKEN"] = SecretKey(*secret_name_and_key(model.credential_name))
    endpoint = "$(HF_ENDPOINT)" if "HF_ENDPOINT" in env else None
    source = _url(model, hf_endpoint=endpoint)
    return Fetch(
        image=CURL_IMAGE,
        program=_FETCH.replace("<fetch>", _CURL),
        env={**env, "MODEL_SOURCE": source, **_target(model, path)},
    )


def verification(model: ModelSource, *, path: str) -> Fetch:
    """Return how the file at ``path``, which is mounted, is compared with its checksum."""
    return Fetch(image=CURL_IMAGE, program=_VERIFY, env=_target(model, path))


def _url(model: ModelSource, *, hf_endpoint: str | None) -> str:
    """Return where a single file is downloaded from."""
    scheme, _, rest = model.uri.partition("://")
    owner, _, below = rest.partition("/")
    name, _, file = below.partition("/")
    if scheme == "hf":
        revision = quote(model.revision or "main", safe="")
        endpoint = hf_endpoint or "https://huggingface.co"
        return endpoint + _literal(f"/{owner}/{name}/resolve/{revision}/{file}")
    if scheme == "modelscope":
        revision = quote(model.revision or "master", safe="")
        return _literal(
            f"https://www.modelscope.cn/models/{owner}/{name}/resolve/{revision}/{file}"
        )
    return _literal(model.uri)


def _target(model: ModelSource, path: str) -> dict[str, EnvSource]:
    target: dict[str, EnvSource] = {"MODEL_FILE": _literal(path)}
    if model.sha256 is not None:
        target["MODEL_SHA256"] = model.sha256
    return target


def _passed_on(deployment: DeploymentSpec) -> dict[str, EnvSource]:
    """Return the declared variables that say how a source is reached, by name."""
    return {
        name: SecretKey(*secret_name_and_key(value.secret))
        if isinstance(value, SecretRef)
        else value
        for name, value in sorted(deployment.env.items())
        if name.startswith(_PASSED_ON) or name.upper() in _PASSED_ON_WHOLE
    }


def _literal(text: str) -> str:
    """Return ``text`` so that the kubelet replaces nothing in it."""
    return text.replace("$(", "$$(")


_FETCH: Final = """\
set -eu
if [ -e "$MODEL_FILE" ]; then
  echo "$MODEL_FILE is already there"
  exit 0
fi
folder=$(dirname "$MODEL_FILE")
part="$folder/.part-$(hostname)"
mkdir -p "$folder"
# What pods left that never came to an end.
find "$folder" -maxdepth 1 -name '.part-*' -mtime +1 -exec rm -rf {} +
<fetch>
if [ -n "${MODEL_SHA256:-}" ] &&
  ! echo "$MODEL_SHA256  $part" | sha256sum -c - >/dev/null 2>&1; then
  found=$(sha256sum "$part" | cut -d ' ' -f 1)
  rm -rf "$part"
  echo "the file fetched has the SHA-256 $found, not that of deployment.model.sha256" >&2
  exit 1
fi
# Another pod on the same volume may have been faster.
if [ -d "$MODEL_FILE" ]; then rm -rf "$part"; else mv -f "$part" "$MODEL_FILE"; fi
echo "fetched $MODEL_FILE"
"""

_CURL: Final = """\
case "$MODEL_SOURCE" in https:*) redirects='=https' ;; *) redirects='=http,https' ;; esac
fetch() {
  if [ -n "${MODEL_TOKEN:-}" ]; then
    printf 'header = "Authorization: Bearer %s"\\n' "$MODEL_TOKEN"
  fi | curl --config - --fail --location --silent --show-error --proto-redir "$redirects" \\
    --connect-timeout 30 --speed-limit 1024 --speed-time 120 --retry 5 --retry-connrefused \\
    --continue-at - --output "$part" "$MODEL_SOURCE"
}
fetch || {
  code=$?
  # 22: the server refuses, maybe to go on at the end of a whole file. 33: it cannot go on.
  case $code in 22 | 33) rm -f "$part" ;; esac
  exit $code
}"""

_RCLONE: Final = """\
export RCLONE_S3_ENV_AUTH="${RCLONE_S3_ENV_AUTH:-true}"
export RCLONE_GCS_ENV_AUTH="${RCLONE_GCS_ENV_AUTH:-true}"
export RCLONE_S3_REGION="${RCLONE_S3_REGION:-${AWS_REGION:-${AWS_DEFAULT_REGION:-}}}"
endpoint="${AWS_ENDPOINT_URL_S3:-${AWS_ENDPOINT_URL:-}}"
export RCLONE_S3_ENDPOINT="${RCLONE_S3_ENDPOINT:-$endpoint}"
if [ -n "$RCLONE_S3_ENDPOINT" ]; then provider=Other; else provider=AWS; fi
export RCLONE_S3_PROVIDER="${RCLONE_S3_PROVIDER:-$provider}"
rclone "$MODEL_COPY" --retries 5 --transfers 4 "$MODEL_SOURCE" "$part"
if [ ! -e "$part" ]; then
  echo "there is nothing at $MODEL_SOURCE" >&2
  exit 1
fi"""

_VERIFY: Final = """\
set -eu
if ! echo "$MODEL_SHA256  $MODEL_FILE" | sha256sum -c - >/dev/null; then
  echo "$MODEL_FILE is not the file that deployment.model.sha256 declares" >&2
  exit 1
fi
"""
