"""Writes an image's bill of materials, as CycloneDX has it."""

from __future__ import annotations

import json
import uuid
from typing import Any
from urllib.parse import quote

from scripts.images.contents import Package


def bill(image: str, version: str, digest: str, packages: tuple[Package, ...]) -> str:
    """Make the document; the same image gives the same one, so it holds no time."""
    subject = {
        "type": "container",
        "bom-ref": f"pkg:oci/{image}@{quote(digest, safe='')}",
        "name": image,
        "version": version,
        "purl": f"pkg:oci/{image}@{quote(digest, safe='')}",
    }
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}",
        "version": 1,
        "metadata": {"component": subject},
        "components": [_component(package) for package in packages],
    }
    return json.dumps(document, indent=2) + "\n"


def _component(package: Package) -> dict[str, Any]:
    purl = f"pkg:{package.kind}/{package.name}@{quote(package.version, safe='')}"
    if package.kind == "deb":
        version = quote(package.version, safe="")
        purl = f"pkg:deb/debian/{quote(package.name, safe='')}@{version}?arch={package.architecture}&distro=debian-12"
    component = {"type": "library", "bom-ref": purl, "name": package.name, "version": package.version, "purl": purl}
    # A name and not an SPDX expression: what packages say of themselves is often neither.
    return component | ({"licenses": [{"license": {"name": package.licence}}]} if package.licence else {})
