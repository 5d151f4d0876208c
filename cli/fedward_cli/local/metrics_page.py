"""`fedward run --metrics`: one page of what every process of the run counts, so that Prometheus needs one target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from prometheus_client import CONTENT_TYPE_LATEST

from fedward_cli.metrics_address import DEFAULT_ADDRESS, is_address
from fedward_cli.problems import InputError, Problem
from fedward_protocol import probes

_ANSWER_S = 2.0
"""A process that takes longer is left out: the others' numbers must be there before the scrape is given up."""
_AT_ONCE = 16


class MetricsPage:
    """Joins the pages of the processes that it follows; asked from another thread than the run's."""

    def __init__(self) -> None:
        self._addresses: tuple[str, ...] = ()

    def follow(self, addresses: Iterable[str]) -> None:
        """Show what is at these addresses, host:port, from now on; replaced as a whole, so no lock."""
        self._addresses = tuple(addresses)

    def text(self) -> str:
        """Ask every process now. One that is starting, stuck or gone is left out."""
        # Threads, because a stuck process is waited for: one after the other, two would cost the scrape.
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return join(pool.map(_ask, self._addresses))


@contextmanager
def serving(page: MetricsPage, address: str) -> Iterator[str]:
    """Answer at `address` until the block ends; gives the page's URL.

    Raises:
        InputError: the address is none, or cannot be listened on.
    """
    if not is_address(address):
        raise InputError([Problem("--metrics", (), f'"{address}" is not HOST:PORT, such as {DEFAULT_ADDRESS}')])
    paths = {"/metrics": lambda: (HTTPStatus.OK, CONTENT_TYPE_LATEST, page.text().encode())}
    try:
        # Not shared: another run of this user would get half of the scrapes.
        server = probes.serve_paths(address, paths, shares_port=False)
    except OSError as error:
        hint = f"{error}; choose another with --metrics HOST:PORT"
        raise InputError([Problem("--metrics", (), hint)]) from error
    with server:
        yield f"http://{address.rpartition(':')[0]}:{server.port}/metrics"


def join(pages: Iterable[str]) -> str:
    """Join pages of Prometheus' text format into one, where each family stands once with everybody's samples."""
    heads: dict[str, dict[str, str]] = {}
    samples: dict[str, list[str]] = {}
    for page in pages:
        name = ""
        for line in page.splitlines():
            if line.startswith(("# HELP ", "# TYPE ")):
                _, kind, name, *_ = line.split(" ", 3)
                heads.setdefault(name, {}).setdefault(kind, line)
            elif line and not line.startswith("#"):
                samples.setdefault(name, []).append(line)
    return "".join(f"{line}\n" for name, head in heads.items() for line in (*head.values(), *samples.get(name, ())))


def _ask(address: str) -> str:
    host, _, port = address.rpartition(":")
    connection = HTTPConnection(host, int(port), timeout=_ANSWER_S)
    try:
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        return response.read().decode() if response.status == HTTPStatus.OK else ""
    except (OSError, HTTPException):
        return ""
    finally:
        connection.close()
