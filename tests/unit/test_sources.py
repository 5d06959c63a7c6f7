"""Where the weights come from: what an engine is handed, what is mounted, what is fetched."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from modelfleet.engines.fetching import CURL_IMAGE, RCLONE_IMAGE
from modelfleet.engines.launch import Fetch, ModelLocation, SecretKey
from modelfleet.engines.sources import model_location
from modelfleet.spec.deployment import DeploymentSpec

SHA256 = "0" * 64
HF = frozenset({"hf"})


def location(
    uri: str, *, reads: frozenset[str] = HF, env: dict[str, Any] | None = None, **model: Any
) -> ModelLocation:
    declared = {"model": {"uri": uri, **model}, "env": env or {}}
    return model_location(DeploymentSpec.model_validate(declared), reads=reads)


def fetch_of(uri: str, *, reads: frozenset[str] = HF, **model: Any) -> Fetch:
    fetch = location(uri, reads=reads, **model).fetch
    assert fetch is not None
    return fetch


@pytest.mark.parametrize(
    ("uri", "path", "claim"),
    [
        ("hf://org/model", "org/model", None),
        ("hf://model", "model", None),
        ("file:///opt/model", "/opt/model", None),
        ("pvc://weights", "/models/weights", "weights"),
        ("pvc://weights/", "/models/weights", "weights"),
        ("pvc://weights/a/b", "/models/weights/a/b", "weights"),
    ],
)
def test_a_model_is_found_where_its_uri_says(uri: str, path: str, claim: str | None) -> None:
    assert (location(uri).path, location(uri).claim) == (path, claim)
    assert location(uri).fetch is None


@pytest.mark.parametrize(
    ("uri", "path"),
    [("modelscope://org/model", "org/model"), ("s3://bucket/a", "s3://bucket/a")],
)
def test_what_an_engine_reads_by_itself_is_handed_to_it_as_it_knows_it(uri: str, path: str) -> None:
    found = location(uri, reads=frozenset({"modelscope", "s3"}))
    assert (found.path, found.fetch) == (path, None)


def test_an_engine_that_reads_a_bucket_gets_the_keys_of_its_secret() -> None:
    uri, reads = "s3://bucket/a", frozenset({"s3"})
    assert location(uri, reads=reads, credential_name="bucket-key").secret == "bucket-key"
    assert location(uri, reads=reads).secret is None
    assert location("hf://org/model", credential_name="hub").secret is None


def test_an_image_with_a_model_is_mounted_and_not_pulled_into_a_volume() -> None:
    whole, part = location("oci://r.example.com/m:v1"), location("oci://r.example.com/m:v1#/a/b")
    assert (whole.image, whole.mount, whole.path) == (
        "r.example.com/m:v1",
        "/models/image",
        "/models/image",
    )
    assert (part.image, part.path) == ("r.example.com/m:v1", "/models/image/a/b")


@pytest.mark.parametrize(
    ("uri", "source", "image"),
    [
        ("https://host/a/m.gguf", "https://host/a/m.gguf", CURL_IMAGE),
        ("https://host/m.gguf?v=$(HOME)", "https://host/m.gguf?v=$$(HOME)", CURL_IMAGE),
        ("s3://bucket/folder", ":s3:bucket/folder", RCLONE_IMAGE),
        ("gs://bucket/m.gguf", ":gcs:bucket/m.gguf", RCLONE_IMAGE),
        ("hf://o/m/a/m.gguf", "https://huggingface.co/o/m/resolve/main/a/m.gguf", CURL_IMAGE),
        (
            "modelscope://o/m/m.gguf",
            "https://www.modelscope.cn/models/o/m/resolve/master/m.gguf",
            CURL_IMAGE,
        ),
    ],
)
def test_what_an_engine_cannot_read_is_fetched_into_the_cache(
    uri: str, source: str, image: str
) -> None:
    found = location(uri)
    assert found.fetch is not None
    assert (found.fetch.env["MODEL_SOURCE"], found.fetch.image) == (source, image)
    assert found.fetch.env["MODEL_FILE"] == found.path
    assert found.path.startswith("/cache/models/")
    assert found.path.endswith(uri.partition("?")[0].rpartition("/")[2])


@pytest.mark.parametrize(
    ("uri", "copy"),
    [("s3://b/folder", "copy"), ("s3://b/m.GGUF", "copyto"), ("gs://b/f/m.safetensors", "copyto")],
)
def test_a_bucket_s_path_is_a_file_where_it_ends_like_one_and_else_a_folder(
    uri: str, copy: str
) -> None:
    assert fetch_of(uri).env["MODEL_COPY"] == copy


def test_another_model_revision_or_checksum_is_kept_in_another_place() -> None:
    uri = "hf://o/m/m.gguf"
    paths = {
        location(uri).path,
        location(uri, revision="v2").path,
        location(uri, sha256=SHA256).path,
        location("hf://o/n/m.gguf").path,
    }
    assert len(paths) == 4


def test_a_file_with_a_checksum_is_fetched_and_compared_whatever_the_engine_could_read() -> None:
    reads = frozenset({"s3"})
    assert location("s3://b/m.bin", reads=reads).fetch is None
    assert fetch_of("s3://b/m", reads=reads, sha256=SHA256).env["MODEL_SHA256"] == SHA256
    assert fetch_of("s3://b/m", reads=reads, sha256=SHA256).env["MODEL_COPY"] == "copyto"


def test_a_claim_s_file_with_a_checksum_is_compared_where_it_is() -> None:
    found = location("pvc://weights/m.gguf", sha256=SHA256)
    assert found.fetch is not None
    assert found.fetch.env == {"MODEL_FILE": "/models/weights/m.gguf", "MODEL_SHA256": SHA256}


def test_a_revision_is_one_step_of_a_hub_s_path() -> None:
    source = fetch_of("hf://o/m/m.gguf", revision="refs/pr/1").env["MODEL_SOURCE"]
    assert source == "https://huggingface.co/o/m/resolve/refs%2Fpr%2F1/m.gguf"


def test_a_mirror_of_the_hub_is_asked_where_the_environment_names_one() -> None:
    fetch = location("hf://o/m/m.gguf", env={"HF_ENDPOINT": "https://hub.example.com"}).fetch
    assert fetch is not None
    assert list(fetch.env)[:2] == ["HF_ENDPOINT", "MODEL_SOURCE"]
    assert fetch.env["MODEL_SOURCE"] == "$(HF_ENDPOINT)/o/m/resolve/main/m.gguf"


def test_fetching_is_told_how_to_reach_the_source_and_nothing_else() -> None:
    env = {"AWS_REGION": "eu-west-1", "https_proxy": "http://p", "LD_PRELOAD": "x", "VLLM_X": "1"}
    fetch = location("s3://b/m", env=env).fetch
    assert fetch is not None
    assert list(fetch.env)[:2] == ["AWS_REGION", "https_proxy"]
    assert not {"LD_PRELOAD", "VLLM_X"} & fetch.env.keys()


def test_a_credential_is_a_token_for_servers_and_variables_for_buckets() -> None:
    token = fetch_of("https://h/m.gguf", credential_name="hub/token")
    assert (token.env["MODEL_TOKEN"], token.secret) == (SecretKey("hub", "token"), None)
    keys = fetch_of("gs://b/m", credential_name="bucket")
    assert ("MODEL_TOKEN" in keys.env, keys.secret) == (False, "bucket")


# The script, run by a real shell and a real curl against a server of ours


CONTENT = b"weights" * 1000
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()


class _Hub(BaseHTTPRequestHandler):
    """Serves one file to who has the token, and counts the requests."""

    def do_GET(self) -> None:
        self.server.asked.append(self.headers.get("Authorization"))  # type: ignore[attr-defined]
        if not self.path.endswith("/m.gguf"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def run(fetch: Fetch, hub: ThreadingHTTPServer, *, file: Path, **env: str) -> tuple[int, str]:
    """Run the program as the container would, with the hub and the place of this test."""
    variables = {name: value for name, value in fetch.env.items() if isinstance(value, str)}
    source = f"http://127.0.0.1:{hub.server_port}/o/m/resolve/main/{env.pop('name', 'm.gguf')}"
    done = subprocess.run(
        ["/bin/sh", "-c", fetch.program],
        env={
            "PATH": os.environ["PATH"],
            **variables,
            "MODEL_SOURCE": source,
            "MODEL_FILE": str(file),
            **env,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    return done.returncode, done.stdout + done.stderr


def asked(hub: ThreadingHTTPServer) -> list[str | None]:
    found: list[str | None] = hub.asked  # type: ignore[attr-defined]
    return found


def test_a_file_is_fetched_once_and_appears_whole(hub: ThreadingHTTPServer, tmp_path: Path) -> None:
    fetch = fetch_of("hf://o/m/m.gguf", sha256=CHECKSUM, credential_name="hub")
    file = tmp_path / "models" / "m.gguf"
    code, said = run(fetch, hub, file=file, MODEL_TOKEN="hush")
    assert (code, file.read_bytes()) == (0, CONTENT), said
    assert asked(hub) == ["Bearer hush"]
    assert "hush" not in said
    assert run(fetch, hub, file=file)[0] == 0
    assert len(asked(hub)) == 1
    assert [each.name for each in file.parent.iterdir()] == ["m.gguf"]


def test_a_file_with_another_checksum_never_appears(
    hub: ThreadingHTTPServer, tmp_path: Path
) -> None:
    fetch = fetch_of("hf://o/m/m.gguf", sha256=SHA256)
    code, said = run(fetch, hub, file=tmp_path / "m.gguf")
    assert code == 1
    assert CHECKSUM in said
    assert "deployment.model.sha256" in said
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_is_an_error_that_says_so(
    hub: ThreadingHTTPServer, tmp_path: Path
) -> None:
    code, said = run(fetch_of("hf://o/m/m.gguf"), hub, file=tmp_path / "m.gguf", name="missing")
    assert code == 22
    assert "404" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("checksum", "code"), [(CHECKSUM, 0), (SHA256, 1)])
def test_a_mounted_file_is_compared_with_its_checksum(
    hub: ThreadingHTTPServer, tmp_path: Path, checksum: str, code: int
) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(CONTENT)
    fetch = fetch_of("pvc://claim/m.gguf", sha256=checksum)
    assert run(fetch, hub, file=file)[0] == code


RCLONE = """\
#!/bin/sh
# Stands in for rclone: notes what it was asked, and copies what the test put in its way.
echo "$1 $RCLONE_S3_PROVIDER endpoint=$RCLONE_S3_ENDPOINT region=$RCLONE_S3_REGION" >> "$NOTES"
for argument; do source=$target; target=$argument; done
case "$source" in *missing*) exit 0 ;; esac
if [ "$1" = copyto ]; then
  printf weights > "$target"
