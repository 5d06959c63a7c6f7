"""Names that fields have in the systems unified here, and what says the same on Kubernetes.

Whoever comes from one of them writes what they know: each name of theirs that is not a field here
is refused with the field to set instead. Names are in snake_case; look-up is in ``refused``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

AGENTRUN: Final = "AgentRun"
ZSTACK: Final = "ZStack AIOS"
DRUN: Final = "d.run"

_PROXY: Final = "belongs to a ModelProxy, not to a service"
_OUTPUT: Final = "is an output, not an input"
_IMAGE: Final = "is part of an image: declare deployment.runtime in full, or deployment.images"
_PROBES: Final = "declare deployment.runtime in full and set its probes"
_NODES: Final = "a replica of several nodes is not available yet; set deployment.replicas"

ELSEWHERE: Final[Mapping[str, tuple[str, str]]] = {
    # AgentRun: of its ModelProxy and of what calls take, written on a service
    "model_proxy_name": (AGENTRUN, _PROXY),
    "model_proxy_id": (AGENTRUN, _PROXY),
    "memory": (AGENTRUN, "set deployment.memory_gib, in GiB"),
    "litellm_version": (AGENTRUN, _PROXY),
    "proxy_mode": (AGENTRUN, _PROXY),
    "proxy_config": (AGENTRUN, _PROXY),
    "endpoints": (AGENTRUN, _PROXY),
    "policies": (AGENTRUN, _PROXY),
    "weight": (AGENTRUN, _PROXY),
    "cache": (AGENTRUN, f"{_PROXY}; where models are kept is deployment.storage"),
    "concurrency_limit": (AGENTRUN, _PROXY),
    "num_retries": (AGENTRUN, _PROXY),
    "request_timeout": (AGENTRUN, _PROXY),
    "fallbacks": (AGENTRUN, _PROXY),
    "token_rate_limiter": (AGENTRUN, _PROXY),
    "ai_guardrail_config": (AGENTRUN, _PROXY),
    "log_configuration": (
        AGENTRUN,
        "logs are the pods': collect them with the cluster's own means",
    ),
    "arms_configuration": (AGENTRUN, "set OpenTelemetry's variables in deployment.env"),
    "function_name": (AGENTRUN, "there is no function behind a service: it has pods"),
    "endpoint": (AGENTRUN, _OUTPUT),
    "api_key": (AGENTRUN, "set provider_settings.api_key"),
    "base_url": (AGENTRUN, "set provider_settings.base_url"),
    "model_names": (AGENTRUN, "set provider_settings.model_names"),
    "headers": (AGENTRUN, "what is sent with a request is the caller's"),
    "vpc_id": (AGENTRUN, "the cluster is the network; choose it with `cluster`"),
    "vswitch_ids": (AGENTRUN, "choose nodes with deployment.node_selector"),
    "security_group_id": (AGENTRUN, "set network_configuration.allow_from"),
    "network_mode": (AGENTRUN, "set network_configuration.network_mode"),
    "page_number": (AGENTRUN, "belongs to a listing, not to a service"),
    "page_size": (AGENTRUN, "belongs to a listing, not to a service"),
    # ZStack AIOS: its model service, what adds and updates one, and its yaml
    "uuid": (ZSTACK, "a service is known by namespace and model_service_name"),
    "resource_uuid": (ZSTACK, "a service is known by namespace and model_service_name"),
    "name": (ZSTACK, "set model_service_name"),
    "readme": (ZSTACK, "set description"),
    "yaml": (ZSTACK, "what it holds are fields here: deployment.env, startup_seconds, runtime"),
    "request_cpu": (ZSTACK, "set deployment.cpu"),
    "request_memory": (ZSTACK, "set deployment.memory_gib, in GiB and not in bytes"),
    "model_center_uuid": (ZSTACK, "a model is named by its source: set deployment.model.uri"),
    "type": (ZSTACK, "set model_type; a service serves, other work is a Job"),
    "framework": (ZSTACK, "set deployment.runtime"),
    "source": (ZSTACK, "set deployment.model.uri, which begins with its source"),
    "size": (ZSTACK, "is the model's; what its cache may hold is deployment.storage.size_gib"),
    "system": (ZSTACK, "no service is part of the system; use tags"),
    "has_new_version": (ZSTACK, "versions change when you change deployment.runtime_version"),
    "gpu_compute_capability": (ZSTACK, "set deployment.gpu.compute_capability, such as 7.5"),
    "install_path": (ZSTACK, "set deployment.model.uri to file:///path or pvc://claim/path"),
    "service_install_path": (
        ZSTACK,
        "set deployment.model.uri to file:///path or pvc://claim/path",
    ),
    "python_version": (ZSTACK, _IMAGE),
    "conda_version": (ZSTACK, _IMAGE),
    "version": (ZSTACK, "set deployment.runtime_version"),
    "start_command": (ZSTACK, "set deployment.command, and options in deployment.args"),
    "service_start_command": (ZSTACK, "set deployment.command, and options in deployment.args"),
    "container_command": (ZSTACK, "set deployment.command"),
    "container_args": (ZSTACK, "set deployment.args, or args of a deployment.runtime in full"),
    "support_distributed": (ZSTACK, _NODES),
    "cpu_architectures": (ZSTACK, "set deployment.cpu_architecture, one for all replicas"),
    "vendor_to_spec_uuids_map": (ZSTACK, "set deployment.gpu.vendor and deployment.gpu.product"),
    "model_service_refs": (ZSTACK, "set deployment.model.uri"),
    "model_service_images": (ZSTACK, "set deployment.images, by vendor and architecture"),
    "architecture_images": (ZSTACK, "set deployment.images, by vendor and architecture"),
    "create_date": (ZSTACK, f"{_OUTPUT}: created_at"),
    "last_op_date": (ZSTACK, f"{_OUTPUT}: last_updated_at"),
    "tag_uuids": (ZSTACK, "set tags"),
    "zone_uuid": (ZSTACK, "set cluster, or deployment.node_selector"),
    "model_uuids": (ZSTACK, "set deployment.model.uri"),
    "environment_parameters": (ZSTACK, "set deployment.env"),
    "startup_parameters": (ZSTACK, "set deployment.args"),
    "inference_params": (ZSTACK, "set model_info_configs[].model_parameter_rules"),
    "service_name": (ZSTACK, "set model_service_name"),
    "service_ports": (ZSTACK, "callers use port 80; the engine's is deployment.runtime.port"),
    "service_livez": (ZSTACK, _PROBES),
    "service_readyz": (ZSTACK, _PROBES),
    "service_bootup_time": (ZSTACK, "set deployment.startup_seconds"),
    "services": (ZSTACK, "one service is one model at one port: declare a ModelService for each"),
    "ports": (ZSTACK, "callers use port 80; the engine's is deployment.runtime.port"),
    "livez": (ZSTACK, _PROBES),
    "readyz": (ZSTACK, _PROBES),
    "distro": (ZSTACK, _IMAGE),
    "packages": (ZSTACK, _IMAGE),
    "python": (ZSTACK, _IMAGE),
    "requirements_txt": (ZSTACK, _IMAGE),
    "index_url": (ZSTACK, _IMAGE),
    "trusted_host": (ZSTACK, _IMAGE),
    # d.run: its deploy form and service page
    "model_source": (DRUN, "set deployment.model.uri, which begins with its source"),
    "region": (DRUN, "a region is a cluster; set cluster"),
    "instance_count": (DRUN, "set deployment.replicas"),
    "instances": (DRUN, "set deployment.replicas"),
    "billing": (DRUN, "a cluster of your own bills nobody; use tags"),
    "billing_mode": (DRUN, "a cluster of your own bills nobody; use tags"),
    "price": (DRUN, "a cluster of your own bills nobody; use tags"),
    "deployment_template": (DRUN, "set `base`, which takes any partial declaration"),
    "gpu_type": (DRUN, "set deployment.gpu.product"),
    "card_count": (DRUN, "set deployment.gpu.count"),
    "gpu_cores": (DRUN, "set deployment.gpu.resource_name, or a slice with mig_profile"),
    "gpu_memory": (DRUN, "set deployment.gpu.min_memory_gib, or a slice with mig_profile"),
    "weights_file": (DRUN, "set deployment.model.uri to pvc://claim/path"),
    "version_tag": (DRUN, "set deployment.model.revision"),
    "storage_directory": (DRUN, "is the path in deployment.model.uri: pvc://claim/path"),
    "mount_path": (DRUN, "engines are told where: deployment.model.uri is mounted under /models"),
    "distributed_inference": (DRUN, _NODES),
    "nodes_per_instance": (DRUN, _NODES),
    "queue_scheduling": (DRUN, "set deployment.queue"),
    "queue_policy": (DRUN, "is the ClusterQueue's; set deployment.queue"),
    "priority": (DRUN, "set deployment.priority_class"),
    "topology_awareness": (DRUN, "set topologySpreadConstraints in deployment.pod_overrides"),
    "weight_file_check": (DRUN, "set deployment.model.sha256"),
    "service_id": (DRUN, f"{_OUTPUT}: model_service_id"),
    "base_model": (DRUN, "set deployment.model.uri"),
    "access_model_name": (DRUN, f"{_OUTPUT}: access_name"),
}
"""By name: the system it comes from, and what to do. For fields of a service or its deployment."""
