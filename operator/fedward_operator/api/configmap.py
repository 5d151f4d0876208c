"""ConfigMap, as far as a bundle needs it: file names to text."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from fedward_operator.api.meta import Metadata, Resource

FileName = Annotated[str, StringConstraints(pattern=r"^[-._A-Za-z0-9]{1,253}$")]


class ConfigMap(Resource):
    """Kubernetes' ConfigMap, holding the files of a MONAI bundle."""

    api_version: Annotated[Literal["v1"], Field(description="Version")]
    kind: Annotated[Literal["ConfigMap"], Field(description="ConfigMap")]
    metadata: Annotated[Metadata, Field(description="Name and namespace")]
    data: Annotated[
        dict[FileName, Annotated[str, Field(max_length=1_048_576)]],
        Field(default_factory=dict, max_length=64, description="File names to text; 1 MiB at most in all"),
    ]
