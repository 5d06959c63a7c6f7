"""The 29 fields of ZStack's model service: what each says of services of every kind."""

from __future__ import annotations

import json
from typing import Any

import yaml

from modelfleet import labels
from modelfleet.adapters.query_api.accounts import Account
from modelfleet.adapters.query_api.zstack_api.fields import FIELDS, Kind
from modelfleet.adapters.query_api.zstack_api.rows import Rows
from modelfleet.catalogue import Snapshot
from modelfleet.cluster.objects import Object
from zstack_fleet import EXTERNAL, HOSTED, proxy, service, snapshot_of

EVERYBODY = Account("all", namespaces=None)


async def told(*objects: Object) -> list[dict[str, Any]]:
    rows = await Rows().seen_by(EVERYBODY, await snapshot_of(objects))
    return [json.loads(row.text) for row in rows]


async def test_a_hosted_service_tells_what_is_declared_and_what_runs() -> None:
    [fields] = await told(service("qwen"))
    document = yaml.safe_load(fields.pop("yaml"))
    [reference] = fields.pop("modelServiceRefs")
    assert fields == {
        "uuid": fields["uuid"],
        "name": "qwen",
        "description": "Answers questions.",
        "readme": None,
        "requestCpu": 8,
        "requestMemory": 96 * 1024**3,
        "modelCenterUuid": None,
        "type": "Endpoint",
        "framework": "vllm",
        "source": "HuggingFace",
        "size": None,
        "system": False,
        "hasNewVersion": False,
        "gpuComputeCapability": "9.0",
        "installPath": "hf://Qwen/Qwen3-8B",
        "pythonVersion": None,
        "condaVersion": None,
        "version": fields["version"],
        "startCommand": f"vllm serve {fields['containerArgs']}",
        "containerCommand": "vllm serve",
        "containerArgs": fields["containerArgs"],
        "supportDistributed": False,
        "cpuArchitectures": ["x86_64"],
        "vendorToSpecUuidsMap": {"NVIDIA": ["NVIDIA-H100-80GB-HBM3"]},
        "modelServiceImages": [
            {
                "cpuArchitecture": "x86_64",
                "vmImageUuid": None,
                "dockerImage": f"vllm/vllm-openai:{fields['version']}",
                "name": "vllm",
                "acceleratorType": "NVIDIA",
                "imageNamePattern": None,
            }
        ],
        "createDate": "Nov 2, 2026 1:04:05 PM",
        "lastOpDate": "Nov 2, 2026 1:04:05 PM",
    }
    assert len(fields["uuid"]) == 32
    assert set(fields["uuid"]) <= set("0123456789abcdef")
    assert "--served-model-name qwen" in fields["containerArgs"]
    assert reference["modelServiceUuid"] == fields["uuid"]
    assert document["services"] == [
        {
            "name": "qwen",
            "ports": [8000],
            "livez": "/health",
            "readyz": "/health",
            "serviceBootupTime": 1800,
        }
    ]
    variables = {each["name"]: each["value"] for each in document["env"]}
    assert variables["NAME"] == "value"
    assert variables["TOKEN"] == variables["PRIVATE"] == "***"


async def test_an_external_service_tells_nothing_of_pods() -> None:
    [fields] = await told(service("embed", of=EXTERNAL))
    assert {name for name, value in fields.items() if value is not None} == {
        "uuid",
        "name",
        "type",
        "source",
        "system",
        "modelServiceRefs",
        "modelServiceImages",
        "createDate",
        "lastOpDate",
    }
    assert fields["modelServiceRefs"] == fields["modelServiceImages"] == []


async def test_no_secret_is_in_any_field() -> None:
    env = {"URL": "https://me:hunter22@host", "K": "sk-1234567890"}
    shown = {"name": "engine", "args": ["--api-key", "plainly-visible"]}
    overrides = {"spec": {"containers": [shown]}}
    leaky = {**HOSTED["deployment"], "env": env, "pod_overrides": overrides}
    text = json.dumps(await told(service("leaky", deployment=leaky), service("ext", of=EXTERNAL)))
    for secret in ("not to be seen", "sk-not-to-be-seen", "hunter22", "sk-1234567890", "plainly"):
        assert secret not in text


