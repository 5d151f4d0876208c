"""What a look has found: what it was about, whether that is as it should be, and if not, why and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How it is, the worst first."""

    WRONG = "wrong"
    WARNING = "warning"
    SKIPPED = "skipped"
    OK = "ok"


class Trouble(StrEnum):
    """Why something is not as it should be, where neither a condition nor Kubernetes has a word for it already."""

    # on the way to a server
    NAME_UNRESOLVED = "NameUnresolved"
    UNREACHABLE = "Unreachable"
    PROXY_INVALID = "ProxyInvalid"
    PROXY_REFUSED = "ProxyRefused"
    TLS_FAILED = "TlsFailed"
    SERVER_NAME_MISMATCH = "ServerNameMismatch"
    CERTIFICATE_UNTRUSTED = "CertificateUntrusted"
    CERTIFICATE_NOT_YET_VALID = "CertificateNotYetValid"
    CERTIFICATE_EXPIRED = "CertificateExpired"
    CERTIFICATE_EXPIRING = "CertificateExpiring"
    CLOCK_SKEWED = "ClockSkewed"
    # of a hospital
    NOT_JOINED = "NotJoined"
    IDENTITY_MISMATCH = "IdentityMismatch"
    TOKEN_REFUSED = "TokenRefused"  # noqa: S105 a reason, no password
    NO_SITE_POLICY = "NoSitePolicy"
    SEVERAL_SITE_POLICIES = "SeveralSitePolicies"
    GPU_MISSING = "GpuMissing"
    STORAGE_LOW = "StorageLow"
    # of a hub
    DOOR_WITHOUT_PODS = "DoorWithoutPods"
    DOOR_PASSES_ANY_NAME = "DoorPassesAnyName"
    AUTHORITY_MISSING = "AuthorityMissing"
    AUTHORITY_INVALID = "AuthorityInvalid"
    KIND_MISSING = "KindMissing"
    KIND_OUTDATED = "KindOutdated"
    STORAGE_CLASS_MISSING = "StorageClassMissing"
    # of both
    NOT_READY = "NotReady"
    NOT_ANSWERED = "NotAnswered"
    VERSION_SKEW = "VersionSkew"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look has found.

    Attributes:
        about: what was looked at.
        said: what it is like, in words.
        reason: why it is not as it should be: a `Trouble`, or the reason of a condition.
        then: the command to run next.
    """

    about: str
    level: Level
    said: str
    reason: str = ""
    then: str = ""


def fine(about: str, said: str) -> Finding:
    """Say that it is as it should be."""
    return Finding(about, Level.OK, said)


def skipped(about: str, said: str) -> Finding:
    """Say why it was not looked at."""
    return Finding(about, Level.SKIPPED, said)


def warning(about: str, reason: str, said: str, then: str) -> Finding:
    """Say what somebody should look after, though it works."""
    return Finding(about, Level.WARNING, said, reason, then)


def wrong(about: str, reason: str, said: str, then: str) -> Finding:
    """Say what does not work."""
    return Finding(about, Level.WRONG, said, reason, then)
