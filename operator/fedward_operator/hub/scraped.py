"""How a job's pods at the hub are scraped: in the clear behind their fence, or by mutual TLS instead."""

from __future__ import annotations

from fedward_operator.hub.owned import Manifest
from fedward_operator.hub.settings import HubSettings

METRICS_PORT, SECURE_METRICS_PORT = 9090, 9443

SCRAPERS_FILE = "scrapers.crt"
"""In a pod's Secret of its certificate: the authority of those who may scrape it. Its ca.crt is whom it works with."""

_VOLUME, _FOLDER = "metrics-tls", "/metrics-tls"


def arguments(settings: HubSettings) -> list[str]:
    """Say where probes and scrapers are answered."""
    told = ["--metrics", f"0.0.0.0:{METRICS_PORT}"]
    if settings.scraper_authority is not None:
        told += ["--secure-metrics", f"0.0.0.0:{SECURE_METRICS_PORT}", "--secure-metrics-tls", _FOLDER]
    return told


def ports(settings: HubSettings) -> list[Manifest]:
    """Name the container's ports for that."""
    named = [{"name": "metrics", "containerPort": METRICS_PORT}]
    if settings.scraper_authority is not None:
        named.append({"name": "secure-metrics", "containerPort": SECURE_METRICS_PORT})
    return named


def mounts(settings: HubSettings) -> list[Manifest]:
    """Give the container what `volumes` brings."""
    if settings.scraper_authority is None:
        return []
    return [{"name": _VOLUME, "mountPath": _FOLDER, "readOnly": True}]


def volumes(settings: HubSettings, secret: str) -> list[Manifest]:
    """Give the pod its certificate once more, beside another authority: no hospital's opens its metrics."""
    if settings.scraper_authority is None:
        return []
    places = {"tls.crt": "tls.crt", "tls.key": "tls.key", SCRAPERS_FILE: "ca.crt"}
    items = [{"key": key, "path": path} for key, path in places.items()]
    return [{"name": _VOLUME, "secret": {"secretName": secret, "defaultMode": 0o440, "items": items}}]


def from_scrapers(settings: HubSettings) -> list[Manifest]:
    """Make the rule, where there are scrapers, that lets them at a pod's metrics."""
    if not settings.scrapers:
        return []
    port = METRICS_PORT if settings.scraper_authority is None else SECURE_METRICS_PORT
    return [{"from": [dict(peer) for peer in settings.scrapers], "ports": [{"protocol": "TCP", "port": port}]}]


def pod_annotations(settings: HubSettings) -> Manifest:
    """Say how to scrape a pod, as many a Prometheus is configured to read it."""
    if not settings.annotate_aggregators:
        return {}
    scheme, port = ("http", METRICS_PORT) if settings.scraper_authority is None else ("https", SECURE_METRICS_PORT)
    said = {"scrape": "true", "scheme": scheme, "path": "/metrics", "port": str(port)}
    return {"annotations": {f"prometheus.io/{name}": value for name, value in said.items()}}
