"""Accelerators that a kubelet believes in: a device plugin (v1beta1) without devices behind it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from tests.kube.wire.compiled import Wire

WIRE = Wire(Path(__file__).parent / "wire" / "device_plugin.proto")
VERSION = "v1beta1"
KUBELET = "kubelet.sock"
VISIBLE = "VISIBLE_DEVICES"
"""The variable by which a container learns which devices it was given."""

LOCALHOST = ("grpc.default_authority", "localhost")
"""By itself gRPC calls a server by its socket's path, which servers in Go do not accept."""

_LOOK_S = 0.1
_ANSWER_S = 5.0


class DevicePlugin:
    """Offers devices of one extended resource to a node's kubelet, and to each kubelet that takes its place.

    Args:
        folder: the kubelet's `device-plugins`.
        resource: what the devices are called on the node.
        count: how many there are.
    """

    def __init__(self, folder: Path, resource: str = "nvidia.com/gpu", count: int = 2) -> None:
        name = resource.replace("/", "-")
        self._folder, self._resource, self._endpoint = folder, resource, f"{name}.sock"
        self._healthy = {f"{name}-{number}": True for number in range(count)}
        self._allocations: list[tuple[str, ...]] = []
        self._changed = threading.Condition()
        self._server: grpc.Server | None = None
        # A kubelet comes and goes while the test that wants it waits for something else.
        self._following = threading.Thread(target=self._follow, name=f"devices {resource}", daemon=True)
        self._stopped = threading.Event()

    @property
    def devices(self) -> list[str]:
        """Return the ids of the devices."""
        return list(self._healthy)

    @property
    def allocations(self) -> list[tuple[str, ...]]:
        """Return which devices were handed out, one entry a container, in order."""
        with self._changed:
            return list(self._allocations)

    def start(self) -> None:
        """Register with the kubelet once it is there."""
        self._following.start()

    def stop(self) -> None:
        """Be gone, as when the plugin's pod is deleted; the kubelet then takes the devices for unhealthy."""
        self._stopped.set()
        self._following.join()
        self._close()

    def set_health(self, device_id: str, healthy: bool) -> None:
        """Break a device, or mend it; the kubelet is told at once."""
        assert device_id in self._healthy, f"the devices are {self.devices}"
        with self._changed:
            self._healthy[device_id] = healthy
            self._changed.notify_all()

    def GetDevicePluginOptions(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - the wire's name
        """Want nothing in particular."""
        return WIRE.DevicePluginOptions()

    def ListAndWatch(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: N802
        """Say how each device is, now and whenever that changes."""
        context.add_callback(self._wake)
        told: dict[str, bool] = {}
        while context.is_active():
            with self._changed:
                while context.is_active() and self._healthy == told:
                    self._changed.wait()
                told = dict(self._healthy)
            states = {each: "Healthy" if healthy else "Unhealthy" for each, healthy in told.items()}
            yield WIRE.ListAndWatchResponse(devices=[WIRE.Device(ID=each, health=states[each]) for each in states])

    def Allocate(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Hand devices out to the containers of a pod; none that is broken or unknown."""
        wanted = [tuple(container.devices_ids) for container in request.container_requests]
        with self._changed:
            broken = [each for container in wanted for each in container if not self._healthy.get(each)]
            if not broken:
                self._allocations += wanted
        if broken:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"no such device, or broken: {', '.join(broken)}")
        responses = [WIRE.ContainerAllocateResponse(envs={VISIBLE: ",".join(each)}) for each in wanted]
        return WIRE.AllocateResponse(container_responses=responses)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _follow(self) -> None:
        known: tuple[int, int] | None = None
        while not self._stopped.wait(_LOOK_S):
            found = self._kubelet()
            if found is None or found == known:
                continue
            # A kubelet that starts empties the folder first, our socket included.
            self._close()
            self._server = self._serve()
            if self._register():
                known = found

    def _kubelet(self) -> tuple[int, int] | None:
        """Tell one kubelet from the next by its socket."""
        try:
            status = (self._folder / KUBELET).stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_ctime_ns

    def _serve(self) -> grpc.Server:
        server = grpc.server(ThreadPoolExecutor(max_workers=4))
        server.add_generic_rpc_handlers([WIRE.served_by(self, "DevicePlugin")])
        server.add_insecure_port(f"unix:{self._folder / self._endpoint}")
        server.start()
        return server

    def _register(self) -> bool:
        """Make ourselves known; False where nobody answers, yet or any more."""
        request = WIRE.RegisterRequest(version=VERSION, endpoint=self._endpoint, resource_name=self._resource)
        with grpc.insecure_channel(f"unix:{self._folder / KUBELET}", options=[LOCALHOST]) as channel:
            try:
                WIRE.call(channel, "Registration", "Register")(request, timeout=_ANSWER_S)
            except grpc.RpcError as error:
                if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                    return False
                raise
        return True

    def _close(self) -> None:
        if self._server is not None:
            self._server.stop(None).wait()
            self._server = None
