"""How the site belongs to the federation: it was given a way to the hub, or joins by an invitation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from fedward_operator.kube.access import Access
from fedward_operator.kube.client import Client, Meter
from fedward_operator.site.hub_door import HubDoor
from fedward_operator.site.keepsakes import Keepsakes
from fedward_operator.site.membership import Membership
from fedward_operator.site.settings import SiteSettings


class Belonging:
    """One site's.

    Attributes:
        hub: everybody's client of the hub's API server.
        joined: set once the hub may be spoken to.
    """

    def __init__(self, way: Access | HubDoor, manager: str, meter: Meter) -> None:
        """Begin outside.

        Raises:
            AccessError: the hub cannot be spoken to with what the site was given.
        """
        self._way, self._manager, self._meter = way, manager, meter
        self.hub = self._as(way.shown() if isinstance(way, HubDoor) else way)
        self.joined = asyncio.Event()
        self._membership: Membership | None = None

    @property
    def believed(self) -> str:
        """The mark of whom the site believes in the federation; empty where that is not ours to know."""
        return self._membership.believed if self._membership else ""

    @property
    def not_after(self) -> datetime | None:
        """Until when the site's certificate is good; None where there is none yet, or that is not ours to know."""
        return self._membership.not_after if self._membership else None

    def hear(self, authority: str) -> None:
        """Take in the mark of whom the hub wants to be believed; empty where it has not said."""
        if self._membership:
            self._membership.hear(authority)

    def refused(self) -> None:
        """Take in that the hub does not take our token."""
        if self._membership:
            self._membership.refused()

    async def keep(self, keepsakes: Keepsakes, settings: SiteSettings, now: Callable[[], datetime]) -> None:
        """Join and stay, for ever."""
        if isinstance(self._way, Access):
            self.joined.set()
            await asyncio.Event().wait()
            return
        door = self._way
        self._membership = Membership(
            keepsakes,
            lambda token: self._as(door.showing(token)),
            settings,
            door.invitation,
            door.token_file,
            self._renewed,
            now,
        )
        await self._membership.keep()

    def _as(self, access: Access) -> Client:
        return Client(access, self._manager, self._meter)

    def _renewed(self) -> None:
        self.hub.take_token()
        self.joined.set()
