"""Which images there are, and what goes into each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

RUNTIME_PYTHON = "3.11"
"""Debian bookworm's."""

PLATFORM = "x86_64-manylinux_2_28"


@dataclass(frozen=True, slots=True)
class Drop:
    """Files of the dependencies that the part does without, as patterns of paths; a folder goes with all below it."""

    patterns: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Part:
    """One image: its Dockerfile, its locked dependencies and the packages of ours that it has."""

    name: str
    dockerfile: str
    target: str | None = None
    lock: str | None = None
    packages: tuple[str, ...] = ()
    """Folders and modules of the wheel, as paths; nothing else of it but its metadata goes in."""
    drops: tuple[Drop, ...] = ()
    limit_mb: int | None = None
    """What the image may measure, uncompressed."""

    @property
    def image(self) -> str:
        """Name of the image, as the charts have it."""
        return f"fedward-{self.name}"


_NOT_RUN = Drop(
    ("bin", "**/tests", "**/*.pyi"),
    "Scripts name the building machine's Python; tests and stubs are never imported.",
)
_NO_COMPILER = Drop(
    (
        "triton",
        "triton-*.dist-info",
        "setuptools",
        "setuptools-*.dist-info",
        "_distutils_hack",
        "distutils-precedence.pth",
    ),
    "Only torch.compile and extensions need them, and both need a C compiler, which is not there either.",
)
_NEWER_PYTHON = Drop(("torch/testing/_internal/py312_intrinsics.py",), "Written in the syntax of a later Python.")
_PROFILING = Drop(
    ("cuda", "cuda_bindings-*.dist-info", "cuda_pathfinder-*.dist-info"),
    "Bindings for profiling and for notes on CUDA's graphs, which nothing here asks for.",
)
_LINKED_AT_BUILD_TIME = Drop(
    ("**/*.a", "torch/include", "torch/share/cmake", "torch/bin/protoc*", "nvidia/**/include"),
    "Headers, static libraries and a code generator: for building against torch and CUDA.",
)
_NOT_LOADED = Drop(
    (
        "nvidia/cu13/lib/libcheckpoint.so",
        "nvidia/cu13/lib/libcufftw.so.*",
        "nvidia/cu13/lib/libcusolverMg.so.*",
        "nvidia/cu13/lib/libnvblas.so.*",
        "nvidia/cu13/lib/libnvperf_*.so",
        "nvidia/cu13/lib/libnvrtc*.alt.so.*",
        "nvidia/cu13/lib/libpcsamplingutil.so",
    ),
    "Libraries of CUDA that neither torch nor what it loads asks for.",
)

PARTS: Mapping[str, Part] = {
    part.name: part
    for part in (
        Part(
            "operator",
            "operator/Dockerfile",
            lock="operator",
            packages=("fedward_operator", "fedward_protocol"),
            drops=(_NOT_RUN,),
            limit_mb=150,
        ),
        Part(
            "aggregator",
            "server_image/Dockerfile",
            lock="server",
            packages=("fedward_protocol", "fedward_server"),
            drops=(_NOT_RUN,),
            limit_mb=200,
        ),
        Part(
            "gateway",
            "node_image/Dockerfile",
            target="gateway",
            lock="gateway",
            packages=("fedward_node", "fedward_protocol"),
            drops=(_NOT_RUN, Drop(("fedward_node/trainer",), "The trainer's.")),
            limit_mb=200,
        ),
        Part(
            "tracker",
            "tracker_image/Dockerfile",
            lock="tracker",
            # It makes what the command line makes of a job, from what the aggregator keeps: of both it has that alone.
            packages=(
                "fedward_cli/__init__.py",
                "fedward_cli/cluster/__init__.py",
                "fedward_cli/cluster/ended_job.py",
                "fedward_cli/local/__init__.py",
                "fedward_cli/local/attempt.py",
                "fedward_cli/local/delivery.py",
                "fedward_cli/local/folder.py",
                "fedward_cli/local/history.py",
                "fedward_cli/local/monai_bundle.py",
                "fedward_cli/local/observe.py",
                "fedward_cli/local/outcome.py",
                "fedward_cli/problems.py",
                "fedward_cli/report",
                "fedward_cli/results.py",
                "fedward_cli/tracking",
                "fedward_operator/__init__.py",
                "fedward_operator/api",
                "fedward_operator/hub/__init__.py",
                "fedward_operator/hub/findings.py",
                "fedward_protocol",
                "fedward_server/__init__.py",
                "fedward_server/attendance.py",
                "fedward_server/events.py",
                "fedward_server/export.py",
                "fedward_server/history.py",
                "fedward_server/journal.py",
                "fedward_server/messages.py",
                "fedward_server/rounds",
                "fedward_server/status.py",
            ),
            drops=(_NOT_RUN,),
            limit_mb=200,
        ),
        Part("door", "door_image/Dockerfile", limit_mb=100),
        Part(
            "trainer",
            "node_image/Dockerfile",
            target="trainer",
            lock="node",
            packages=("fedward_node", "fedward_protocol"),
            drops=(
                _NOT_RUN,
                _NO_COMPILER,
                _NEWER_PYTHON,
                _PROFILING,
                _LINKED_AT_BUILD_TIME,
                _NOT_LOADED,
                Drop(("fedward_node/gateway",), "The gateway's."),
            ),
            limit_mb=4200,
        ),
    )
}
"""In the order of building: the largest last."""
