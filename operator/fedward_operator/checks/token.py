"""Whether the hub accepts the site's token: it lets the site read what it is asked."""

from __future__ import annotations

from fedward_operator.checks.connection import Answer
from fedward_operator.checks.finding import Finding, Trouble, fine, wrong
from fedward_operator.kube.errors import status_message

ABOUT = "token at the hub"


def accepted(answer: Answer, mailbox: str, then: str) -> Finding:
    """Judge the answer to a list of the mailbox's SiteJobs."""
    if answer.status == 200:
        return fine(ABOUT, f"the hub lets the site read {mailbox}")
    reason, message, _ = status_message(answer.body)
    words = message or reason or "no words"
    match answer.status:
        case 401:
            said = f"the hub does not know it (401 {words}): the site was revoked, or the hub was built anew"
            return wrong(ABOUT, Trouble.TOKEN_REFUSED, f"{said}; ask for a new invitation", then)
        case 403:
            said = f"the hub knows it, and it may not read {mailbox} (403 {words})"
            return wrong(ABOUT, Trouble.TOKEN_REFUSED, said, then)
        case 404:
            return wrong(ABOUT, Trouble.KIND_MISSING, f"the hub knows no SiteJobs (404 {words}); is it a hub?", then)
    return wrong(ABOUT, Trouble.NOT_ANSWERED, f"the hub answers {answer.status} {words}", then)
