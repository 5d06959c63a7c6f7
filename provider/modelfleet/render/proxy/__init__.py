"""From the spec of a ModelProxy to Kubernetes objects, as ``render`` has it for a ModelService."""

from modelfleet.gateway.keys_file import KeyEntries, KeyEntry, sha256_of
from modelfleet.render.proxy.config_map import config_map_name_of
from modelfleet.render.proxy.container import HEALTH_PORT, PORT, image_of
from modelfleet.render.proxy.history import (
    FIRST_PROXY_RENDERER,
    PROXY_RENDERER_VERSION,
    proxy_summaries,
)
from modelfleet.render.proxy.objects import (
    proxy_config_ref_of,
    proxy_object_refs_of,
    proxy_objects_of,
)
from modelfleet.render.proxy.planned import PROXY_PLANNED, TAKE_GAPS, proxy_planned_of
from modelfleet.render.proxy.pod import proxy_pod_template_hash, proxy_pod_template_of
from modelfleet.render.proxy.record_spec import proxy_record_spec_of
from modelfleet.render.proxy.redis import REDIS_KIND, redis_password_in

__all__ = [
    "FIRST_PROXY_RENDERER",
    "HEALTH_PORT",
    "PORT",
    "PROXY_PLANNED",
    "PROXY_RENDERER_VERSION",
    "REDIS_KIND",
    "TAKE_GAPS",
    "KeyEntries",
    "KeyEntry",
    "config_map_name_of",
    "image_of",
    "proxy_config_ref_of",
    "proxy_object_refs_of",
    "proxy_objects_of",
    "proxy_planned_of",
    "proxy_pod_template_hash",
    "proxy_pod_template_of",
    "proxy_record_spec_of",
    "proxy_summaries",
    "redis_password_in",
    "sha256_of",
]
