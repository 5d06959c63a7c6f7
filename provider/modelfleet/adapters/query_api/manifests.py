"""What ``modelfleet serve --manifests`` prints: the server as objects of a cluster. Pure.

None of them carries the label by which the fleet's own objects are found. The Secrets are without
data, which is the user's: applying all of it again leaves what was filled in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import yaml

from modelfleet import labels
from modelfleet.adapters.query_api.rights import rules
from modelfleet.adapters.query_api.settings import Settings
from modelfleet.render.security import pod_security_context, security_context

NAME: Final = "modelfleet-serve"
ACCOUNTS: Final = f"{NAME}-accounts"
TLS: Final = f"{NAME}-tls"

Object = dict[str, Any]

_LABELS: Final = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/part-of": "modelfleet"}
_SELECTOR: Final = {"app.kubernetes.io/name": NAME}
_ACCOUNTS_PATH: Final = "/etc/modelfleet/accounts"
_TLS_PATH: Final = "/etc/modelfleet/tls"
_READ_ONLY: Final = 0o440
_API_SERVER_PORTS: Final = (443, 6443)
_LEAVING_SECONDS: Final = 10
"""How long it goes on as if nothing were, until everybody has heard that it is no endpoint."""
_MARGIN_SECONDS: Final = 10


def manifests_text(
    settings: Settings, *, namespace: str, image: str, api_server_port: int | None = None
) -> str:
    """Return the objects as YAML, with what is left to do as comments."""
    head = (
        f"# The HTTP APIs of modelfleet, in namespace {namespace}, which must be there.\n"
        f"# It serves once two Secrets are filled in:\n"
        f"#   modelfleet serve --account NAME >> accounts.yaml   (below the line `accounts:`)\n"
        f"#   kubectl create secret generic {ACCOUNTS} -n {namespace} "
        "--from-file=accounts.yaml \\\n"
        "#     --dry-run=client -o yaml | kubectl apply --server-side -f -\n"
    )
    if not settings.insecure_http:
        head += (
            f"#   kubectl create secret tls {TLS} -n {namespace} --cert=tls.crt --key=tls.key\n"
            f"#   (or let cert-manager keep it, for {NAME}.{namespace}.svc)\n"
        )
    objects = manifests(settings, namespace=namespace, image=image, api_server_port=api_server_port)
    return head + "---\n" + yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False, width=100)


class _Dumper(yaml.SafeDumper):
    """Writes out what is the same in two places twice, as people do."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def manifests(
    settings: Settings, *, namespace: str, image: str, api_server_port: int | None = None
) -> list[Object]:
    """Return the objects, in the order in which they are to be applied.

    ``api_server_port`` is that of the API server's own address, where it is not a usual one.
    """

    def made(kind: str, group: str, *, name: str = NAME, **content: Any) -> Object:
        metadata = {"name": name, "namespace": namespace, "labels": dict(_LABELS)}
        return {"apiVersion": group, "kind": kind, "metadata": metadata, **content}

    role = f"{NAME}-{namespace}"
    port = {"name": _scheme(settings), "port": 80 if settings.insecure_http else 443}
    return [
        made("ServiceAccount", "v1", automountServiceAccountToken=False),
        _clusterwide("ClusterRole", role, rules=rules(read_only=settings.read_only)),
        _clusterwide(
            "ClusterRoleBinding",
            role,
            roleRef={
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": role,
            },
            subjects=[{"kind": "ServiceAccount", "name": NAME, "namespace": namespace}],
        ),
        made("Secret", "v1", name=ACCOUNTS, type="Opaque"),
        made(
            "NetworkPolicy",
            "networking.k8s.io/v1",
            spec=_network_policy(settings, api_server_port=api_server_port),
        ),
        made(
            "PodDisruptionBudget",
            "policy/v1",
            spec={
                "maxUnavailable": 1,
                "selector": {"matchLabels": dict(_SELECTOR)},
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
            },
        ),
        made(
            "Service",
            "v1",
            spec={
                "selector": dict(_SELECTOR),
                "ports": [{**port, "targetPort": port["name"], "protocol": "TCP"}],
            },
        ),
        made("Deployment", "apps/v1", spec=_deployment(settings, image=image)),
    ]


def _clusterwide(kind: str, name: str, **content: Any) -> Object:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name, "labels": dict(_LABELS)},
        **content,
    }


