"""What a gateway keeps of jobs that never finished, and for how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import grpc
import pytest

from fedward_node.gateway.plans import KEPT_AFTER_EXPIRY
from fedward_node.sending import send_update, submitter
from fedward_protocol.plan import JobIdentity
from fedward_protocol.wire import federation_pb2 as pb

SECOND = timedelta(seconds=1)
EXPIRES = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=5)


@pytest.fixture
def kept(tmp_path):
    """Count the files that are kept: plans, and those of releases."""

    def kept():
        plans, releases = (tmp_path / "gateway" / name for name in ("plans", "releases"))
        assert len(list(plans.glob("*.json"))) == len(list(plans.glob("*.expires")))
        return len(list(plans.glob("*.json"))), len(list(releases.glob("*")))

    return kept


async def attend(site, expires=EXPIRES, **job):
    call = site.stub().Attend(metadata=site.metadata(expires=expires))
    await call.write(site.hello(**job))
    assert (await call.read()).WhichOneof("body") == "welcome"
    call.cancel()


async def submit(site, update):
    call = submitter(site.channel())(metadata=site.metadata())
    try:
        return await send_update(call, update.header, update.path, "none")
    finally:
        call.cancel()


async def break_off(site, hub, update):
    """Submit an update whose receipt gets lost, so that the release stays."""
    hub.receipts_lost = 1
    with pytest.raises(grpc.aio.AioRpcError):
        await submit(site, update)


async def test_a_job_that_never_finished_leaves_nothing_behind_an_hour_after_its_order_expired(
    filtering_site, hub, make_update, kept
):
    await attend(filtering_site)
    await break_off(filtering_site, hub, make_update())
    filtering_site.gateway.sweep(EXPIRES + KEPT_AFTER_EXPIRY - SECOND)
    assert kept() == (1, 1)
    filtering_site.gateway.sweep(EXPIRES + KEPT_AFTER_EXPIRY)
    assert kept() == (0, 0)


async def test_a_renewed_order_keeps_its_job(filtering_site, hub, make_update, kept):
    await attend(filtering_site)
    await break_off(filtering_site, hub, make_update())
    await attend(filtering_site, EXPIRES + timedelta(days=1))
    await attend(filtering_site)  # an older order, shown once more, takes nothing away
    filtering_site.gateway.sweep(EXPIRES + timedelta(hours=3))
    assert kept() == (1, 1)


async def test_other_jobs_are_left_alone_also_after_a_restart(filtering_site, hub, make_update, kept):
    await attend(filtering_site, EXPIRES + timedelta(days=1))
    await break_off(filtering_site, hub, make_update())
    first = filtering_site.plan
    other = JobIdentity(name="brain", namespace="research", uid="uid-00000002")
    filtering_site.plan = first.model_copy(update={"job": other})
    await attend(filtering_site, job=pb.JobRef(uid=other.uid, attempt=1))
    filtering_site.plan = first
    assert kept() == (2, 1)
    await filtering_site.restart()
    filtering_site.gateway.sweep(EXPIRES + timedelta(hours=3))
    assert kept() == (1, 1)
    assert (await submit(filtering_site, make_update())).WhichOneof("body") == "receipt"


async def test_a_job_that_comes_back_after_all_releases_the_very_same_bytes(filtering_site, hub, make_update):
    await attend(filtering_site)
    await break_off(filtering_site, hub, make_update())
    filtering_site.gateway.sweep(EXPIRES + timedelta(hours=3))
    await attend(filtering_site)
    assert (await submit(filtering_site, make_update())).WhichOneof("body") == "receipt"
    assert len({header.digest for header in hub.headers}) == 1
