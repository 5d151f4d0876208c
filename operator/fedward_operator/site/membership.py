"""The site's place in the federation: it joins by an invitation, and renews its token and certificate in time."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path

from fedward_operator.kube import kinds
from fedward_operator.kube.client import Client, Object
from fedward_operator.kube.errors import ApiError, UnavailableError
from fedward_operator.policy import naming
from fedward_operator.policy.joining import renewal, trust
from fedward_operator.policy.joining.naming import INVITATION, MEMBER, SIGNER, certificate_request
from fedward_operator.site.keepsakes import ACCESS, CERTIFICATE, REQUEST, Keepsakes
from fedward_operator.site.settings import SiteSettings
from fedward_protocol import certificate_request as pkcs10
from fedward_protocol.identity import Identity, gateway_name

_log = logging.getLogger(__name__)

AGAIN_S = 2.0
"""How often a request that waits for a person is looked at, and what failed is tried anew."""

_TOKEN_S = 7 * 24 * 3600
"""An API server may give less. A site whose token has run out needs another invitation."""

_CERTIFICATES = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)

HubAs = Callable[[str], AbstractAsyncContextManager[Client]]


class DeniedError(Exception):
    """The hub says no; the message is its own."""


class Membership:
    """One site's.

    Args:
        keepsakes: what is kept over a restart.
        hub_as: makes a client of the hub's API server that shows a token.
        settings: the site's.
        invitation: file of the invitation's token; it may be gone once the site has joined.
        token_file: where the token is put for everybody else in this process.
        renewed: told that there is a token, or another one.
        now: the wall clock.
    """

    def __init__(
        self,
        keepsakes: Keepsakes,
        hub_as: HubAs,
        settings: SiteSettings,
        invitation: Path,
        token_file: Path,
        renewed: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        self._keepsakes, self._hub_as, self._settings, self._now = keepsakes, hub_as, settings, now
        self._invitation, self._token_file, self._renewed = invitation, token_file, renewed
        self.believed = ""
        self.not_after: datetime | None = None
        self._told = self._followed = ""
        self._news = asyncio.Event()
        self._used_up = ""

    def hear(self, authority: str) -> None:
        """Take in the mark of whom the hub wants to be believed; another one than ours is fetched at once."""
        self._told = authority
        if self._is_behind():
            self._news.set()

    def refused(self) -> None:
        """Take in that the hub does not take our token: there may be another invitation by now."""
        self._news.set()

    async def join(self) -> None:
        """Return once the site holds its token and its certificate; what is in the way is tried again."""
        failures = 0
        while True:
            try:
                await self.renew()
                return
            except (ApiError, UnavailableError, DeniedError, OSError, ValueError) as error:
                failures += 1
                if failures == 1 or failures % 30 == 0:
                    _log.warning("the site has not joined yet", extra={"why": str(error), "tries": failures})
            await asyncio.sleep(AGAIN_S)

    async def keep(self) -> None:
        """Renew in time, for ever."""
        while True:
            await self.join()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(await self._pause_s()):
                    await self._news.wait()
            self._news.clear()

    async def renew(self) -> None:
        """Renew what is due, and join where there is nothing yet.

        Raises:
            ApiError, UnavailableError: the hub or our own API server does not do it.
            DeniedError: the hub does not want us.
            OSError: there is no token, and no invitation.
            ValueError: what is kept or was answered cannot be read.
        """
        token = (await self._keepsakes.read(ACCESS)).get("token", b"").decode()
        if token and not renewal.of_token(token).is_over(self._now()):
            try:
                await self._renew_with(token, is_member=True)
                return
            except ApiError as error:
                # A hub that was built anew does not know us; an invitation to it may be there.
                if error.code != 401 or not self._invitation.exists():
                    raise
        await self._renew_with(self._invitation.read_text().strip(), is_member=False)

    async def _renew_with(self, token: str, *, is_member: bool) -> None:
        async with self._hub_as(token) as hub:
            if not is_member or await self._is_due():
                await self._certify(hub)
            if not is_member or self._now() >= renewal.of_token(token).renew_at():
                token = await hub.token(naming.mailbox(self._settings.site), MEMBER, _TOKEN_S)
                await self._keepsakes.write(ACCESS, {"token": token.encode()})
                _log.info("the site's token is new")
        if self._token_file.read_text() != token:
            self._token_file.write_text(token)
            self._renewed()
        await self._use_up(token)

    async def _is_due(self) -> bool:
        held = await self._keepsakes.read(CERTIFICATE)
        if "tls.crt" not in held:
            return True
        self.believed = trust.mark(held.get("ca.crt", b""))
        life = renewal.of_certificate(held["tls.crt"])
        self.not_after = life.ends
        return self._is_behind() or self._now() >= life.renew_at()

    def _is_behind(self) -> bool:
        # Once for each word of the hub's: if its answer is another, asking again would not change that.
        return self._told not in ("", self.believed, self._followed)

    async def _use_up(self, token: str) -> None:
        """End the invitation by which the site came, by its own token: from then on a copy of it is worth nothing."""
        invitation = self._invitation.read_text().strip() if self._invitation.exists() else ""
        if invitation in ("", self._used_up):
            return
        try:
            async with self._hub_as(token) as hub:
                account = renewal.account_of(invitation)
                await hub.delete(kinds.SERVICE_ACCOUNT, naming.mailbox(self._settings.site), INVITATION, account)
            _log.info("the invitation is used up")
        except (ApiError, ValueError) as error:
            if isinstance(error, ApiError) and error.code != 403:
                raise
            _log.warning("the invitation cannot be ended, and dies when its time is over", extra={"why": str(error)})
        self._used_up = invitation

    async def _certify(self, hub: Client) -> None:
        told = self._told
        key, request = await self._request()
        chain = _CERTIFICATES.findall(await self._signed(hub, request))
        if len(chain) < 2:
            raise ValueError("the hub's answer holds no certificate and authority")
        trusted = b"".join(chain[1:])
        await self._keepsakes.write(CERTIFICATE, {"tls.crt": chain[0], "tls.key": key, "ca.crt": trusted})
        await self._keepsakes.publish(self._settings.gateway_ca, {"ca.crt": trusted.decode()})
        self.believed, self._followed = trust.mark(trusted), told
        self.not_after = renewal.of_certificate(chain[0]).ends
        await self._keepsakes.write(REQUEST, {})
        await hub.delete(kinds.CERTIFICATE_REQUEST, None, certificate_request(self._settings.site))
        _log.info("the site's certificate is new")

    async def _request(self) -> tuple[bytes, bytes]:
        """Return key and request; the ones that a person may be looking at already, if there are any."""
        kept = await self._keepsakes.read(REQUEST)
        if "tls.key" in kept and "request" in kept:
            return kept["tls.key"], kept["request"]
        settings = self._settings
        identity = Identity(settings.federation, "site", settings.site)
        key, request = pkcs10.make(identity, [gateway_name(settings.site, settings.federation)])
        await self._keepsakes.write(REQUEST, {"tls.key": key, "request": request})
        _log.info("the site asks for its certificate", extra={"key": pkcs10.read(request).fingerprint})
        return key, request

    async def _signed(self, hub: Client, request: bytes) -> bytes:
        name = certificate_request(self._settings.site)
        while True:
            found = await self._ask(hub, name, base64.b64encode(request).decode())
            status = found.get("status") or {}
            if "certificate" in status:
                return base64.b64decode(status["certificate"])
            for condition in status.get("conditions") or ():
                if condition["type"] in ("Denied", "Failed"):
                    await hub.delete(kinds.CERTIFICATE_REQUEST, None, name)
                    await self._keepsakes.write(REQUEST, {})
                    raise DeniedError(f"the hub says no: {condition.get('message', '')}")
            await asyncio.sleep(AGAIN_S)

    async def _ask(self, hub: Client, name: str, request: str) -> Object:
        """Return our request as it is at the hub; another one of its name was left behind, and goes."""
        try:
            found = await hub.get(kinds.CERTIFICATE_REQUEST, None, name)
            if found["spec"]["request"] == request:
                return found
            await hub.delete(kinds.CERTIFICATE_REQUEST, None, name)
        except ApiError as error:
            if not error.is_gone:
                raise
        usages = ["digital signature", "client auth", "server auth"]
        return await hub.create(
            kinds.CERTIFICATE_REQUEST,
            {
                "apiVersion": kinds.CERTIFICATE_REQUEST.api_version,
                "kind": kinds.CERTIFICATE_REQUEST.name,
                "metadata": {"name": name},
                "spec": {"signerName": SIGNER, "request": request, "usages": usages},
            },
        )

    async def _pause_s(self) -> float:
        try:
            held = (await self._keepsakes.read(CERTIFICATE)).get("tls.crt", b"")
        except (ApiError, UnavailableError) as error:
            _log.warning("cannot see until when the certificate is good", extra={"why": str(error)})
            return AGAIN_S
        if not held:
            return 0.0  # somebody has deleted it; there will be another
        lives = renewal.of_token(self._token_file.read_text()), renewal.of_certificate(held)
        left = min(life.renew_at() for life in lives) - self._now()
        return max(left.total_seconds(), AGAIN_S)
