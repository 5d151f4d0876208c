"""What a kubelet hears of the devices that the end-to-end tests make up."""

from __future__ import annotations

import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from tests.kube.device_plugin import KUBELET, LOCALHOST, VERSION, VISIBLE, WIRE, DevicePlugin
from tests.kube.waiting import wait_until

MIG = "nvidia.com/mig-1g.10gb"


class Kubelet:
    """The part of a kubelet that speaks to device plugins."""

    def __init__(self, folder):
        self.folder, self.health, self.registered = folder, {}, []
        for left in folder.iterdir():
            left.unlink()
        self._server = grpc.server(ThreadPoolExecutor(max_workers=2))
        self._server.add_generic_rpc_handlers([WIRE.served_by(self, "Registration")])
        self._server.add_insecure_port(f"unix:{folder / KUBELET}")
        self._server.start()

    def Register(self, request, context):  # noqa: N802 - the wire's name
        self.registered.append((request.version, request.resource_name))
        self._channel = grpc.insecure_channel(f"unix:{self.folder / request.endpoint}", options=[LOCALHOST])
        self._call("GetDevicePluginOptions")(WIRE.Empty(), timeout=5)
        threading.Thread(target=self._listen, daemon=True).start()
        return WIRE.Empty()

    def _call(self, method):
        return WIRE.call(self._channel, "DevicePlugin", method)

    def _listen(self):
        try:
            for said in self._call("ListAndWatch")(WIRE.Empty()):
                self.health = {device.ID: device.health for device in said.devices}
        except grpc.RpcError:
            self.health = dict.fromkeys(self.health, "Unhealthy")

    def allocate(self, *containers):
        wanted = [WIRE.ContainerAllocateRequest(devices_ids=each) for each in containers]
        answer = self._call("Allocate")(WIRE.AllocateRequest(container_requests=wanted), timeout=5)
        return [dict(each.envs) for each in answer.container_responses]

    def hears(self, **count):
        """Wait until so many devices are said to be healthy, and so many not."""
        wait_until("the kubelet hears it", self._counts, 10, is_it=lambda seen: seen == count)

    def _counts(self):
        states = list(self.health.values())
        return {state: states.count(state) for state in set(states)}

    def stop(self):
        self._server.stop(None).wait()
        if self.registered:
            self._channel.close()


@pytest.fixture
def folder():
    # A socket's path may have a hundred characters at most, and pytest's own folders are long.
    with tempfile.TemporaryDirectory(prefix="fedward-") as made:
        yield Path(made)


@pytest.fixture
def plugin(folder):
    made = DevicePlugin(folder, MIG, 2)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def kubelet(folder, plugin):
    made = Kubelet(folder)
    made.hears(Healthy=2)
    yield made
    made.stop()


def test_a_kubelet_hears_of_every_device_under_the_resources_name(kubelet, plugin):
    assert kubelet.registered == [(VERSION, MIG)]
    assert sorted(kubelet.health) == plugin.devices
    assert all(len(device) <= 63 for device in plugin.devices)


def test_a_container_is_told_which_devices_it_was_given(kubelet, plugin):
    first, second = plugin.devices
    assert kubelet.allocate([first], [second]) == [{VISIBLE: first}, {VISIBLE: second}]
    assert kubelet.allocate([first, second]) == [{VISIBLE: f"{first},{second}"}]
    assert plugin.allocations == [(first,), (second,), (first, second)]


def test_a_device_that_breaks_is_not_handed_out_until_it_is_mended(kubelet, plugin):
    first, second = plugin.devices
    plugin.set_health(first, False)
    kubelet.hears(Healthy=1, Unhealthy=1)
    assert kubelet.health[first] == "Unhealthy"
    with pytest.raises(grpc.RpcError, match=first):
        kubelet.allocate([second, first])
    assert plugin.allocations == []
    plugin.set_health(first, True)
    kubelet.hears(Healthy=2)
    kubelet.allocate([first])
    assert plugin.allocations == [(first,)]


def test_a_kubelet_that_is_started_again_hears_the_present_state(kubelet, plugin, folder):
    kubelet.stop()
    plugin.set_health(plugin.devices[1], False)
    again = Kubelet(folder)
    again.hears(Healthy=1, Unhealthy=1)
    assert again.registered == [(VERSION, MIG)]
    again.stop()


def test_a_plugin_that_stops_takes_its_devices_with_it(folder):
    plugin, kubelet = DevicePlugin(folder), Kubelet(folder)
    plugin.start()
    kubelet.hears(Healthy=2)
    plugin.stop()
    kubelet.hears(Unhealthy=2)
    kubelet.stop()


def test_a_plugin_that_never_meets_a_kubelet_stops_all_the_same(folder):
    plugin = DevicePlugin(folder)
    plugin.start()
    plugin.stop()
    assert not list(folder.iterdir())