def _deployment(settings: Settings, *, image: str) -> dict[str, Any]:
    return {
        # Sessions, and what is remembered of signed requests, are of one process.
        "replicas": 1,
        "selector": {"matchLabels": dict(_SELECTOR)},
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        },
        "template": {
            "metadata": {"labels": dict(_LABELS)},
            "spec": {
                "serviceAccountName": NAME,
                "automountServiceAccountToken": True,  # this one does talk to the API server
                "enableServiceLinks": False,
                "securityContext": pod_security_context(),
                "terminationGracePeriodSeconds": _LEAVING_SECONDS
                + settings.drain_seconds
                + _MARGIN_SECONDS,
                "containers": [_container(settings, image=image)],
                "volumes": _volumes(settings),
            },
        },
    }


def _container(settings: Settings, *, image: str) -> dict[str, Any]:
    mounts = {"accounts": _ACCOUNTS_PATH, **({} if settings.insecure_http else {"tls": _TLS_PATH})}
    return {
        "name": "serve",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["modelfleet"],
        "args": ["serve", *_arguments(settings)],
        "env": [
            {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
            {"name": "HOME", "value": "/tmp"},  # noqa: S108 - the only place it may write to
        ],
        "ports": [{"name": _scheme(settings), "containerPort": settings.port, "protocol": "TCP"}],
        # No limit of CPU: throttled, it would answer late for no reason.
        "resources": {
            "requests": {"cpu": "100m", "memory": "256Mi"},
            "limits": {"memory": "1Gi"},
        },
        "startupProbe": _probe(settings, "/healthz", period_seconds=1, failures=60),
        "readinessProbe": _probe(settings, "/readyz", period_seconds=5, failures=3),
        "livenessProbe": _probe(settings, "/healthz", period_seconds=10, failures=6),
        "lifecycle": {"preStop": {"sleep": {"seconds": _LEAVING_SECONDS}}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": security_context(read_only=True),
        "volumeMounts": [
            *({"name": name, "mountPath": path, "readOnly": True} for name, path in mounts.items()),
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of its own
        ],
    }


def _volumes(settings: Settings) -> list[dict[str, Any]]:
    secrets = {"accounts": ACCOUNTS, **({} if settings.insecure_http else {"tls": TLS})}
    return [
        *(
            {"name": name, "secret": {"secretName": secret, "defaultMode": _READ_ONLY}}
            for name, secret in secrets.items()
        ),
        {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
    ]


def _probe(settings: Settings, path: str, *, period_seconds: int, failures: int) -> dict[str, Any]:
    scheme = _scheme(settings)
    return {
        "httpGet": {"path": path, "port": scheme, "scheme": scheme.upper()},
        "periodSeconds": period_seconds,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _network_policy(settings: Settings, *, api_server_port: int | None) -> dict[str, Any]:
    """Return who may talk to it, and to whom it talks.

    That is DNS and the API server, by their ports, and the fleet's pods, on any: a Service's port
    is no pod's, nor is that of ``kubernetes.default`` the API server's own. Those pods have
    policies of their own on who may come.
    """
    wanted = _API_SERVER_PORTS if api_server_port is None else (api_server_port,)
    names = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
    api_servers = [{"port": port, "protocol": "TCP"} for port in wanted]
    of_the_fleet = {"key": labels.KIND, "operator": "Exists"}
    fleet = {"namespaceSelector": {}, "podSelector": {"matchExpressions": [of_the_fleet]}}
    return {
        "podSelector": {"matchLabels": dict(_SELECTOR)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": [{"port": settings.port, "protocol": "TCP"}]}],
        "egress": [{"ports": [*names, *api_servers]}, {"to": [fleet]}],
    }


def _arguments(settings: Settings) -> Sequence[str]:
    """Return the options that make a process of these settings, where they differ from none."""
    of_a_pod = {
        "host": "0.0.0.0",  # noqa: S104 - the pod's, behind its NetworkPolicy
        "accounts": f"{_ACCOUNTS_PATH}/accounts.yaml",
        "tls_cert": None if settings.insecure_http else f"{_TLS_PATH}/tls.crt",
        "tls_key": None if settings.insecure_http else f"{_TLS_PATH}/tls.key",
    }
    arguments: list[str] = []
    for name, described in Settings.model_fields.items():
        value = of_a_pod.get(name, getattr(settings, name))
        option = f"--{name.replace('_', '-')}"
        if value == described.get_default() or value is None:
            continue
        if value is True:
            arguments.append(option)
        elif isinstance(value, tuple):
            arguments += [f"{option}={each}" for each in value]
        else:
            arguments.append(f"{option}={value}")
    return arguments


def _scheme(settings: Settings) -> str:
    return "http" if settings.insecure_http else "https"
