"""Every field of the three systems unified here: accepted by its name, or refused with advice.

The tables are theirs, field by field, as their interfaces spell them: AgentRun's ModelService, its
ModelProxy and their nested types; ZStack AIOS' model service with what adds and updates one, and
its yaml; d.run's deploy form and service page. Whoever brings one of these fields gets an answer.
"""

from __future__ import annotations

from typing import Any

import pytest
from declarations import EXTERNAL, FULL_RUNTIME, HOSTED

from modelfleet.plan import plan
from modelfleet.spec.elsewhere import ELSEWHERE
from modelfleet.spec.merge import merged
from modelfleet.spec.refused import REFUSED, snake_case
from modelfleet.spec.tree import Path, dotted

FULL = merged(HOSTED, {"deployment": {"runtime": FULL_RUNTIME, "runtime_version": None}})

ACCEPTED: list[tuple[str, str, Any]] = [
    ("AgentRun", "model_service_name", "qwen"),
    ("AgentRun", "model_type", "text-embedding"),
    ("AgentRun", "provider", "tongyi"),
    ("AgentRun", "workspace_id", "team"),
    ("AgentRun", "description", "for people"),
    ("AgentRun", "network_configuration.network_mode", "PRIVATE"),
    ("AgentRun", "provider_settings.model_names", ["a"]),
    ("AgentRun", "model_info_configs", [{"model_name": "m"}]),
    *(
        ("AgentRun", "model_info_configs", [{"model_name": "m", "model_features": {name: True}}])
        for name in (
            "agent_thought",
            "multi_tool_call",
            "stream_tool_call",
            "tool_call",
            "vision",
        )
    ),
    (
        "AgentRun",
        "model_info_configs",
        [{"model_name": "m", "model_properties": {"context_size": 8192}}],
    ),
    (
        "AgentRun",
        "model_info_configs",
        [
            {
                "model_name": "m",
                "model_parameter_rules": [
                    {
                        "name": "top_p",
                        "type": "float",
                        "required": False,
                        "default": 1.0,
                        "min": 0,
                        "max": 1,
                    }
                ],
            }
        ],
    ),
    ("ZStack AIOS", "description", "for people"),
    ("d.run", "namespace", "models"),
    ("d.run", "cluster", "gpu-west"),
    ("d.run", "deployment.model.uri", "hf://org/other"),
    ("d.run", "deployment.replicas", 3),
    ("d.run", "deployment.runtime", FULL_RUNTIME),
    ("d.run", "deployment.cpu", 8),
    ("d.run", "deployment.memory_gib", 64),
    ("d.run", "deployment.env", {"A": "1"}),
    ("d.run", "deployment.queue", "inference"),
    (
        "d.run",
        "deployment.runtime",
        {**FULL_RUNTIME, "args": ["$(MODEL_PATH)", "$(MODEL_NAME)", "$(TP_SIZE)", "$(PP_SIZE)"]},
    ),
]
"""System, path and a value; on a hosted service unless the field is an external one's."""

ACCEPTED_OF_EXTERNAL: list[tuple[str, str, Any]] = [
    ("AgentRun", "provider_settings.api_key", "hush"),
    ("AgentRun", "provider_settings.base_url", "https://other.example.com/v1"),
    ("AgentRun", "credential_name", "openai/key"),
    *(("AgentRun", "model_type", kind) for kind in ("llm", "rerank", "speech2text", "tts")),
    ("AgentRun", "model_type", "moderation"),
]

