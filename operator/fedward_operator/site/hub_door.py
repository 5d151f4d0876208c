"""The way to the hub for a site that was invited: one address, the API server's authority, tokens that come and go."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from fedward_operator.kube.access import Access, AccessError, believing


@dataclass(frozen=True, slots=True)
class HubDoor:
    """What an invitation says of the hub.

    Attributes:
        address: host:port.
        context: believes the hub's API server.
        server_name: by which the door knows that the API server is meant, and its certificate is checked.
        invitation: file of the invitation's token; it may be gone once the site has joined.
        token_file: where this process keeps the token that it shows.
    """

    address: str
    context: ssl.SSLContext
    server_name: str
    invitation: Path
    token_file: Path

    @classmethod
    def open(cls, address: str, authority: Path, server_name: str, invitation: Path, folder: Path) -> HubDoor:
        """Take up what an invitation says; `folder` is this process's own.

        Raises:
            AccessError: the authority cannot be read.
        """
        try:
            context = believing(cafile=authority)
        except OSError as error:
            raise AccessError(f"the authority {authority} of the hub cannot be read: {error.strerror}") from error
        token_file = folder / "hub-token"
        token_file.touch(mode=0o600)
        return cls(address, context, server_name, invitation, token_file)

    def shown(self) -> Access:
        """Return a way in that shows the token as it is in its file."""
        return Access(f"https://{self.address}", self.context, self.server_name, token_file=self.token_file)

    def showing(self, token: str) -> Access:
        """Return a way in that shows one token."""
        return Access(f"https://{self.address}", self.context, self.server_name, token=token)
