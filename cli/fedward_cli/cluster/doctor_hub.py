"""What is wrong with a hub: its authority, its kinds, its storage, its sites, and the jobs of all its researchers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from fedward_cli.cluster import doctor_jobs
from fedward_cli.cluster.doctor_look import Look
from fedward_cli.cluster.doctor_pods import pods
from fedward_cli.cluster.doctor_site import kinds
from fedward_operator.checks import authority, door, kinds_installed, storage
from fedward_operator.checks.finding import Finding, warning
from fedward_operator.checks.hub import sites
from fedward_operator.policy.joining.naming import SIGNER, speaker

_REQUESTS = "certificatesigningrequests"


def findings(look: Look, arguments: Mapping[str, str], now: datetime) -> Iterator[Finding]:
    """Look at the hub whose operator was started with these arguments."""
    yield from _authority(look, arguments, now)
    yield from kinds(look, kinds_installed.PLURALS)
    slices = look.here("endpointslices")
    if slices is not None:
        described = f"kubectl describe pods -n {look.namespace} -l app.kubernetes.io/component=door"
        yield door.backed([each for each in slices if _is_doors(each)], described)
    classes = look.everywhere("storageclasses")
    if classes is not None:
        yield storage.provided(classes, arguments.get("storage-class"), "kubectl get storageclass")
    found = look.everywhere("federatedsites.fedward.io")
    if found is not None:
        yield from sites(found)
    yield from _requests(look)
    yield from doctor_jobs.at_hub(look.everywhere("federatedjobs.fedward.io") or ())
    aggregators = look.everywhere("pods", "-l", "fedward.io/component=aggregator") or ()
    yield from pods([each for each in aggregators if each["metadata"]["namespace"] != look.namespace], now)


def _authority(look: Look, arguments: Mapping[str, str], now: datetime) -> Iterator[Finding]:
    before, secret = len(look.unseen), arguments["authority-secret"]
    cert, ca = (look.file(secret, name) for name in ("tls.crt", "ca.crt"))
    if len(look.unseen) == before:
        log = f"kubectl logs deployment/fedward-hub-operator -n {look.namespace}"
        yield authority.held(cert, ca, arguments["federation"], now, log)


def _requests(look: Look) -> Iterator[Finding]:
    for request in look.everywhere(_REQUESTS, "--field-selector", f"spec.signerName={SIGNER}") or ():
        asks = speaker(request["spec"].get("username", ""))
        if asks is None or (request.get("status") or {}).get("conditions"):
            continue
        said = f"since {request['metadata']['creationTimestamp']} it waits to be let in by a person"
        yield warning(f"site {asks[0]}", "ApprovalPending", said, f"fedward approve site {asks[0]}")


def _is_doors(found: Mapping[str, Mapping[str, Mapping[str, str]]]) -> bool:
    return (found["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == "fedward-door"