REFUSED_BY_NAME: list[tuple[str, str, str]] = [
    # ModelService, system fields and the wire's
    ("AgentRun", "model_service_id", "is an output"),
    ("AgentRun", "status", "is an output"),
    ("AgentRun", "status_reason", "is an output"),
    ("AgentRun", "statusReason", "is an output"),
    ("AgentRun", "created_at", "is an output"),
    ("AgentRun", "last_updated_at", "is an output"),
    ("AgentRun", "modelServiceName", "write it in snake_case: `model_service_name`"),
    ("AgentRun", "modelInfoConfigs", "write it in snake_case: `model_info_configs`"),
    ("AgentRun", "networkConfiguration", "write it in snake_case: `network_configuration`"),
    ("AgentRun", "provider_settings.apiKey", "write it in snake_case: `api_key`"),
    ("AgentRun", "network_configuration.vpc_id", "the cluster is the network"),
    ("AgentRun", "network_configuration.vpcId", "the cluster is the network"),
    ("AgentRun", "network_configuration.vswitch_ids", "deployment.node_selector"),
    ("AgentRun", "network_configuration.security_group_id", "network_configuration.allow_from"),
    # NetworkConfig, ProviderSettings and BaseInfo, written beside the service's own
    ("AgentRun", "network_mode", "set network_configuration.network_mode"),
    ("AgentRun", "vpc_id", "choose it with `cluster`"),
    ("AgentRun", "vswitch_ids", "deployment.node_selector"),
    ("AgentRun", "security_group_id", "set network_configuration.allow_from"),
    ("AgentRun", "api_key", "set provider_settings.api_key"),
    ("AgentRun", "base_url", "set provider_settings.base_url"),
    ("AgentRun", "model_names", "set provider_settings.model_names"),
    ("AgentRun", "model", "set deployment.model"),
    ("AgentRun", "headers", "what is sent with a request is the caller's"),
    ("AgentRun", "page_number", "belongs to a listing"),
    ("AgentRun", "page_size", "belongs to a listing"),
    # ModelProxy and its nested types
    ("AgentRun", "model_proxy_name", "belongs to a ModelProxy"),
    ("AgentRun", "cpu", "set deployment.cpu"),
    ("AgentRun", "memory", "set deployment.memory_gib, in GiB"),
    ("AgentRun", "litellm_version", "belongs to a ModelProxy"),
    ("AgentRun", "service_region_id", "set `cluster`"),
    ("AgentRun", "proxy_mode", "belongs to a ModelProxy"),
    ("AgentRun", "proxy_config", "belongs to a ModelProxy"),
    ("AgentRun", "execution_role_arn", "set deployment.service_account"),
    ("AgentRun", "logConfiguration", "logs are the pods'"),
    ("AgentRun", "armsConfiguration", "deployment.env"),
    ("AgentRun", "model_proxy_id", "belongs to a ModelProxy"),
    ("AgentRun", "endpoint", "is an output"),
    ("AgentRun", "function_name", "it has pods"),
    ("AgentRun", "endpoints", "belongs to a ModelProxy"),
    ("AgentRun", "weight", "belongs to a ModelProxy"),
    ("AgentRun", "policies", "belongs to a ModelProxy"),
    ("AgentRun", "cache", "belongs to a ModelProxy"),
    ("AgentRun", "concurrency_limit", "belongs to a ModelProxy"),
    ("AgentRun", "num_retries", "belongs to a ModelProxy"),
    ("AgentRun", "request_timeout", "belongs to a ModelProxy"),
    ("AgentRun", "fallbacks", "belongs to a ModelProxy"),
    ("AgentRun", "token_rate_limiter", "belongs to a ModelProxy"),
    ("AgentRun", "ai_guardrail_config", "belongs to a ModelProxy"),
    # the 29 fields of a model service, `description` being accepted
    ("ZStack AIOS", "uuid", "known by namespace and model_service_name"),
    ("ZStack AIOS", "name", "set model_service_name"),
    ("ZStack AIOS", "readme", "set description"),
    ("ZStack AIOS", "yaml", "deployment.env"),
    ("ZStack AIOS", "requestCpu", "set deployment.cpu"),
    ("ZStack AIOS", "requestMemory", "set deployment.memory_gib, in GiB and not in bytes"),
    ("ZStack AIOS", "modelCenterUuid", "set deployment.model.uri"),
    ("ZStack AIOS", "type", "set model_type"),
    ("ZStack AIOS", "framework", "set deployment.runtime"),
    ("ZStack AIOS", "source", "set deployment.model.uri"),
    ("ZStack AIOS", "size", "deployment.storage.size_gib"),
    ("ZStack AIOS", "system", "use tags"),
    ("ZStack AIOS", "hasNewVersion", "deployment.runtime_version"),
    ("ZStack AIOS", "gpuComputeCapability", "set deployment.gpu.compute_capability"),
    ("ZStack AIOS", "installPath", "set deployment.model.uri"),
    ("ZStack AIOS", "pythonVersion", "deployment.images"),
    ("ZStack AIOS", "condaVersion", "deployment.images"),
    ("ZStack AIOS", "version", "set deployment.runtime_version"),
    ("ZStack AIOS", "startCommand", "set deployment.command"),
    ("ZStack AIOS", "containerCommand", "set deployment.command"),
    ("ZStack AIOS", "containerArgs", "set deployment.args"),
    ("ZStack AIOS", "supportDistributed", "is not available yet; set deployment.replicas"),
    ("ZStack AIOS", "cpuArchitectures", "set deployment.cpu_architecture"),
    ("ZStack AIOS", "vendorToSpecUuidsMap", "deployment.gpu.product"),
    ("ZStack AIOS", "modelServiceRefs", "set deployment.model.uri"),
    ("ZStack AIOS", "modelServiceImages", "set deployment.images"),
    ("ZStack AIOS", "createDate", "is an output, not an input: created_at"),
    ("ZStack AIOS", "lastOpDate", "is an output, not an input: last_updated_at"),
    # what adds, updates and clones one has beyond them
    ("ZStack AIOS", "architectureImages", "set deployment.images"),
    ("ZStack AIOS", "resourceUuid", "known by namespace and model_service_name"),
    ("ZStack AIOS", "tagUuids", "set tags"),
    ("ZStack AIOS", "zoneUuid", "deployment.node_selector"),
    ("ZStack AIOS", "modelUuids", "set deployment.model.uri"),
    ("ZStack AIOS", "environmentParameters", "set deployment.env"),
    ("ZStack AIOS", "startupParameters", "set deployment.args"),
    ("ZStack AIOS", "inferenceParams", "model_parameter_rules"),
    ("ZStack AIOS", "serviceName", "set model_service_name"),
    ("ZStack AIOS", "servicePorts", "deployment.runtime.port"),
    ("ZStack AIOS", "serviceLivez", "set its probes"),
    ("ZStack AIOS", "serviceReadyz", "set its probes"),
    ("ZStack AIOS", "serviceBootupTime", "set deployment.startup_seconds"),
    ("ZStack AIOS", "serviceStartCommand", "set deployment.command"),
    ("ZStack AIOS", "serviceInstallPath", "set deployment.model.uri"),
    # what its yaml holds
    ("ZStack AIOS", "services", "declare a ModelService for each"),
    ("ZStack AIOS", "ports", "deployment.runtime.port"),
    ("ZStack AIOS", "livez", "set its probes"),
    ("ZStack AIOS", "readyz", "set its probes"),
    ("ZStack AIOS", "env", "set deployment.env"),
    ("ZStack AIOS", "distro", "deployment.images"),
    ("ZStack AIOS", "packages", "deployment.images"),
    ("ZStack AIOS", "python", "deployment.images"),
    ("ZStack AIOS", "requirements_txt", "deployment.images"),
    ("ZStack AIOS", "index_url", "deployment.images"),
    ("ZStack AIOS", "trusted_host", "deployment.images"),
    # the deploy form, its words in this spelling
    ("d.run", "model_source", "set deployment.model.uri"),
    ("d.run", "service_name", "set model_service_name"),
    ("d.run", "region", "set cluster"),
    ("d.run", "instance_count", "set deployment.replicas"),
    ("d.run", "instances", "set deployment.replicas"),
    ("d.run", "billing", "use tags"),
    ("d.run", "price", "use tags"),
    ("d.run", "deployment_template", "set `base`"),
    ("d.run", "gpu_type", "set deployment.gpu.product"),
    ("d.run", "card_count", "set deployment.gpu.count"),
    ("d.run", "gpu_cores", "mig_profile"),
    ("d.run", "gpu_memory", "set deployment.gpu.min_memory_gib"),
    ("d.run", "runtime", "set deployment.runtime"),
    ("d.run", "start_command", "set deployment.command"),
    ("d.run", "weights_file", "pvc://claim/path"),
    ("d.run", "version_tag", "set deployment.model.revision"),
    ("d.run", "storage_directory", "pvc://claim/path"),
    ("d.run", "mount_path", "deployment.model.uri is mounted"),
    ("d.run", "distributed_inference", "is not available yet; set deployment.replicas"),
    ("d.run", "nodes_per_instance", "is not available yet; set deployment.replicas"),
    ("d.run", "queue_scheduling", "set deployment.queue"),
    ("d.run", "queue_policy", "set deployment.queue"),
    ("d.run", "priority", "set deployment.priority_class"),
    ("d.run", "topology_awareness", "deployment.pod_overrides"),
    ("d.run", "weight_file_check", "set deployment.model.sha256"),
    # the service page
    ("d.run", "access_model_name", "is an output, not an input: access_name"),
    ("d.run", "service_id", "is an output, not an input: model_service_id"),
    ("d.run", "base_model", "set deployment.model.uri"),
    ("d.run", "billing_mode", "use tags"),
]
"""System, field as it is spelled there, and what the answer says to do."""


