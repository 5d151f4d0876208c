"""Provides volumes: for each claim of the cluster's default class a folder of this machine, as large as was asked for.

`python -m tests.kube.folders KUBECONFIG FOLDER NODE`
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.kube.api import Api
from tests.kube.essentials import STORAGE_CLASS

_EVERY_S = 0.5
_USER = 65532
_VOLUMES = "/api/v1/persistentvolumes"


class Folders:
    """One cluster's volumes."""

    def __init__(self, api: Api, folder: Path, node: str) -> None:
        self._api, self._folder, self._node = api, folder, node

    def provide(self) -> None:
        """Make the volumes of claims that wait, and delete those that were let go.

        Raises:
            OSError: the API server is away.
        """
        volumes = self._api.items(_VOLUMES)
        made = {volume["metadata"]["name"] for volume in volumes}
        for claim in self._api.items("/api/v1/persistentvolumeclaims"):
            if claim["status"]["phase"] == "Pending" and _is_ours(claim) and _name(claim) not in made:
                self._api.request("POST", _VOLUMES, self._volume(claim))
        for volume in volumes:
            if volume["status"].get("phase") == "Released" and _is_ours(volume):
                self._api.request("DELETE", f"{_VOLUMES}/{volume['metadata']['name']}")
                path = Path(volume["spec"]["local"]["path"])
                subprocess.run(["umount", "--lazy", str(path)], check=True)
                path.rmdir()

    def _volume(self, claim: dict[str, Any]) -> dict[str, Any]:
        metadata = claim["metadata"]
        name = _name(claim)
        path = self._folder / name
        path.mkdir(parents=True, exist_ok=True)
        if not path.is_mount():
            # In memory, because that has a size: a volume can be full.
            size = claim["spec"]["resources"]["requests"]["storage"].removesuffix("i")
            options = f"size={size},uid={_USER},gid={_USER},mode=0770"
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "fedward", str(path)], check=True)
        hostname = {"key": "kubernetes.io/hostname", "operator": "In", "values": [self._node]}
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                "capacity": claim["spec"]["resources"]["requests"],
                "accessModes": claim["spec"]["accessModes"],
                "storageClassName": STORAGE_CLASS,
                "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {key: metadata[key] for key in ("namespace", "name", "uid")},
                "local": {"path": str(path)},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [hostname]}]}},
            },
        }


def _name(claim: dict[str, Any]) -> str:
    metadata = claim["metadata"]
    return f"{metadata['namespace']}-{metadata['name']}-{metadata['uid'][:8]}"[-60:].lstrip("-.")


def _is_ours(thing: dict[str, Any]) -> bool:
    return bool(thing["spec"].get("storageClassName") == STORAGE_CLASS)


if __name__ == "__main__":
    folders = Folders(Api(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3])
    while True:
        try:
            folders.provide()
        except OSError as error:
            sys.stderr.write(f"{error}\n")  # an API server that is away, most often
        time.sleep(_EVERY_S)
