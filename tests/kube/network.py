"""Machines that are network namespaces: wired to each other and to this one, with a firewall that closes or cuts."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.kube.host import Host

CONSOLE = "10.200.0.254"
"""This machine's address towards the others: where kubectl and helm are run from."""

_WAN, _CONSOLE = "wan", "console"


class Namespace:
    """A machine of its own, as far as the network goes.

    Args:
        name: short; interfaces here are called after it.
        address: the machine's one address.
        pods, services: the networks of the cluster on it.
    """

    def __init__(self, name: str, address: str, pods: str, services: str) -> None:
        self.name, self.address, self.pods = name, address, pods
        enter = ("nsenter", f"--net=/var/run/netns/{name}")
        # Not `ip netns exec`, which would hide the cgroups from a kubelet.
        self.host = Host(address, services, 6443, enter)

    def make(self) -> None:
        """Make it, wired to this machine."""
        self.remove()
        _run("ip", "netns", "add", self.name)
        _run("ip", "link", "add", self.name, "type", "veth", "peer", "name", _CONSOLE, "netns", self.name)
        _run("ip", "address", "add", f"{CONSOLE}/32", "dev", self.name)
        _run("ip", "link", "set", self.name, "up")
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "address", "add", f"{self.address}/32", "dev", "lo")
        self.run("ip", "link", "set", _CONSOLE, "up")
        self.run("ip", "route", "add", f"{CONSOLE}/32", "dev", _CONSOLE, "src", self.address)
        _run("ip", "route", "add", f"{self.address}/32", "dev", self.name, "src", CONSOLE)
        self.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0")

    def wire(self, other: Namespace) -> None:
        """Lay the one line between two of them."""
        _run("ip", "link", "add", _WAN, "netns", self.name, "type", "veth", "peer", "name", _WAN, "netns", other.name)
        for one, another in ((self, other), (other, self)):
            one.run("ip", "link", "set", _WAN, "up")
            one.run("ip", "route", "add", f"{another.address}/32", "dev", _WAN, "src", one.address)

    def close(self) -> None:
        """Let no connection in from outside: each that somebody out there begins is dropped, and counted."""
        self.run("iptables", "-t", "mangle", "-I", "PREROUTING", *_begun_outside("wan-closed"), "-j", "DROP")

    def refused(self) -> int:
        """Count the packets with which somebody outside tried to begin a connection."""
        rules = self.run("iptables", "-t", "mangle", "-nvxL", "PREROUTING")
        return sum(int(line.split()[0]) for line in rules.splitlines() if "wan-closed" in line)

    def cut(self) -> None:
        """Cut the line: what is sent either way is lost without a word."""
        for chain, direction in (("PREROUTING", "-i"), ("POSTROUTING", "-o")):
            self.run("iptables", "-t", "mangle", "-I", chain, direction, _WAN, *_named("wan-cut"), "-j", "DROP")

    def mend(self) -> None:
        """Mend the line."""
        for chain, direction in (("PREROUTING", "-i"), ("POSTROUTING", "-o")):
            self.run("iptables", "-t", "mangle", "-D", chain, direction, _WAN, *_named("wan-cut"), "-j", "DROP")

    def slow_down(self, kbit_a_second: int) -> None:
        """Let no more than so much through the line from this end."""
        rate = ("rate", f"{kbit_a_second}kbit", "burst", "16kbit", "latency", "500ms")
        self.run("tc", "qdisc", "add", "dev", _WAN, "root", "tbf", *rate)

    def speed_up(self) -> None:
        """Let everything through again."""
        self.run("tc", "qdisc", "delete", "dev", _WAN, "root")

    def run(self, *command: str) -> str:
        """Run a command on that machine, and return what it printed."""
        return _run(*self.host.enter, *command)

    def remove(self) -> None:
        """Remove it, and what it was wired by, if it is there."""
        if Path(f"/var/run/netns/{self.name}").exists():
            subprocess.run(["ip", "link", "delete", self.name], capture_output=True)
            _run("ip", "netns", "delete", self.name)


def _begun_outside(name: str) -> tuple[str, ...]:
    return ("-i", _WAN, "-m", "conntrack", "--ctstate", "NEW", *_named(name))


def _named(name: str) -> tuple[str, ...]:
    return ("-m", "comment", "--comment", name)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
