"""What Kubernetes says is wrong with a Job's pods, in one reason."""

from __future__ import annotations

from collections.abc import Sequence

from fedward_operator.policy.pods import PodView
from fedward_operator.policy.problem import Problem

_WAITING = {
    "ErrImagePull": "ImagePullFailed",
    "ImagePullBackOff": "ImagePullFailed",
    "ErrImageNeverPull": "ImagePullFailed",
    "InvalidImageName": "ImagePullFailed",
    "ImageInspectError": "ImagePullFailed",
    "RegistryUnavailable": "ImagePullFailed",
    "SignatureValidationFailed": "ImagePullFailed",
    "CrashLoopBackOff": "CrashLoop",
    "CreateContainerConfigError": "ContainerCannotStart",
    "CreateContainerError": "ContainerCannotStart",
    "RunContainerError": "ContainerCannotStart",
    "CreateContainerNamespaceError": "ContainerCannotStart",
    "PreCreateHookError": "ContainerCannotStart",
    "PreStartHookError": "ContainerCannotStart",
    "PostStartHookError": "ContainerCannotStart",
}
_VOLUMES = ("persistentvolumeclaim", "persistent volume", "volume node affinity")


def diagnose(pods: Sequence[PodView], not_created: str | None) -> Problem | None:
    """Say what keeps a Job from running; None while its newest pod runs, or starts as it should.

    Args:
        pods: the Job's pods.
        not_created: the last thing the Job's controller said about a pod that it could not create.
    """
    if not pods:
        return explain_refusal(not_created) if not_created else None
    newest = max(pods, key=lambda pod: (not _has_ended(pod), pod.created, pod.name))
    return _of_pod(newest)


def explain_refusal(message: str) -> Problem:
    """Say why an object could not be created, from the API server's sentence."""
    if "exceeded quota" in message:
        return Problem("QuotaExceeded", message)
    if "PodSecurity" in message or "admission webhook" in message or "ValidatingAdmissionPolicy" in message:
        return Problem("AdmissionRefused", message)
    return Problem("NotCreated", message)


def _has_ended(pod: PodView) -> bool:
    return pod.phase in ("Failed", "Succeeded") or pod.deleting


def _of_pod(pod: PodView) -> Problem | None:
    if pod.reason == "NodeLost" or pod.phase == "Unknown":
        return Problem("NodeLost", pod.message or f"the node of {pod.name} is not heard any more")
    if pod.reason == "Evicted":
        return Problem("Evicted", pod.message or f"{pod.name} was evicted")
    if pod.disrupted is not None:
        return Problem("Evicted", f"{pod.name}: {pod.disrupted[1] or pod.disrupted[0]}")
    if pod.unschedulable is not None and pod.phase == "Pending":
        return _unschedulable(pod)
    if pod.terminated is not None:
        return _terminated(pod, *pod.terminated)
    if pod.waiting is not None and pod.waiting[0] in _WAITING:
        return Problem(_WAITING[pod.waiting[0]], f"{pod.name}: {pod.waiting[1] or pod.waiting[0]}")
    if pod.phase == "Failed":
        return Problem("PodFailed", pod.message or pod.reason or f"{pod.name} failed")
    return None


def _unschedulable(pod: PodView) -> Problem:
    message = pod.unschedulable or ""
    if any(words in message.lower() for words in _VOLUMES):
        return Problem("VolumePending", f"{pod.name}: {message}")
    if any("/" in name for name in _insufficient(message)):
        # With a vendor's domain it is a device plugin's, and of those a pod of ours asks for accelerators alone.
        return Problem("GpuUnschedulable", f"{pod.name}: {message}")
    return Problem("Unschedulable", f"{pod.name}: {message}")


def _insufficient(message: str) -> list[str]:
    return [part.split()[0] for part in message.split("Insufficient ")[1:] if part.split()]


def _terminated(pod: PodView, reason: str, code: int, words: str) -> Problem:
    if reason == "OOMKilled":
        return Problem("OutOfMemory", f"{pod.name} used more memory than its limit")
    last = words.strip().splitlines()[-1][:512] if words.strip() else reason
    return Problem("ContainerFailed", f"{pod.name} ended with exit code {code}: {last}")
