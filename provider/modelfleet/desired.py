"""A spec on its way into a cluster: in whose name, under which addresses, as which objects.

Joins rendering with identity and record, for the fleet. Pure.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Final

from modelfleet import labels
from modelfleet.cluster.mirror import Key
from modelfleet.cluster.objects import (
    CONFIG_MAP,
    KINDS,
    PERSISTENT_VOLUME_CLAIM,
    SECRET,
    Kind,
    Object,
    Ref,
)
from modelfleet.cluster.ownership import Ownership
from modelfleet.cluster.records import (
    Record,
    record_annotations,
    refuse_newer,
    refuse_too_large,
)
from modelfleet.errors import ConfigError
from modelfleet.gateway.keys_file import KeyEntries
from modelfleet.render import (
    Address,
    Identity,
    claim_ref_of,
    object_refs_of,
    objects_of,
)
from modelfleet.render.proxy import (
    proxy_config_ref_of,
    proxy_object_refs_of,
    proxy_objects_of,
)
from modelfleet.render.proxy.redis import redis_password_in
from modelfleet.render.secret import hash_key_in
from modelfleet.resource_types import (
    MODEL_SERVICE,
    TYPES,
    ResourceSpec,
    ResourceType,
    type_of,
)
from modelfleet.spec.proxy import ModelProxySpec

KIND: Final = "ModelService"
SPEC_SCHEMA_VERSION: Final = 1


@dataclass(frozen=True)
class Kept:
    """What is random, made once, and kept in live Secrets alone.

    ``hash_key`` is that of the hashes of secrets, ``redis_password`` that of a managed Redis; empty
    where there is none.
    """

    hash_key: bytes = b""
    redis_password: str = ""


@dataclass(frozen=True)
class Desired:
    """What a resource is to be, and in whose name.

    ``incarnation`` names one creation of it. ``former_owner`` (a renamed stack) may be taken over.
    ``cluster_uid``, where known, must be that of the cluster. ``prior`` is the spec in force, None
    where this creates the resource: what ``spec`` no longer has of it is removed, and
    ``wait.on_failure: rollback`` returns to it. Pods are made by ``renderer_version``, and those of
    ``prior`` by ``prior_renderer_version``, 0 being the newest. ``keys`` are those of a proxy that
    were generated, and ``prior_keys`` those in force.
    """

    spec: ResourceSpec
    owner: str
    incarnation: str
    urn: str = ""
    former_owner: str | None = None
    cluster_uid: str = ""
    prior: ResourceSpec | None = None
    renderer_version: int = 0
    prior_renderer_version: int = 0
    keys: KeyEntries = ()
    prior_keys: KeyEntries = ()

    def __post_init__(self) -> None:
        """Fill in the newest renderer of the resource's type where none is named."""
        for name in ("renderer_version", "prior_renderer_version"):
            object.__setattr__(self, name, getattr(self, name) or self.of.renderer_version)

    @property
    def of(self) -> ResourceType:
        """Return the type of the resource."""
        return type_of(self.spec.kind)

    @property
    def id(self) -> str:
        """Return ``namespace/name``."""
        return f"{self.spec.namespace}/{self.spec.name}"

    @property
    def subject(self) -> str:
        """Return what messages call it."""
        return f"{self.spec.kind} {self.id}"

    @property
    def ownership(self) -> Ownership:
        """Return whose objects an apply may write."""
        return Ownership(self.owner, frozenset({self.former_owner or self.owner}))

    @property
    def key(self) -> Key:
        """Return the key of its objects among those of all resources."""
        return Key(self.spec.namespace, self.spec.kind, self.spec.name)

    @property
    def refs(self) -> list[Ref]:
        """Return every object of a fixed name that it may own, in the order of an apply.

        Those whose names say what they hold are not among them (``variant_ref``): the fleet finds
        them by their labels.
        """
        return self._refs(hosted=self.spec.hosted)

    @property
    def primary_ref(self) -> Ref:
        """Return the object that stands for the resource."""
        return self.refs[-1]

    @property
    def keeper_ref(self) -> Ref:
        """Return the Secret with what is ``Kept``, whether there is one or not."""
        name = self.spec.name
        is_proxy = isinstance(self.spec, ModelProxySpec)
        secret = labels.redis_name(name) if is_proxy else labels.env_secret_name(name)
        return Ref(SECRET, self.spec.namespace, secret)

    @property
    def variant_kind(self) -> Kind:
        """Return the kind of which it has an object by another name when that one changes."""
        is_proxy = isinstance(self.spec, ModelProxySpec)
        return CONFIG_MAP if is_proxy else PERSISTENT_VOLUME_CLAIM

    @property
    def variant_ref(self) -> Ref | None:
        """Return the cache's claim, or the gateway's configuration; None where it has none."""
        return self._variant_ref(self.spec, self.renderer_version)

    @property
    def had_variants(self) -> bool:
        """Return whether there may be claims or configurations that it no longer has."""
        if self.prior is None:
            return False
        before = self._variant_ref(self.prior, self.prior_renderer_version)
        return before is not None or self.variant_ref is not None

    @property
    def all_refs(self) -> list[Ref]:
        """Return what it may own now, or may have owned when it was of the other kind."""
        if isinstance(self.spec, ModelProxySpec):
            return self.refs
        return [*self._refs(hosted=not self.spec.hosted), *self.refs]

    @property
    def lingering_refs(self) -> list[Ref]:
        """Return what it does not have and its former pods may need while they serve: a Redis."""
        spec = self.spec
        if not isinstance(spec, ModelProxySpec) or self.prior is None:
            return []
        if spec.redis is not None and spec.redis.managed:
            return []
        name = labels.redis_name(spec.name)
        return [ref for ref in self.refs if ref.name == name]

    @property
    def taken_back(self) -> Desired | None:
        """Return how it was before, in the name of the owner of that time; None for a new one."""
        if self.prior is None:
            return None
        return replace(
            self,
            spec=self.prior,
            owner=self.former_owner or self.owner,
            former_owner=self.owner,
            prior=self.spec,
            renderer_version=self.prior_renderer_version,
            prior_renderer_version=self.renderer_version,
            keys=self.prior_keys,
            prior_keys=self.keys,
        )

    def kept_in(self, secret: Object | None) -> Kept:
        """Return what is kept in the live Secret at ``keeper_ref``, what is not there made anew."""
        hash_key = hash_key_in(secret) or secrets.token_bytes(32)
        password = redis_password_in(secret) or secrets.token_urlsafe(32)
        return Kept(hash_key, password)

    @property
    def keeps(self) -> bool:
        """Return whether it has anything random to keep."""
        if isinstance(self.spec, ModelProxySpec):
            return self.spec.redis is not None and self.spec.redis.managed
        return bool(self.spec.deployment and self.spec.deployment.secret_env)

    def objects(self, *, cluster_uid: str, kept: Kept) -> list[Object]:
        """Return its objects in the order of an apply, the record on the primary one.

        Raises:
            SpecError: the record is larger than Kubernetes takes.
        """
        record = record_annotations(
            Record(
                kind=self.spec.kind,
                name=self.spec.name,
                namespace=self.spec.namespace,
                owner=self.owner,
                urn=self.urn,
                incarnation=self.incarnation,
                cluster_uid=cluster_uid,
                spec=self.of.record_spec_of(self.spec),
                schema_version=SPEC_SCHEMA_VERSION,
                renderer_version=self.renderer_version,
            )
        )
        refuse_too_large(self.subject, record)
        identity = Identity(
            owner=self.owner,
            urn=self.urn or None,
            incarnation=self.incarnation,
            cluster_uid=cluster_uid,
        )
        if isinstance(self.spec, ModelProxySpec):
            return proxy_objects_of(
                self.spec,
                identity=identity,
                keys=self.keys,
                hash_key=kept.hash_key,
                redis_password=kept.redis_password,
                annotations=record,
                renderer_version=self.renderer_version,
            )
        return objects_of(
            self.spec,
            identity=identity,
            hash_key=kept.hash_key,
            annotations=record,
            renderer_version=self.renderer_version,
        )

    def _variant_ref(self, spec: ResourceSpec, renderer_version: int) -> Ref | None:
        address: Address | None
        if isinstance(spec, ModelProxySpec):
            address = proxy_config_ref_of(spec, renderer_version=renderer_version)
        else:
            address = claim_ref_of(spec)
        if address is None:
            return None
        api_version, kind, name = address
        return Ref(KINDS[api_version, kind], spec.namespace, name)

    def _refs(self, *, hosted: bool) -> list[Ref]:
        if isinstance(self.spec, ModelProxySpec):
            addresses = proxy_object_refs_of(self.spec)
        else:
            addresses = object_refs_of(self.spec.name, hosted=hosted)
        return [
            Ref(KINDS[api_version, kind], self.spec.namespace, name)
            for api_version, kind, name in addresses
        ]


def new_incarnation() -> str:
    """Return the random name of one creation of one resource."""
    return secrets.token_hex(8)


def refuse_newer_record(live: Object) -> None:
    """Raise ConflictError where a newer modelfleet wrote the record on an object."""
    kind = str((live["metadata"].get("labels") or {}).get(labels.KIND))
    refuse_newer(
        live,
        schema_version=SPEC_SCHEMA_VERSION,
        renderer_version=TYPES.get(kind, MODEL_SERVICE).renderer_version,
    )


def protection_error(kind: str, resource_id: str, *, verb: str) -> ConfigError:
    """Return the refusal to have a protected resource ``deleted`` or ``replaced``."""
    return ConfigError(
        f"{kind} {resource_id} has deletion_protection and would be {verb}.",
        hint="Set deletion_protection to False in an update of its own first.",
    )