def problems(inputs: dict[str, Any]) -> list[str]:
    return [str(problem) for problem in plan(inputs).problems]


def at(path: str, value: Any) -> dict[str, Any]:
    tree: Any = value
    for step in reversed(path.split(".")):
        tree = {step: tree}
    return dict(tree)


@pytest.mark.parametrize(("system", "path", "value"), ACCEPTED)
def test_a_field_is_accepted_under_the_name_it_has_there(
    system: str, path: str, value: Any
) -> None:
    assert problems(merged(FULL, at(path, value))) == [], f"{system}'s {path}"


@pytest.mark.parametrize(("system", "path", "value"), ACCEPTED_OF_EXTERNAL)
def test_a_provider_s_field_is_accepted_under_the_name_it_has_there(
    system: str, path: str, value: Any
) -> None:
    assert problems(merged(EXTERNAL, at(path, value))) == [], f"{system}'s {path}"


@pytest.mark.parametrize(("system", "path", "answer"), REFUSED_BY_NAME)
def test_a_field_that_is_none_here_is_refused_with_what_to_set_instead(
    system: str, path: str, answer: str
) -> None:
    (found,) = problems(merged(FULL, at(path, "x")))
    assert found.startswith(f"{dotted(_steps(path))}: "), f"{system}'s {path}"
    assert answer in found
    assert "unknown field" not in found


