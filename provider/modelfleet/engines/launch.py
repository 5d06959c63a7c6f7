"""What runs in the engine container, and the pieces every engine builds it from.

A ``Launch`` says nothing of Kubernetes beyond the names of existing claims and Secrets: where it
is mounted, probed and scheduled is rendering. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelfleet import labels
from modelfleet.errors import Problem
from modelfleet.spec.deployment import DeploymentSpec
from modelfleet.spec.fields import secret_name_and_key
from modelfleet.spec.rules import Problems, Rule
from modelfleet.spec.runtime import ProbePaths, SecretRef
from modelfleet.spec.service import ModelServiceSpec

CACHE_PATH: Final = "/cache"
"""A scratch volume any user may write: home, downloaded models, compiled kernels."""

MODELS_PATH: Final = "/models"
"""Existing claims are mounted below it, read-only, each under its own name."""

Scalar = bool | int | float | str


@dataclass(frozen=True)
class SecretKey:
    """An environment value that is read from one key of a Secret in the service's namespace."""

    name: str
    key: str


EnvSource = str | SecretKey


@dataclass(frozen=True)
class Fetch:
    """What happens to the weights before the engine starts, in a container of its own.

    ``program`` is a shell script that the image runs with ``env``, which is in the order in which
    it is to be set, and with the keys of ``secret`` (a Secret's name) as further variables.
    """

    image: str
    program: str
    env: Mapping[str, EnvSource]
    secret: str | None = None


@dataclass(frozen=True)
class ModelLocation:
    """What an engine is given to find the weights, and what the pod needs for it.

    ``path`` is a path inside the container, or a name or URI that the engine reads by itself.
    ``claim`` (a PersistentVolumeClaim) or ``image`` (a container image) is mounted read-only at
    ``mount``. ``fetch`` runs before the engine. ``secret`` is the name of a Secret whose keys the
    engine needs as environment variables to read the source.
    """

    path: str
    claim: str | None = None
    image: str | None = None
    mount: str = ""
    fetch: Fetch | None = None
    secret: str | None = None


NOWHERE: Final = ModelLocation("")


@dataclass(frozen=True)
class Launch:
    """One engine process: its image, its command line, and how it is talked to.

    ``env`` is in the order in which it is to be set. ``started`` is a command that succeeds in the
    container once the model is loaded, for engines that answer before that. ``location`` is where
    the weights come from. ``drains``: on SIGTERM the engine finishes running requests by itself,
    for at most ``drain_seconds``. ``min_compute_capability`` is the least the image runs
    on, None where nothing is known.
    """

    image: str
    command: tuple[str, ...]
    args: tuple[str, ...]
    env: Mapping[str, EnvSource]
    port: int
    probes: ProbePaths
    metrics_path: str | None = None
    started: tuple[str, ...] = ()
    location: ModelLocation = NOWHERE
    drains: bool = True
    min_compute_capability: float | None = None


@dataclass(frozen=True)
class Engine:
    """A built-in engine: ``launch`` turns a service and its deployment into a ``Launch``.

    ``reads`` are the URI schemes of models that it reads by itself; what else there is, is
    fetched for it, or refused (``sources``).
    """

    name: str
    default_version: str
    launch: Callable[[ModelServiceSpec, DeploymentSpec], Launch]
    rules: tuple[Rule, ...] = ()
    reads: frozenset[str] = frozenset({"hf"})


def image_of(deployment: DeploymentSpec, *, own: str) -> str:
    """Return the most specific image that is declared, or the engine's ``own``."""
    vendor = deployment.gpu.vendor if deployment.gpu else None
    keys = image_keys(vendor, deployment.cpu_architecture)
    return next((deployment.images[key] for key in keys if key in deployment.images), own)


def image_keys(vendor: str | None, architecture: str | None) -> tuple[str, ...]:
    """Return the keys under which an image may be declared, the most specific first.

    ``vendor`` is that of the GPUs, None without any.
    """
    of = vendor or "cpu"
    keys = (f"{of}/{architecture}", of, architecture)
    return (*(key for key in keys if key is not None), "default")


def declares_image(
    images: Mapping[str, Any] | None, *, vendor: str | None, architecture: str | None
) -> bool:
    """Return whether one of the declared ``images`` is for GPUs and CPUs such as these."""
    return not set(image_keys(vendor, architecture)).isdisjoint(images or ())


