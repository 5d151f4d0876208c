"""Why a job has failed is left where Kubernetes looks for it."""

from __future__ import annotations

from fedward_protocol.last_word import leave_word


def test_the_reason_is_in_the_file_that_kubernetes_made(tmp_path):
    file = tmp_path / "termination-log"
    file.touch()
    leave_word("QuorumLost: " + "x" * 10_000, file)
    assert file.read_text().startswith("QuorumLost: x")
    assert len(file.read_text()) == 4096


def test_outside_a_container_nothing_is_written(tmp_path):
    leave_word("QuorumLost", tmp_path / "termination-log")
    assert not list(tmp_path.iterdir())
