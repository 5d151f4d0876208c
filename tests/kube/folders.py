"""Provides volumes: for each claim of the cluster's default class a folder of this machine, as large as was asked for.

`python -m tests.kube.folders KUBECONFIG FOLDER NODE`
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.kube.binaries import binaries
from tests.kube.essentials import STORAGE_CLASS

_EVERY_S = 0.5
_USER = 65532


class Folders:
    """One cluster's volumes."""

    def __init__(self, kubeconfig: str, folder: Path, node: str) -> None:
        found = binaries()
        assert found is not None
        self._kubectl = [str(found / "kubectl"), f"--kubeconfig={kubeconfig}"]
        self._folder, self._node = folder, node

    def provide(self) -> None:
        """Make the volumes of claims that wait, and delete those that were let go."""
        claims = self._read("pvc")
        waiting = [each for each in claims if each["status"]["phase"] == "Pending" and _is_ours(each)]
        for claim in waiting:
            self._run("apply", "-f", "-", manifest=self._volume(claim))
        for volume in self._read("pv"):
            if volume["status"].get("phase") == "Released" and _is_ours(volume):
                self._run("delete", "pv", volume["metadata"]["name"])
                path = Path(volume["spec"]["local"]["path"])
                subprocess.run(["umount", "--lazy", str(path)], check=True)
                path.rmdir()

    def _volume(self, claim: dict[str, Any]) -> dict[str, Any]:
        metadata = claim["metadata"]
        name = f"{metadata['namespace']}-{metadata['name']}-{metadata['uid'][:8]}"[-60:].lstrip("-.")
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

    def _read(self, kind: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(self._run("get", kind, "--all-namespaces", "-o", "json"))["items"]
        return items

    def _run(self, *arguments: str, manifest: object = None) -> str:
        given = None if manifest is None else json.dumps(manifest)
        done = subprocess.run([*self._kubectl, *arguments], input=given, capture_output=True, text=True, check=True)
        return done.stdout


def _is_ours(thing: dict[str, Any]) -> bool:
    return bool(thing["spec"].get("storageClassName") == STORAGE_CLASS)


if __name__ == "__main__":
    folders = Folders(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
    while True:
        try:
            folders.provide()
        except subprocess.CalledProcessError as error:
            sys.stderr.write(error.stderr)  # an API server that is away, most often
        time.sleep(_EVERY_S)
