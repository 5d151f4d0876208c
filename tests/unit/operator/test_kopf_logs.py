"""What Kopf says of an object goes into our log as one short line."""

import json
import logging

import kopf
from kopf._core.actions.loggers import LocalObjectLogger

from fedward_operator.app import _name_object
from fedward_protocol import logs
from fedward_protocol.logs import JsonFormatter


def test_a_line_of_kopfs_names_the_object_and_leaves_out_its_settings(caplog, monkeypatch):
    monkeypatch.setattr(logs, "_everywhere", {})  # whatever another test's process was about
    logger = logging.getLogger("kopf.objects")
    logger.addFilter(_name_object)
    body = {"kind": "FederatedJob", "metadata": {"namespace": "research", "name": "toy", "uid": "u"}}
    try:
        with caplog.at_level(logging.WARNING):
            LocalObjectLogger(body=kopf.Body(body), settings=kopf.OperatorSettings()).warning("a handler failed")
    finally:
        logger.removeFilter(_name_object)
    line = json.loads(JsonFormatter("operator").format(caplog.records[0]))
    line.pop("time")
    assert line == {
        "level": "WARNING",
        "process": "operator",
        "logger": "kopf.objects",
        "message": "a handler failed",
        "object": "FederatedJob/research/toy",
    }
