"""How an authority takes over from another in three steps, between which everybody has to learn whom to believe."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from cryptography import x509

from fedward_operator.policy.joining.trust import BELIEVED, CERTIFICATE, KEY, Files, files_of, read_authority
from fedward_protocol.pki import Authority

NEXT_CERTIFICATE, NEXT_KEY = "next.crt", "next.key"
"""In the authority's Secret: the one that is about to take over. It is believed already, and signs nothing yet."""


class Step(Enum):
    """What a step of a rotation does."""

    BEGIN = "a new authority is made, and believed beside the one that signs"
    TAKE_OVER = "the new authority signs; the old one is still believed"
    END = "the old authority is believed no more"


@dataclass(frozen=True, slots=True)
class Rotated:
    """A step, and the Secret's files after it."""

    step: Step
    files: Files


def rotate(federation: str, files: Files, now: datetime) -> Rotated:
    """Take the step that is next, by what the Secret holds.

    Raises:
        ValueError: the Secret holds no authority of the federation.
    """
    signer = read_authority(federation, files)
    if NEXT_CERTIFICATE in files and NEXT_KEY in files:
        coming = {CERTIFICATE: files[NEXT_CERTIFICATE], KEY: files[NEXT_KEY], BELIEVED: signer.ca_pem}
        return Rotated(Step.TAKE_OVER, files_of(read_authority(federation, coming)))
    if len(x509.load_pem_x509_certificates(signer.trusted_pem)) > 1:
        alone = {CERTIFICATE: signer.ca_pem, KEY: signer.key_pem}
        return Rotated(Step.END, files_of(read_authority(federation, alone)))
    made = Authority.create(federation, now)
    begun = {NEXT_CERTIFICATE: made.ca_pem, NEXT_KEY: made.key_pem, BELIEVED: signer.ca_pem + made.ca_pem}
    return Rotated(Step.BEGIN, {**files_of(signer), **begun})
