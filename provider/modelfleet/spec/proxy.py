"""ModelProxy as a user declares it: one URL in front of many ModelServices.

Field names and defaults follow AgentRun where it has the field. Rules between fields live in
``proxy_rules.py``; the one form that everything else reads, in ``proxy_routes.py``. No I/O.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from modelfleet.spec.api_keys import ApiKey, KeyName
from modelfleet.spec.fields import (
    ANY,
    ChangeClass,
    Int,
    Number,
    ObjectName,
    SecretName,
    SpecModel,
    declared,
    text,
)
from modelfleet.spec.policies import Policies
from modelfleet.spec.resource import ResourceModel, WorkspaceId
from modelfleet.spec.routing import ProxyConfig, ProxyMode, PublicName, Route
from modelfleet.spec.runtime import Image
from modelfleet.spec.service import ModelType

IN_PLACE = ChangeClass.IN_PLACE
ROLLING = ChangeClass.ROLLING
REPLACE = ChangeClass.REPLACE

DEFAULT_LITELLM_VERSION: Final = "1.108.10"
"""Of LiteLLM's LTS line; the release that the gateway's own application is tested with."""

STARTUP_SECONDS: Final = 180
"""How long a gateway may take to start: LiteLLM needs 5 to 10 s of a whole core."""

DRAIN_SECONDS: Final = 120
"""How long requests may go on in a gateway that is to stop."""

ProxyName = Annotated[
    str,
    # Its objects are called `<name>-proxy`, which must be a DNS label as well.
    text(
        r"^[a-z]([-a-z0-9]*[a-z0-9])?$",
        says="must be lower-case letters, digits and dashes, begin with a letter and not end "
        "with a dash",
        min_length=2,
        max_length=57,
    ),
]
LiteLLMVersion = Annotated[
    str,
    text(
        r"^[0-9]+\.[0-9]+\.[0-9]+$",
        says="must be a release of LiteLLM such as 1.108.10",
        max_length=32,
    ),
]
HostName = Annotated[
    str,
    text(
        r"^[a-zA-Z0-9]([-.a-zA-Z0-9]*[a-zA-Z0-9])?$",
        says="must be the name or the IPv4 address of a host",
        max_length=253,
    ),
]


class Redis(SpecModel):
    """Where replicas count together. Without it each replica counts on its own."""

    managed: bool = declared(
        False, change=ROLLING, doc="Run a small one beside the proxy, with a password and a disk."
    )
    host: HostName | None = declared(
        None, change=ROLLING, doc="Host of an existing Redis (7 or later)."
    )
    port: Int = declared(6379, change=ROLLING, doc="Its port.", ge=1, le=65_535)
    tls: bool = declared(False, change=ROLLING, doc="Whether it is spoken to over TLS.")
    credential_name: SecretName | None = declared(
        None,
        change=ROLLING,
        doc="Existing Secret with its password: `name` or `name/key` (default key api_key).",
    )
    storage_gib: Number = declared(
        1,
        change=IN_PLACE,
        doc="Size of the managed one's disk, in GiB; fixed once it is made.",
        gt=0,
        le=1024,
    )
    storage_class: ObjectName | None = declared(
        None,
        change=IN_PLACE,
        doc="Storage class of the managed one's disk; unset = the default. Fixed once it is made.",
    )
    image: Image | None = declared(
        None, change=ROLLING, doc="Image of the managed one; unset = redis:7.0.15."
    )
    on_failure: Literal["closed", "per_replica"] = declared(
        "closed",
        change=ROLLING,
        doc="While it cannot be reached: refuse what has limits, or count per replica.",
    )


class ModelProxySpec(ResourceModel):
    """One OpenAI-compatible URL in front of many models.

    Weights, fallbacks, retries, keys, limits, cache and guardrails; served by LiteLLM.
    """

    kind: ClassVar[Literal["ModelProxy"]] = "ModelProxy"
    name_field: ClassVar[str] = "model_proxy_name"
    secrets: ClassVar[tuple[tuple[str, ...], ...]] = (("api_keys", ANY, "key"),)

    model_proxy_name: ProxyName = declared(
        change=REPLACE,
        doc="Name of the proxy: 2 to 57 lower-case letters, digits and dashes, beginning with a "
        "letter. Defaults to the Pulumi resource's name.",
    )
    workspace_id: WorkspaceId | None = declared(
        None,
        change=ROLLING,
        doc="Workspace; callers then send `<workspace_id>/<public name>`. A public name that has "
        "a slash in it stays as it is.",
    )
    model_type: ModelType | None = declared(
        None, change=ROLLING, doc="What the models behind it do; unset = as their services say."
    )
    routes: dict[PublicName, Route] = declared(
        {}, change=ROLLING, doc="By public name, who answers. Excludes proxy_config.endpoints."
    )
    proxy_config: ProxyConfig | None = declared(
        None, change=ROLLING, doc="AgentRun's form: upstreams under one name, the proxy's own."
    )
    proxy_mode: ProxyMode | None = declared(
        None,
        change=ROLLING,
        doc="Of proxy_config: multi with several endpoints, else single, where the endpoint's own "
        "model names are public, too. Unset = derived.",
    )
    policies: Policies = declared(
        Policies(), change=ROLLING, doc="What is done with every request; a route's own win."
    )
    credential_name: SecretName | None = declared(
        None,
        change=ROLLING,
        doc="Existing Secret with a key that callers may use for everything: `name` or `name/key` "
        "(default key api_key).",
    )
    api_keys: dict[KeyName, ApiKey] = declared(
        {}, change=IN_PLACE, doc="By name, who may call. Without any, whoever can connect may."
    )
    limit_scope: Literal["proxy", "replica"] = declared(
        "proxy",
        change=ROLLING,
        doc="proxy: limits hold for all replicas together. replica: for each of them.",
    )
    redis: Redis | None = declared(
        None, change=ROLLING, doc="What replicas count in, and keep cached answers in."
    )
    replicas: Int = declared(1, change=IN_PLACE, doc="Pods; 0 = stopped.", ge=0, le=1000)
    cpu: Number = declared(2, change=ROLLING, doc="Cores of each replica.", gt=0, le=256)
    memory: Int = declared(
        4096, change=ROLLING, doc="Memory of each replica, in MiB.", ge=1, le=1_048_576
    )
    litellm_version: LiteLLMVersion | None = declared(
        None,
        change=ROLLING,
        doc=f"Release of LiteLLM; unset = {DEFAULT_LITELLM_VERSION}, fixed when created.",
    )
    image: Image | None = declared(
        None,
        change=ROLLING,
        doc="Image of the gateway; unset = LiteLLM's own of that release.",
    )

    @property
    def name(self) -> str:
        """Return its name."""
        return self.model_proxy_name

    @property
    def hosted(self) -> bool:
        """Return True: a proxy always runs on Kubernetes."""
        return True

    @property
    def startup_seconds(self) -> int:
        """Return how long its pods may take to start."""
        return STARTUP_SECONDS

    @property
    def drain_seconds(self) -> int:
        """Return how long requests may go on in its pods once they are to stop."""
        return DRAIN_SECONDS

    @property
    def secret_values(self) -> tuple[str, ...]:
        """Return the declared keys in plain text: what no message may show."""
        keys = (each.key for each in self.api_keys.values())
        return tuple(key.get_secret_value() for key in keys if key is not None)
