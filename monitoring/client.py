"""Questions to a Prometheus, over its HTTP API."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_ANSWER_S = 30.0


class PrometheusError(Exception):
    """It does not start, or does not answer as it should; the text says what it said."""


@dataclass(frozen=True, slots=True)
class Series:
    """A series of an answer: its labels, and (Unix seconds, value) points in the order of time."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]

    @property
    def value(self) -> float:
        """The latest."""
        return self.points[-1][1]


class Client:
    """Asks the Prometheus at host:port."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(self, expression: str, when: float | None = None) -> list[Series]:
        """Evaluate PromQL at a moment, Unix seconds, or now.

        Raises:
            PrometheusError: it is no PromQL, or takes too long.
        """
        moment = {} if when is None else {"time": when}
        answer = self._get("/api/v1/query", query=expression, **moment)
        if answer["resultType"] == "scalar":
            return [_series({}, [answer["result"]])]
        return [_series(each["metric"], [each["value"]]) for each in answer["result"]]

    def ask_over(self, expression: str, begin: float, end: float, step_s: float) -> list[Series]:
        """Evaluate PromQL at each step from `begin` to `end`, Unix seconds.

        Raises:
            PrometheusError: it is no PromQL, or takes too long.
        """
        answer = self._get("/api/v1/query_range", query=expression, start=begin, end=end, step=step_s)
        return [_series(each["metric"], each["values"]) for each in answer["result"]]

    def values(self, label: str, series: str) -> list[str]:
        """List a label's values over some series.

        Raises:
            PrometheusError: it is no selector.
        """
        found: list[str] = self._get(f"/api/v1/label/{label}/values", **{"match[]": series})
        return found

    def firing(self) -> set[str]:
        """Name the alerts that fire now."""
        alerts = self._get("/api/v1/alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def is_ready(self) -> bool:
        """Tell whether it answers."""
        try:
            return self._fetch("/-/ready")[0] == http.HTTPStatus.OK
        except OSError:
            return False

    def _get(self, path: str, **parameters: Any) -> Any:
        status, body = self._fetch(f"{path}?{urllib.parse.urlencode(parameters)}")
        document = json.loads(body) if body.startswith(b"{") else {}
        if document.get("status") != "success":
            raise PrometheusError(f"{parameters}: HTTP {status} {document.get('error', body[:200])}")
        return document["data"]

    def _fetch(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.address, timeout=_ANSWER_S)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def _series(labels: Mapping[str, str], points: Iterable[Sequence[Any]]) -> Series:
    return Series(labels, [(float(when), float(value)) for when, value in points])
