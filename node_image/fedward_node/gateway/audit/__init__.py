"""The audit log: what a hospital can show about everything that left it, and anyone can check to be whole."""

from fedward_node.gateway.audit.log import AuditLog
from fedward_node.gateway.audit.verification import Verdict, verify

__all__ = ["AuditLog", "Verdict", "verify"]
