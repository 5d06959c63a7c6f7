"""What a stack's state says of its services, to those that compare it with a cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelfleet.adapters.cli.pulumi_state import TYPE_PREFIX, KnownResource, Stack


def resource(name: str, **fields: Any) -> dict[str, Any]:
    outputs = {"cluster_uid": "1-2-3", "incarnation": "abc"}
    return {
        "type": f"{TYPE_PREFIX}ModelService",
        "id": f"models/{name}",
        "outputs": outputs,
        **fields,
    }


def test_what_a_program_only_looks_up_is_none_of_its_services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up = resource("theirs", external=True)
    elsewhere = resource("namespace", type="kubernetes:core/v1:Namespace")
    resources = [resource("ours"), looked_up, elsewhere]
    (tmp_path / "state.json").write_text(json.dumps({"deployment": {"resources": resources}}))
    pulumi = tmp_path / "pulumi"
    pulumi.write_text(f"#!/bin/sh\nexec /bin/cat {tmp_path}/state.json\n")
    pulumi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Stack("dev", tmp_path).resources() == [
        KnownResource(
            kind="ModelService",
            cluster="default",
            cluster_uid="1-2-3",
            id="models/ours",
            incarnation="abc",
        )
    ]
