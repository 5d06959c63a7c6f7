"""The outputs that every resource of ours has: where it is, and how it does.

Their values come from the provider; ``pulumi.getter`` fills the empty bodies in.
"""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

import pulumi


class Observed:
    """A resource that lives in a namespace of a cluster."""

    @property
    @pulumi.getter
    def namespace(self) -> pulumi.Output[str]:
        """Kubernetes namespace it lives in. Known at preview."""

    @property
    @pulumi.getter
    def endpoint(self) -> pulumi.Output[str]:
        """URL it answers at, without a path. Known at preview."""

    @property
    @pulumi.getter
    def pod_template_hash(self) -> pulumi.Output[str]:
        """Changes exactly when pods will be replaced; empty when external. Known at preview."""

    @property
    @pulumi.getter
    def status(self) -> pulumi.Output[str]:
        """READY, CREATING, UPDATING, CREATE_FAILED and so on, STOPPED or DEGRADED."""

    @property
    @pulumi.getter
    def status_reason(self) -> pulumi.Output[str]:
        """Why the status is what it is; empty where there is nothing to say."""

    @property
    @pulumi.getter
    def created_at(self) -> pulumi.Output[str]:
        """When it was created, as RFC 3339."""

    @property
    @pulumi.getter
    def last_updated_at(self) -> pulumi.Output[str]:
        """When it was last changed, as RFC 3339."""

    @property
    @pulumi.getter
    def cluster_uid(self) -> pulumi.Output[str]:
        """UID of the cluster's kube-system namespace: which cluster it really runs on."""
