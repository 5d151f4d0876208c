"""What an API server shows, for tables of what can be wrong."""

from __future__ import annotations

import json

from fedward_operator.checks.connection import Answer


def condition(kind, status, reason="Because", message="so it is"):
    return {"type": kind, "status": status, "reason": reason, "message": message}


def status(code, message):
    return Answer(code, {}, json.dumps({"kind": "Status", "code": code, "message": message}).encode())
