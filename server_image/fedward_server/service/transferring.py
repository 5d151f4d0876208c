"""Sends the answers of a transfer one by one, and breaks it off at once when the site at its other end is dismissed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, NoReturn

from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.refusals import abort
from fedward_protocol.tls import peer_identity
from fedward_server.job import Job
from fedward_server.service.refusing import Context, note


async def transfer(job: Job, call: str, answers: AsyncGenerator[Any], context: Context) -> None:
    """Send the answers until there are no more.

    A dismissal waits neither for the site's next chunk nor until it has read the last one: it may never do either.
    """
    site = _caller(context)
    if site in job.state.dismissed_sites:
        await answers.aclose()
        await _refuse(job, call, site, context)
    sending = asyncio.create_task(_send(answers, context))
    watching = asyncio.create_task(_until_dismissed(job, site))
    try:
        await asyncio.wait({sending, watching}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        watching.cancel()
        is_broken_off = sending.cancel()
        await asyncio.gather(sending, watching, return_exceptions=True)
    if is_broken_off:
        await _refuse(job, call, site, context)
    sending.result()


async def _send(answers: AsyncGenerator[Any], context: Context) -> None:
    async with aclosing(answers) as sent:
        async for answer in sent:
            await context.write(answer)


async def _until_dismissed(job: Job, site: str) -> None:
    with job.bell.listen() as changed:
        while site not in job.state.dismissed_sites:
            changed.clear()
            await changed.wait()


async def _refuse(job: Job, call: str, site: str, context: Context) -> NoReturn:
    refused = RefusedError(Reason.SITE_REVOKED)
    note(job, refused, site, call)
    await abort(context, refused)


def _caller(context: Context) -> str:
    try:
        return peer_identity(context).name
    except RefusedError:
        return ""  # the call itself refuses whoever has no name
