"""Who is there: a site attends while its stream is open and it has been heard of in the last seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from fedward_protocol.wire import federation_pb2 as pb
from fedward_server.rounds.deciding import Presence

HEARTBEAT_S = 2.0
"""How often either end lets the other hear of it."""
SILENCE_S = 8.0
"""After so long without a word a site is lost: four heartbeats, and below the ten seconds that are promised."""


@dataclass(eq=False)
class Session:
    """One attending stream of a site."""

    site: str
    heard_at: float
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the stream is to end: the site was silent, has left, or has attached anew."""
    finished: bool = False
    """Whether Finish has been written to the stream."""


@dataclass
class Visits:
    """What this process has seen of a site; not a fact of the journal, so it begins anew with the process."""

    away_since: float | None
    seen_at: float = 0.0
    progress: pb.Progress | None = None
    session: Session | None = None
    bytes_up: int = 0
    bytes_down: int = 0
    refusals: int = 0
    attaches: int = 0
    """Streams that it opened."""
    losses: int = 0
    """Times that it was found silent or gone."""


class Attendance:
    """The plan's sites and their streams. A site that has not come since the process started is away since then."""

    def __init__(self, sites: Iterable[str], now: float) -> None:
        self._visits = {site: Visits(away_since=now) for site in sites}

    def of(self, site: str) -> Visits:
        """Give what was seen of a site; KeyError when it is not in the plan."""
        return self._visits[site]

    def attend(self, site: str, now: float) -> Session:
        """Let a site in, or back in; a stream that it still had is over."""
        visits = self._visits[site]
        if visits.session is not None:
            visits.session.over.set()
        visits.session = Session(site, heard_at=now)
        visits.away_since, visits.seen_at, visits.progress = None, now, None
        visits.attaches += 1
        return visits.session

    def hear(self, site: str, now: float) -> None:
        """Note a sign of life."""
        visits = self._visits[site]
        visits.seen_at = now
        if visits.session is not None:
            visits.session.heard_at = now

    def leave(self, session: Session, now: float) -> None:
        """Note the end of a stream: the site is lost, unless it has attached anew meanwhile."""
        session.over.set()
        visits = self._visits[session.site]
        if visits.session is session:
            visits.session, visits.away_since, visits.progress = None, now, None

    def expire(self, now: float) -> list[str]:
        """End the streams of sites that have been silent for too long, and name those sites."""
        silent = [session for session in self._sessions() if now >= session.heard_at + SILENCE_S]
        for session in silent:
            self.leave(session, now)
        return [session.site for session in silent]

    def next_expiry(self) -> float | None:
        """Say when the first site will have been silent for too long, if nothing is heard."""
        return min((session.heard_at + SILENCE_S for session in self._sessions()), default=None)

    def presence(self) -> Presence:
        """Say who is there and since when the others are not."""
        away = {site: visits.away_since for site, visits in self._visits.items() if visits.away_since is not None}
        return Presence(frozenset(self._visits.keys() - away.keys()), away)

    def _sessions(self) -> list[Session]:
        return [visits.session for visits in self._visits.values() if visits.session is not None]
