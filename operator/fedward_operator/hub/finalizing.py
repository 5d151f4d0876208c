"""What of a job lies in its sites' mailboxes: a finalizer holds the job until it is gone from there."""

from __future__ import annotations

from fedward_operator.api.meta import API_VERSION
from fedward_operator.hub.caches import HubCaches
from fedward_operator.hub.owned import Manifest, Owner
from fedward_operator.hub.views import JobView, Key
from fedward_operator.hub.writing import write_all
from fedward_operator.kube import kinds
from fedward_operator.kube.client import Client
from fedward_operator.kube.errors import ApiError
from fedward_operator.policy import naming


class Finalizing:
    """Adds the finalizer, and takes it off when nothing is left."""

    def __init__(self, client: Client, caches: HubCaches) -> None:
        self._client, self._caches = client, caches

    async def hold(self, owner: Owner) -> None:
        """Add the finalizer: from now on there is something in other namespaces."""
        metadata = {
            "namespace": owner.namespace,
            "name": owner.name,
            "uid": owner.uid,
            "finalizers": [naming.FINALIZER],
        }
        manifest = {"apiVersion": API_VERSION, "kind": kinds.FEDERATED_JOB.name, "metadata": metadata}
        await self._client.apply(kinds.FEDERATED_JOB, manifest)

    async def let_go(self, view: JobView, job: Manifest) -> None:
        """Delete what lies there, and the finalizer once nothing does."""
        left = await self.clear(view.key, view.uid)
        finalizers = job["metadata"].get("finalizers", [])
        if left or naming.FINALIZER not in finalizers:
            return
        index = finalizers.index(naming.FINALIZER)
        path = f"/metadata/finalizers/{index}"
        operations = [{"op": "test", "path": path, "value": naming.FINALIZER}, {"op": "remove", "path": path}]
        try:
            await self._client.patch(kinds.FEDERATED_JOB, *view.key, operations)
        except ApiError as error:
            if not error.is_gone:
                raise

    async def clear(self, key: Key, uid: str | None) -> bool:
        """Delete a job's SiteJobs, of any uid where None; tell whether some are left."""
        parts = [part for part in self._caches.parts.of(key) if uid in (None, part.job_uid)]
        await write_all(
            [
                self._client.delete(kinds.SITE_JOB, part.namespace, part.name, part.uid)
                for part in parts
                if not part.deleting
            ]
        )
        return bool(parts)