def served_names(spec: ModelServiceSpec) -> list[str]:
    """Return the ``model`` values callers may send, the access name first, none twice."""
    access_name = labels.access_name(spec.model_service_name, workspace_id=spec.workspace_id)
    further = spec.provider_settings.model_names if spec.provider_settings else ()
    return list(dict.fromkeys([access_name, *further]))


def tensor_size(deployment: DeploymentSpec) -> int:
    """Return the declared tensor parallel size, or the one that uses every GPU of the pod."""
    gpus = deployment.gpu.count if deployment.gpu else 1
    return deployment.parallelism.tensor or max(1, gpus // deployment.parallelism.pipeline)


def word(value: Scalar) -> str:
    """Return ``value`` as it stands on a command line: ``8`` for 8.0, which a program may send."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def option(
    name: str, value: Scalar | tuple[Scalar, ...], *, repeated: bool, attached: bool = True
) -> list[str]:
    """Return the words of one option: true is a bare flag, false its negation.

    A list is ``--name a b``, or ``--name a --name b`` where ``repeated``. Most parsers take a value
    that begins with a dash for the next option unless it is ``attached`` with an equals sign; some
    know no equals sign, and take whatever follows.
    """
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    if isinstance(value, tuple):
        words = [word(item) for item in value]
        if repeated:
            return [part for each in words for part in _pair(name, each, attached)]
        return [f"--{name}", *words]
    return _pair(name, word(value), attached)


def _pair(name: str, value: str, attached: bool) -> list[str]:
    return [f"--{name}={value}"] if attached and value.startswith("-") else [f"--{name}", value]


def environment(
    spec: ModelServiceSpec, deployment: DeploymentSpec, *, own: Mapping[str, str]
) -> dict[str, EnvSource]:
    """Return the environment: ours, the engine's ``own``, then the declared one by name.

    The declared one comes last, so that its values may refer to the others as ``$(NAME)``.
    Telemetry may be declared back on.
    """
    result: dict[str, EnvSource] = {**_COMMON_ENV, **own}
    token = HUB_TOKENS.get(deployment.model.uri.partition("://")[0])
    if (credential := deployment.model.credential_name) is not None and token is not None:
        result[token] = SecretKey(*secret_name_and_key(credential))
    declared: dict[str, EnvSource] = {
        name: SecretKey(*secret_name_and_key(value.secret))
        if isinstance(value, SecretRef)
        else value
        for name, value in deployment.env.items()
    }
    secret = labels.env_secret_name(spec.model_service_name)
    declared |= {name: SecretKey(secret, name) for name in deployment.secret_env}
    quiet = {name: value for name, value in NO_TELEMETRY.items() if name not in declared}
    return {**quiet, **result, **dict(sorted(declared.items()))}


NO_TELEMETRY: Final[Mapping[str, str]] = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""What a model server tells its makers is its operator's choice, so it is off unless declared.

The first is honoured by vLLM (``vllm/usage/usage_lib.py``) and recent hub clients, the second by
hub clients of any age (``huggingface_hub/constants.py``); both read in November 2026.
"""

_COMMON_ENV: Final[Mapping[str, str]] = {
    # Images are built for root; under our user, home and caches must be somewhere writable, and
    # USER answers programs that would look for the user in /etc/passwd.
    "HOME": CACHE_PATH,
    "USER": "modelfleet",
    "HF_HOME": f"{CACHE_PATH}/huggingface",
}

HUB_TOKENS: Final = {"hf": "HF_TOKEN", "modelscope": "MODELSCOPE_API_TOKEN"}
"""The variable in which a hub's own library looks for its token, by URI scheme."""

_WRITABLE: Final = f"is set by modelfleet to a place under {CACHE_PATH}, which the pod may write"

RESERVED_ENV: Final[Mapping[str, str]] = {
    "HOME": _WRITABLE,
    "USER": "is set by modelfleet, for images that do not know the pod's user",
    "HF_HOME": _WRITABLE,
}


def reserved_env_rules(
    reserved: Mapping[str, str], *, applies: Callable[[Any], bool]
) -> tuple[Rule, ...]:
    """Return rules that refuse ``reserved`` variables, with their reasons, in both env fields.

    ``applies`` is asked with the declared runtime.
    """

    def of(field: str) -> Rule:
        def check(runtime: Any, env: Mapping[str, Any] | None) -> Problems:
            for name in env or {} if applies(runtime) else ():
                if (reason := reserved.get(name)) is not None:
                    yield Problem(f"deployment.{field}.{name}", reason)

        return Rule(("deployment.runtime", f"deployment.{field}"), check, names_only=True)

    return of("env"), of("secret_env")