def test_a_field_of_elsewhere_is_refused_in_a_deployment_too() -> None:
    for name in sorted(ELSEWHERE):
        (found,) = problems(merged(FULL, at(f"deployment.{name}", "x")))
        assert "unknown field" not in found


def test_no_answer_of_the_tables_goes_unasked() -> None:
    asked = {snake_case(path.rpartition(".")[2]) for _, path, _ in REFUSED_BY_NAME}
    assert sorted(set(ELSEWHERE) - asked) == []
    not_yet = {path for path in REFUSED if path.startswith("deployment.")}
    assert {path.rpartition(".")[2] for path in set(REFUSED) - not_yet} <= asked


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"replicas": 2}, "replicas: is a field of the deployment: set deployment.replicas"),
        (
            {"deployment": {"tags": {}}},
            "deployment.tags: is a field of the service, not of its deployment: set tags beside",
        ),
        ({"deployment": {"nodeSelector": {}}}, "deployment.nodeSelector: write it in snake_case"),
        ({"deployment": {"gpu": {"minMemoryGib": 1}}}, "deployment.gpu.minMemoryGib: write it in"),
    ],
)
def test_a_field_in_the_wrong_place_or_spelling_is_sent_to_its_own(
    inputs: dict[str, Any], expected: str
) -> None:
    (found,) = problems(merged(FULL, inputs))
    assert found.startswith(expected)


def _steps(path: str) -> Path:
    return tuple(path.split("."))
