import subprocess
import sys

import pytest

from fedward_protocol.plan import JobIdentity
from fedward_protocol.tracing.exporting import ENDPOINT, exporting
from fedward_protocol.tracing.spans import RoundTrace

JOB = JobIdentity(name="toy", namespace="research", uid="0123456789")


def trace(uid=JOB.uid, attempt=1, number=1):
    return RoundTrace(JOB.model_copy(update={"uid": uid}), attempt, number)


def test_hub_and_hospital_agree_on_the_ids_of_a_round_without_a_word():
    at_hub, at_hospital = trace(), trace()
    root = at_hub.whole(0, 9, {})
    part = at_hospital.at_site("north", 1, 8)
    stage = at_hospital.stage("north", "train", 2, 7, {})
    assert root.trace_id == part.trace_id == stage.trace_id
    assert (root.parent_id, part.parent_id, stage.parent_id) == (None, root.span_id, part.span_id)
    assert (len(root.trace_id), len(root.span_id)) == (16, 8)


def test_each_job_attempt_and_round_is_a_trace_of_its_own():
    traces = [trace(), trace(uid="other-uid-0"), trace(attempt=2), trace(number=2), trace(attempt=11), trace(number=11)]
    assert len({each.trace_id for each in traces}) == len({each.whole(0, 1, {}).span_id for each in traces}) == 6


def test_the_ids_stay_what_they_are_as_two_versions_may_make_a_rounds_spans():
    assert trace().trace_id.hex() == "13703135420b1a3089263a6f6a70ef98"
    assert trace().whole(0, 1, {}).span_id.hex() == "3b57907d74f03a94"


def test_sites_stages_and_times_are_told_apart():
    at = trace()
    spans = [
        at.stage(*what, 9, {}) for what in (("a", "train", 1), ("b", "train", 1), ("a", "fetch", 1), ("a", "train", 2))
    ]
    assert len({span.span_id for span in spans}) == 4


def test_without_the_setting_nothing_is_exported():
    with exporting("fedward-test", {}) as sink:
        assert sink is None


@pytest.mark.parametrize(
    "endpoint", ["collector:4317", "http://collector", "ftp://collector:1", "http://a:b", "http://:1"]
)
def test_what_is_no_address_ends_the_process_with_a_word(endpoint):
    with pytest.raises(SystemExit, match="write it as http://collector:4317"), exporting("x", {ENDPOINT: endpoint}):
        pytest.fail("it was taken")


@pytest.mark.parametrize(
    "module",
    [
        "fedward_cli.main",
        "fedward_server.main",
        "fedward_node.gateway.main",
        "fedward_node.trainer.main",
        "fedward_operator.main",
    ],
)
def test_no_process_imports_opentelemetry_where_it_is_not_asked_to(module):
    program = f"""
import sys
import {module}
from fedward_protocol.tracing.exporting import exporting
with exporting("x", {{}}):
    print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