async def test_a_runtime_in_full_tells_what_is_known_of_it() -> None:
    runtime = {"name": "my-engine", "image": "example.com/engine:1", "min_compute_capability": 7.5}
    model = {"uri": "pvc://weights/qwen"}
    declared = {"model": model, "runtime": runtime, "gpu": {"count": 1}}
    [fields] = await told(service("own", deployment=declared))
    assert (fields["framework"], fields["source"]) == ("my-engine", "Other")
    assert fields["hasNewVersion"] is None
    assert fields["version"] is None
    assert fields["gpuComputeCapability"] == "7.5"
    assert fields["cpuArchitectures"] is None
    assert fields["modelServiceImages"][0]["dockerImage"] == "example.com/engine:1"
    assert fields["vendorToSpecUuidsMap"] == {"NVIDIA": []}


async def test_an_older_engine_has_a_new_version() -> None:
    declared = {**HOSTED["deployment"], "runtime_version": "v0.28.0"}
    [fields] = await told(service("old", deployment=declared))
    assert (fields["version"], fields["hasNewVersion"]) == ("v0.28.0", True)


async def test_what_is_overridden_in_the_pods_is_told_as_it_runs() -> None:
    container = {"name": "engine", "image": "example.com/patched:2", "command": ["sh", "-c", "a b"]}
    overrides = {"spec": {"containers": [container]}}
    declared = {**HOSTED["deployment"], "pod_overrides": overrides}
    [fields] = await told(service("patched", deployment=declared))
    assert fields["modelServiceImages"][0]["dockerImage"] == "example.com/patched:2"
    assert fields["containerCommand"] == "sh -c 'a b'"


async def test_a_service_whose_record_cannot_be_read_is_told_by_its_name() -> None:
    spoilt = service("spoilt")
    spoilt["metadata"]["annotations"][labels.RECORD] = "{"
    [fields] = await told(spoilt)
    assert (fields["name"], fields["createDate"]) == ("spoilt", "Nov 2, 2026 1:04:05 PM")
    assert fields["yaml"] is fields["framework"] is fields["requestCpu"] is None


async def test_a_service_that_cannot_be_told_in_full_hides_no_other() -> None:
    odd = {"name": "engine", "resources": {"requests": {"cpu": "NaN"}}}
    overrides = {"spec": {"containers": [odd]}}
    deployment = {**HOSTED["deployment"], "pod_overrides": overrides}
    fields = await told(service("odd", deployment=deployment, workspace_id="w"), service("qwen"))
    assert [each["name"] for each in fields] == ["odd", "qwen"]
    assert (fields[0]["framework"], fields[1]["framework"]) == (None, "vllm")


async def test_a_proxy_is_no_model_service() -> None:
    fields = await told(service("qwen"), proxy("gate", to="http://qwen.models.svc/v1"))
    assert [each["name"] for each in fields] == ["qwen"]


def test_there_are_29_fields_and_each_says_what_it_is() -> None:
    assert len({field.name for field in FIELDS}) == 29
    for field in FIELDS:
        assert field.doc.endswith(".")
        assert field.source
        assert bool(field.parts) == bool(field.item) == (field.kind is Kind.OBJECTS)


async def test_rows_are_made_once_for_each_version_of_a_service() -> None:
    first = await snapshot_of([service("aa"), service("bb")])
    [changed] = (await snapshot_of([service("aa", description="Another.")])).entries
    rows = Rows()
    before = await rows.seen_by(EVERYBODY, first)
    assert await rows.seen_by(EVERYBODY, first) is before
    both = (changed, first.entries[1])
    later = Snapshot(first.version + 1, {each.key: each for each in both}, both)
    after = await rows.seen_by(EVERYBODY, later)
    assert [row.values["description"] for row in after] == ["Another.", "Answers questions."]
    assert after[1] is before[1]
    # A request that began with an older snapshot does not bring it back.
    assert await rows.seen_by(EVERYBODY, first) is after
