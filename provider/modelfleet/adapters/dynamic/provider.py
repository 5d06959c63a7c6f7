"""The Pulumi dynamic providers of our resources: each verb decodes, asks the core, encodes.

Nothing is decided here that another adapter would decide too. ``check`` and ``diff`` never touch
a cluster. Errors are the core's; a service that exists but is not ready stays in the state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from pulumi.dynamic import (
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    UpdateResult,
)
from pulumi.output import Unknown

from modelfleet.adapters.dynamic import announcements, state
from modelfleet.adapters.dynamic.calls import calling_request
from modelfleet.adapters.dynamic.check_failures import check_failures
from modelfleet.adapters.dynamic.declared_once import declared_twice
from modelfleet.adapters.dynamic.ignored import ignored_by
from modelfleet.adapters.dynamic.imported import imported_resource
from modelfleet.adapters.dynamic.init_failed import keep_as_init_failed
from modelfleet.adapters.dynamic.lookup import looked_up
from modelfleet.adapters.dynamic.reporting import bug_text, reported
from modelfleet.adapters.dynamic.stateless import StatelessProvider
from modelfleet.background import run
from modelfleet.desired import Desired, new_incarnation, protection_error
from modelfleet.diff import diff
from modelfleet.dynamic_entry import model_proxy_provider, model_service_provider
from modelfleet.errors import (
    ModelFleetError,
    NotReadyError,
    Problem,
    ProviderBugError,
)
from modelfleet.gateway.generated_keys import GeneratedKeys, generated_keys_of
from modelfleet.plan import plan, resource_spec_of
from modelfleet.resource_types import MODEL_PROXY, MODEL_SERVICE, ResourceSpec, ResourceType
from modelfleet.service import FAILED, Service
from modelfleet.spec.fields import ChangeClass
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.tree import pruned

if TYPE_CHECKING:
    from modelfleet.clusters import Clusters
    from modelfleet.fleet import Fleet

Props = Mapping[str, Any]


_UNKNOWN: Unknown = Unknown()  # type: ignore[no-untyped-call]  # the SDK's class has no hints


def _is_unknown(value: object) -> bool:
    return isinstance(value, Unknown)


class FleetProvider(StatelessProvider):
    """Check, diff, create, read, update and delete of one type of resource."""

    of: ClassVar[ResourceType]

    @reported()
    def check(self, _olds: Props, news: Props) -> CheckResult:
        """Return every problem of the declaration, or its inputs with what is known beforehand."""
        olds = self._migrated(_olds)
        planned = plan(
            self._declaration_of(news),
            of=self.of,
            prior=self._declaration_of(olds),
            rendered=state.rendered_of(olds),
            is_unknown=_is_unknown,
            unknown=_UNKNOWN,
        )
        owner = {state.OWNER: news[state.OWNER]} if state.OWNER in news else {}
        inputs = state.inputs_of({**planned.inputs, **planned.values, **owner})
        announcements.warn(planned.warnings)
        twice = _declared_twice(inputs, of=self.of)
        return CheckResult(inputs, check_failures([*planned.problems, *twice]))

    @reported()
    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        """Say what would be replaced; the engine itself compares the inputs and shows them."""
        olds = self._migrated(_olds)
        prior, desired = self._declaration_of(olds), self._declaration_of(_news)
        ignored = ignored_by(calling_request())
        changes = [
            each
            for each in diff(prior, desired, of=self.of, is_unknown=_is_unknown)
            if each.path not in ignored
        ]
        drift = olds.pop(state.DRIFT, None) or {}
        if left := {path: said for path, said in drift.items() if path not in ignored}:
            olds[state.DRIFT] = left
        is_refresh = _refreshing(_id)
        if drift and not left and not changes and _follows(_news, olds, is_refresh=is_refresh):
            return DiffResult(changes=False)  # others changed what is ignored, and nothing else
        if not is_refresh:
            announcements.announce(changes, olds=olds, news=_news, of=self.of)
        replaced = {
            each.path.partition(".")[0] for each in changes if each.change is ChangeClass.REPLACE
        }
        if replaced and olds.get("deletion_protection"):
            raise protection_error(self.of.kind, _id, verb="replaced")
        if not is_refresh and not changes and state.lacks_keys(desired, olds):
            return DiffResult(changes=True)  # after an import: the inputs alone look the same
        return DiffResult(changes=None, replaces=sorted(replaced), delete_before_replace=False)

    @reported()
    def create(self, props: Props) -> CreateResult:
        """Create, or converge what an interrupted run of the same owner has left."""
        outs = self._apply(props, incarnation=new_incarnation())
        return CreateResult(id_=outs[self.of.id_field], outs=outs)

    @reported()
    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        """Converge the resource; its incarnation stays."""
        olds = self._migrated(_olds)
        incarnation = olds.get("incarnation") or new_incarnation()
        news = self._with_ignored_as_it_is(_news, olds)
        return UpdateResult(outs=self._apply(news, incarnation=incarnation, olds=olds))

    @reported()
    def read(self, id_: str, props: Props) -> ReadResult:
        """Return live inputs and outputs; an empty id when the service is gone."""
        olds = self._migrated(props)
        if state.OWNER not in olds:
            cluster = str(olds.get("cluster") or "default")
            return looked_up(id_, olds, of=self.of, fleet=self._fleet(cluster), cluster=cluster)
        inputs = state.inputs_of(olds)
        desired = self._recorded(olds)
        found = run(self._fleet(desired.spec.cluster).drift(desired))
        if found is None:
            return ReadResult("", {})
        live = state.with_values(inputs, found.live, of=self.of)
        live = state.with_renderer(live, found.renderer_version, of=self.of)
        _read_ids.add(id_)
        if found.drift:
            announcements.found_drift(found.drift)
            live[state.DRIFT] = dict(found.drift)
        outs = {
            **live,
            **state.outputs_of(found.service, renderer_version=found.renderer_version),
            **state.key_outputs_of(state.generated_keys_in(olds), of=self.of),
        }
        # The incarnation says what this state may delete; a read must not take up another's.
        outs["incarnation"] = desired.incarnation or found.service.incarnation
        if olds.get("status") in FAILED and not found.service.is_settled:
            # The engine forgets a failure that a refresh does not repeat, and the next up would
            # call the service unchanged.
            reasons = (f"is still not ready: {found.service.status_reason}",)
            error = NotReadyError(f"{self.of.kind} {id_}", reasons)
            outs["status"] = olds["status"]
            keep_as_init_failed(id_, outs, inputs=live, reasons=[str(error)])
            raise error
        return ReadResult(id_, outs, live)

    @reported()
    def delete(self, _id: str, _props: Props) -> None:
        """Delete what this incarnation of the resource owns, and wait until it is gone."""
        olds = self._migrated(_props)
        desired, call = self._recorded(olds), calling_request()
        timeout_seconds = call.timeout_seconds if call else None
        fleet = self._fleet(desired.spec.cluster)
        run(fleet.delete(desired, timeout_seconds=timeout_seconds))

    def imported(
        self, declaration: Props, *, service: Service, renderer_version: int
    ) -> dict[str, Any]:
        """Return the entry of an import document, for whoever has only the entry point."""
        return imported_resource(
            self, declaration, of=self.of, service=service, renderer_version=renderer_version
        )

    def _apply(self, news: Props, *, incarnation: str, olds: Props | None = None) -> dict[str, Any]:
        spec = resource_spec_of(self._declaration_of(news), of=self.of)
        call = calling_request()
        fleet = self._fleet(spec.cluster)
        prior = self._recorded(olds) if olds else None
        before = state.generated_keys_in(olds or {})
        keys = _generated_keys(spec, prior=prior.spec if prior else None, before=before)
        desired = Desired(
            spec=spec,
            owner=news[state.OWNER],
            incarnation=incarnation,
            urn=call.urn if call else "",
            former_owner=(olds or {}).get(state.OWNER),
            cluster_uid=(olds or {}).get("cluster_uid", ""),
            prior=prior.spec if prior else None,
            renderer_version=state.renderer_of(news),
            prior_renderer_version=state.renderer_of(olds or news),
            keys=keys.entries,
            prior_keys=before.entries,
        )
        try:
            service = run(
                fleet.apply(
                    desired,
                    timeout_seconds=call.timeout_seconds if call else None,
                    # What the state cannot be told of must not stay either.
                    on_failure=None if call else "rollback",
                    progress=announcements.Progress(call) if call else None,
                )
            )
        except NotReadyError as error:
            if not error.taken_back:
                self._keep(error, news, desired=desired, keys=keys, fleet=fleet)
            raise
        except Exception as error:
            if isinstance(error, ModelFleetError) and not isinstance(error, ProviderBugError):
                raise
            # Something may have been written before a bug of ours: the state must know it.
            failure = NotReadyError(desired.subject, (bug_text(error),))
            self._keep(failure, news, desired=desired, keys=keys, fleet=fleet)
            raise
        return {
            **state.inputs_of(news),
            **state.outputs_of(service, renderer_version=desired.renderer_version),
            **state.key_outputs_of(keys, of=self.of),
        }

    def _with_ignored_as_it_is(self, news: Props, olds: Props) -> Props:
        """Return ``news`` with what is live in every field that ``ignore_changes`` names."""
        ignored = ignored_by(calling_request())
        if not ignored:
            return news
        desired = self._recorded(olds)
        found = run(self._fleet(desired.spec.cluster).drift(desired))
        values = ignored.values(
            self._declaration_of(news),
            olds=self._declaration_of(olds),
            live=found.live if found else {},
        )
        return state.with_values(news, values, of=self.of)

    def _keep(
        self,
        error: NotReadyError,
        news: Props,
        *,
        desired: Desired,
        keys: GeneratedKeys,
        fleet: Fleet,
    ) -> None:
        """Have the state know a resource that exists, but is not what is declared."""
        service = run(fleet.incomplete(desired, error))
        outs = {
            **state.inputs_of(news),
            **state.outputs_of(service, renderer_version=desired.renderer_version),
            **state.key_outputs_of(keys, of=self.of),
        }
        keep_as_init_failed(desired.id, outs, reasons=[str(error)])

    def _migrated(self, props: Props) -> dict[str, Any]:
        return state.migrate(props, of=self.of)

    def _declaration_of(self, props: Props) -> dict[str, Any]:
        return state.declaration_of(props, of=self.of)

    def _recorded(self, olds: Props) -> Desired:
        """Return what a state says that is in the cluster, whatever today's rules say of that."""
        return Desired(
            spec=self.of.model.model_validate(pruned(self._declaration_of(olds))),
            owner=olds[state.OWNER],
            incarnation=olds.get("incarnation", ""),
            cluster_uid=olds.get("cluster_uid", ""),
            renderer_version=state.renderer_of(olds),
            keys=state.generated_keys_in(olds).entries,
        )

    def _fleet(self, cluster: str) -> Fleet:
        # A preview never comes here, and need not wait until the HTTP client is imported.
        from modelfleet.clusters import CONFIG_KEY

        text = self.config(CONFIG_KEY)

        async def opened() -> Fleet:
            return _clusters(text).fleet(cluster)

        return run(opened())


