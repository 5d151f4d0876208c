"""What a hospital's administrator chose once for all jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SiteSettings:
    """The site and its parts.

    Attributes:
        site: the name under which the federation knows the hospital.
        federation: SPIFFE trust domain.
        namespace: where the operator, the gateway and the trainers live.
        trainer_image: the image that the hospital installed; always allowed.
        gateway: host:port of the gateway.
        gateway_ca: ConfigMap whose ca.crt is the authority behind the gateway's certificate.
        pull_secrets: what trainers' images are pulled with.
    """

    site: str
    federation: str
    namespace: str
    trainer_image: str
    gateway: str
    gateway_ca: str = "fedward-federation-ca"
    pull_secrets: Sequence[str] = ()