else
  mkdir -p "$target" && echo {} > "$target/config.json"
fi
"""


@pytest.fixture
def bucket(tmp_path: Path) -> dict[str, str]:
    """The environment in which there is an rclone, and a file for its notes."""
    program = tmp_path / "bin" / "rclone"
    program.parent.mkdir()
    program.write_text(RCLONE)
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    return {"PATH": path, "NOTES": str(tmp_path / "notes")}


@pytest.mark.parametrize(
    ("uri", "env", "asked_for", "appears"),
    [
        ("s3://models/m.gguf", {}, "copyto AWS endpoint= region=", "m.gguf"),
        (
            "s3://models/folder",
            {"AWS_REGION": "eu-west-1"},
            "copy AWS endpoint= region=eu-west-1",
            "folder/config.json",
        ),
        (
            "s3://models/folder",
            {"AWS_ENDPOINT_URL": "https://minio"},
            "copy Other endpoint=https://minio region=",
            "folder/config.json",
        ),
    ],
)
def test_a_bucket_is_copied_once_and_appears_whole(
    bucket: dict[str, str],
    hub: ThreadingHTTPServer,
    tmp_path: Path,
    uri: str,
    env: dict[str, str],
    asked_for: str,
    appears: str,
) -> None:
    fetch, target = fetch_of(uri), tmp_path / "models" / uri.rpartition("/")[2]
    for _ in range(2):
        code, said = run(fetch, hub, file=target, **bucket, **env)
        assert code == 0, said
    assert (tmp_path / "notes").read_text() == f"{asked_for}\n"
    assert (tmp_path / "models" / appears).exists()
    assert [each.name for each in target.parent.iterdir()] == [target.name]


def test_a_path_of_a_bucket_with_nothing_below_it_is_an_error_that_says_so(
    bucket: dict[str, str], hub: ThreadingHTTPServer, tmp_path: Path
) -> None:
    fetch = fetch_of("s3://models/folder")
    code, said = run(fetch, hub, file=tmp_path / "models" / "m", name="missing", **bucket)
    assert code == 1
    assert "there is nothing at" in said
