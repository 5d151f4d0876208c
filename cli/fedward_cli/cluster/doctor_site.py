"""What is wrong with a hospital: its certificate, its policy, its data, its GPUs, its part in jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from fedward_cli.cluster import doctor_jobs
from fedward_cli.cluster.doctor_look import Look
from fedward_operator.checks import gpus, kinds_installed, membership, policy
from fedward_operator.checks.finding import Finding
from fedward_protocol.identity import Identity

_KINDS = ("sitejobs", "sitepolicies")


def findings(look: Look, arguments: Mapping[str, str], now: datetime) -> Iterator[Finding]:
    """Look at the site whose operator was started with these arguments."""
    namespace = look.namespace
    yield from _certificate(look, Identity(arguments["federation"], "site", arguments["site"]), now)
    yield from kinds(look, _KINDS)
    policies = look.here("sitepolicies.fedward.io")
    if policies is not None:
        yield from policy.sound(policies, namespace)
        yield gpus.visible(policies, look.everywhere("nodes"), "kubectl get nodes")
    yield from doctor_jobs.at_site(look.here("sitejobs.fedward.io") or (), namespace)


def kinds(look: Look, plurals: tuple[str, ...]) -> Iterator[Finding]:
    """Look whether the cluster knows these kinds."""
    found = look.named("customresourcedefinitions", [f"{plural}.fedward.io" for plural in plurals])
    if found is not None:
        by_plural = {name.partition(".")[0]: definition for name, definition in found.items()}
        yield from kinds_installed.installed(by_plural, plurals, "helm upgrade, with crds.enabled=true")


def _certificate(look: Look, identity: Identity, now: datetime) -> Iterator[Finding]:
    before = len(look.unseen)
    cert, ca = (look.file("fedward-gateway-tls", name) for name in ("tls.crt", "ca.crt"))
    if len(look.unseen) == before:
        log = f"kubectl logs deployment/fedward-site-operator -n {look.namespace}"
        yield membership.joined(cert, ca, identity, now, log)
