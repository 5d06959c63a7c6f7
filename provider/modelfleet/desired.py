"""A spec on its way into a cluster: in whose name, under which addresses, as which objects.

Joins rendering with identity and record, for the fleet. Pure.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Final

from modelfleet import labels
from modelfleet.cluster.mirror import Key
from modelfleet.cluster.objects import KINDS, SECRET, Object, Ref
from modelfleet.cluster.ownership import Ownership
from modelfleet.cluster.records import (
    Record,
    record_annotations,
    refuse_newer,
    refuse_too_large,
)
from modelfleet.errors import ConfigError
from modelfleet.render import (
    RENDERER_VERSION,
    Identity,
    claim_ref_of,
    object_refs_of,
    objects_of,
    record_spec_of,
)
from modelfleet.spec.service import ModelServiceSpec

KIND: Final = "ModelService"
SPEC_SCHEMA_VERSION: Final = 1


@dataclass(frozen=True)
class Desired:
    """What a service is to be, and in whose name.

    ``incarnation`` names one creation of it. ``former_owner`` (a renamed stack) may be taken over.
    ``cluster_uid``, where known, must be that of the cluster. ``prior`` is the spec in force, None
    where this creates the service: what ``spec`` no longer has of it is removed, and
    ``wait.on_failure: rollback`` returns to it. Pods are made by ``renderer_version``, and those of
    ``prior`` by ``prior_renderer_version``.
    """

    spec: ModelServiceSpec
    owner: str
    incarnation: str
    urn: str = ""
    former_owner: str | None = None
    cluster_uid: str = ""
    prior: ModelServiceSpec | None = None
    renderer_version: int = RENDERER_VERSION
    prior_renderer_version: int = RENDERER_VERSION

    @property
    def id(self) -> str:
        """Return ``namespace/name``."""
        return f"{self.spec.namespace}/{self.spec.model_service_name}"

    @property
    def subject(self) -> str:
        """Return what messages call it."""
        return f"{KIND} {self.id}"

    @property
    def ownership(self) -> Ownership:
        """Return whose objects an apply may write."""
        return Ownership(self.owner, frozenset({self.former_owner or self.owner}))

    @property
    def key(self) -> Key:
        """Return the key of its objects among those of all resources."""
        return Key(self.spec.namespace, KIND, self.spec.model_service_name)

    @property
    def refs(self) -> list[Ref]:
        """Return every object that the service may own, in the order of an apply.

        Its claims are not among them: the fleet finds them by their labels.
        """
        return self._refs(hosted=self.spec.hosted)

    @property
    def primary_ref(self) -> Ref:
        """Return the object that stands for the service."""
        return self.refs[-1]

    @property
    def env_secret_ref(self) -> Ref:
        """Return the Secret with the secret environment, whether there is one or not."""
        return Ref(
            SECRET, self.spec.namespace, labels.env_secret_name(self.spec.model_service_name)
        )

    @property
    def claim_ref(self) -> Ref | None:
        """Return the claim that its cache is kept on, None where it has none of its own."""
        return self._claim_ref(self.spec)

    @property
    def had_claims(self) -> bool:
        """Return whether there may be claims that it no longer has."""
        specs = (self.spec, self.prior) if self.prior is not None else ()
        return any(self._claim_ref(spec) is not None for spec in specs)

    @property
    def all_refs(self) -> list[Ref]:
        """Return what the service may own now, or may have owned when it was of the other kind."""
        return [*self._refs(hosted=not self.spec.hosted), *self.refs]

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
        )

    def objects(self, *, cluster_uid: str, hash_key: bytes) -> list[Object]:
        """Return its objects in the order of an apply, the record on the primary one.

        Raises:
            SpecError: the record is larger than Kubernetes takes.
        """
        record = record_annotations(
            Record(
                kind=KIND,
                name=self.spec.model_service_name,
                namespace=self.spec.namespace,
                owner=self.owner,
                urn=self.urn,
                incarnation=self.incarnation,
                cluster_uid=cluster_uid,
                spec=record_spec_of(self.spec),
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
        return objects_of(
            self.spec,
            identity=identity,
            hash_key=hash_key,
            annotations=record,
            renderer_version=self.renderer_version,
        )

    def _claim_ref(self, spec: ModelServiceSpec) -> Ref | None:
        address = claim_ref_of(spec)
        if address is None:
            return None
        api_version, kind, name = address
        return Ref(KINDS[api_version, kind], self.spec.namespace, name)

    def _refs(self, *, hosted: bool) -> list[Ref]:
        return [
            Ref(KINDS[api_version, kind], self.spec.namespace, name)
            for api_version, kind, name in object_refs_of(
                self.spec.model_service_name, hosted=hosted
            )
        ]


def new_incarnation() -> str:
    """Return the random name of one creation of one service."""
    return secrets.token_hex(8)


def refuse_newer_record(live: Object) -> None:
    """Raise ConflictError where a newer modelfleet wrote the record on an object."""
    refuse_newer(live, schema_version=SPEC_SCHEMA_VERSION, renderer_version=RENDERER_VERSION)


def protection_error(service_id: str, *, verb: str) -> ConfigError:
    """Return the refusal to have a protected service ``deleted`` or ``replaced``."""
    return ConfigError(
        f"{KIND} {service_id} has deletion_protection and would be {verb}.",
        hint="Set deletion_protection to False in an update of its own first.",
    )
