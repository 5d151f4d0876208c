"""A server that answers as a test wants, in place of an API server, and what it answers with."""

from __future__ import annotations

import asyncio
import json
import ssl

from aiohttp import web

from fedward_operator.kube.access import Access

JOB_MANIFEST = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"namespace": "research", "name": "glioma-aggregator-1"},
    "spec": {"backoffLimit": 3},
}


class Api:
    """Answers each request with what was put ready for it, or `{}`."""

    def __init__(self):
        self.requests, self.answers = [], []

    async def handle(self, request):
        body = await request.read()
        self.requests.append(
            {
                "method": request.method,
                "path": request.path,
                "query": dict(request.query),
                "headers": dict(request.headers),
                "body": json.loads(body) if body else None,
            }
        )
        answer = self.answers.pop(0) if self.answers else {}
        if callable(answer):
            return await answer(request)
        return web.json_response(answer) if isinstance(answer, dict) else answer

    @property
    def asked(self):
        (only,) = self.requests
        return only


def refusal(code, reason="", message="", *, seconds=None, headers=None):
    status = {"kind": "Status", "code": code, "reason": reason, "message": message}
    if seconds is not None:
        status["details"] = {"retryAfterSeconds": seconds}
    return web.json_response(status, status=code, headers=headers)


def streaming(*chunks):
    """An answer in exactly these pieces."""

    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(0)
        return response

    return answer


def event(kind, name, version):
    return {"type": kind, "object": {"metadata": {"name": name, "resourceVersion": str(version)}}}


def line(of):
    return json.dumps(of).encode() + b"\n"


async def all_of(source):
    return [each async for each in source]


async def serving(api, context=None):
    application = web.Application(client_max_size=1 << 24)
    application.router.add_route("*", "/{path:.*}", api.handle)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    return runner, site._server.sockets[0].getsockname()[1]


def access(api, **more):
    return Access(api.url, ssl.create_default_context(), **more)