def _follows(news: Props, olds: Props, *, is_refresh: bool) -> bool:
    """Return whether ``news`` asks for the owner and, but for a refresh, the pods of ``olds``."""
    same = [state.OWNER] if is_refresh else [state.OWNER, state.POD_TEMPLATE_HASH]
    return all(news.get(name) == olds.get(name) for name in same)


class ModelServiceProvider(FleetProvider):
    """The provider of ModelServices."""

    of = MODEL_SERVICE

    def __reduce__(self) -> Any:
        return model_service_provider, ()


class ModelProxyProvider(FleetProvider):
    """The provider of ModelProxies."""

    of = MODEL_PROXY

    def __reduce__(self) -> Any:
        return model_proxy_provider, ()


def _generated_keys(
    spec: ResourceSpec, *, prior: ResourceSpec | None, before: GeneratedKeys
) -> GeneratedKeys:
    if not isinstance(spec, ModelProxySpec):
        return GeneratedKeys()
    was = prior if isinstance(prior, ModelProxySpec) else None
    return generated_keys_of(spec, prior=was, before=before)


def _declared_twice(inputs: Props, *, of: ResourceType) -> Iterator[Problem]:
    call = calling_request()
    if call is not None:
        cluster, resource_id = inputs.get("cluster"), inputs.get(of.id_field)
        yield from declared_twice(
            of.name_field, cluster=cluster, resource_id=resource_id, urn=call.urn
        )


_read_ids: set[str] = set()


def _refreshing(id_: str) -> bool:
    """Return whether a diff only compares what a read has just returned, as a refresh does.

    The engine does not say so; but it asks right after the read, and once.
    """
    if id_ not in _read_ids:
        return False
    _read_ids.discard(id_)
    return True


@cache
def _clusters(text: str | None) -> Clusters:
    from modelfleet.clusters import Clusters

    return Clusters.configured(text)
