"""The proof that an installation works: a project of its own, and in it a workload that the product starts, on a GPU where one is free."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from fairlead.install.units import trouble_of
from fairlead.kube.errors import AlreadyExists
from fairlead.objects.fields import GPU_RESOURCE, PROJECT, QUEUE, QUEUE_OLD
from fairlead.preflight.gather.api import Api, path_of
from fairlead.preflight.gather.made import not_copied
from fairlead.preflight.gather.trials import last_words
from fairlead.runtime.errors import Denied, FairleadError, NotFound

Document = Mapping[str, Any]

NAME: Final = "fairlead-verify"
NAMESPACE: Final = f"runai-{NAME}"
_OURS: Final = "fairlead.dev/v1alpha1"
_GPU, _PLAIN = "gpu", "plain"
"""Names of its pods."""
_POLL: Final = 1.0
_POD_SECONDS: Final = 600
_SMALL: Final = {"cpu": "20m", "memory": "96Mi"}


class VerifyImage(Struct, frozen=True, kw_only=True):
    """The image of the workload: the product's own. `namespace`: where the product is, and its pull secrets."""

    reference: str
    policy: str
    namespace: str
    secrets: tuple[str, ...] = ()


class Verifier:
    """Proves it once. `scheduler`: the name by which pods ask for it."""

    def __init__(
        self,
        api: Api,
        image: VerifyImage,
        scheduler: str,
        tell: Callable[[str], None],
        seconds: float,
        *,
        makes_namespace: bool = False,
    ) -> None:
        """`makes_namespace`: the controllers make none, so its own is made here, by whoever installs, if that may be."""
        self._makes_namespace = makes_namespace
        self._has_made = False
        self._api = api
        self._image = image
        self._scheduler = scheduler
        self._tell = tell
        self._seconds = seconds

    def _failed(self, how: str, why: str) -> FairleadError:
        what = f"a workload {how}" if how else "a workload"
        return FairleadError(
            f"Installed, but not proven: {what} did not run: {why or 'no reason is told'}.",
            hint=f"`kubectl -n {self._image.namespace} logs deployment/fairlead-scheduler` says what the scheduler did.",
            code="not-proven",
        )

    async def verify(self) -> str:
        """What was seen, as a sentence. Raises: FairleadError where the workload did not run."""
        async with self._project():
            if await self._has_gpus():
                pod, why = await self._ended(_GPU, {GPU_RESOURCE: "1"})
                if pod is not None and _ran(pod):
                    return f"a workload ran on one GPU of {_node(pod)}" + _of_device(last_words(pod))
                if pod is None or not _is_waiting(pod):
                    raise self._failed("with one GPU", why)
                self._tell(f"No GPU is free for a workload ({why}): one without is tried.")
            pod, why = await self._ended(_PLAIN, {})
            if pod is None or not _ran(pod):
                raise self._failed("without GPUs", why)
            return f"a workload ran on {_node(pod)}, without a GPU"

    async def _has_gpus(self) -> bool:
        nodes = await self._api.list("v1", "nodes")
        return any(int((node["status"].get("allocatable") or {}).get(GPU_RESOURCE, 0)) for node in nodes)

    @contextlib.asynccontextmanager
    async def _project(self) -> AsyncIterator[None]:
        """There with its namespace until the end of the block."""
        await self._take_away()  # of a run that was killed
        try:
            for kind, plural, spec in (
                ("Department", "departments", {}),
                ("Project", "projects", {"department": NAME}),
            ):
                body = {"apiVersion": _OURS, "kind": kind, "metadata": {"name": NAME}, "spec": spec}
                with contextlib.suppress(AlreadyExists):
                    await self._api.call("POST", path_of(_OURS, plural), body)
            if self._makes_namespace:
                await self._make_namespace()
            await self._until_ready()
            for secret in self._image.secrets:
                await not_copied(self._api, secret, self._image.namespace, NAMESPACE)
            yield
        finally:
            await self._take_away()

    @property
    def _is_theirs(self) -> bool:
        """Whether the namespace is made by an administrator, or waited for."""
        return self._makes_namespace and not self._has_made

    async def _make_namespace(self) -> None:
        """Where an administrator made it, or has to, nothing is done: what is missing is told by the project."""
        labels = {PROJECT: NAME, QUEUE: NAME, QUEUE_OLD: NAME}
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
        with contextlib.suppress(AlreadyExists, Denied):
            await self._api.call("POST", path_of("v1", "namespaces"), body)
            self._has_made = True

    async def _until_ready(self) -> None:
        end = self._api.clock.monotonic() + self._seconds
        path, told = path_of(_OURS, "projects", NAME), ""
        while True:
            status = (await self._api.get(path)).get("status") or {}
            if (message := status.get("message") or "") and message != told and self._is_theirs:
                self._tell(f"Its project waits: {message}")
                told = message
            with contextlib.suppress(NotFound):
                await self._api.get(path_of("v1", "serviceaccounts", "default", NAMESPACE))
                if status.get("phase") == "Ready":
                    return
            if self._api.clock.monotonic() > end:
                raise self._failed("", status.get("message") or "the controllers made no namespace for its project")
            await self._api.clock.sleep(_POLL)

    async def _ended(self, name: str, devices: Mapping[str, str]) -> tuple[Document | None, str]:
        """(the pod at its end, or as it was last; why it did not run)."""
        path, pod, why = path_of("v1", "pods", name, NAMESPACE), None, ""
        try:
            await self._api.call("POST", path_of("v1", "pods", namespace=NAMESPACE), self._pod(name, devices))
        except FairleadError as error:
            return None, f"its pod is refused: {error}"
        end = self._api.clock.monotonic() + self._seconds
        while self._api.clock.monotonic() < end:
            pod = await self._api.get(path)
            if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
                break
            why = _why(pod) or why
            await self._api.clock.sleep(_POLL)
        return pod, why or _why(pod or {})

    def _pod(self, name: str, devices: Mapping[str, str]) -> dict[str, Any]:
        words = ["probe", "gpu"] if devices else ["--version"]
        container = {
            "name": "verify",
            "image": self._image.reference,
            "imagePullPolicy": self._image.policy,
            "args": words,
            "resources": {"requests": _SMALL, "limits": {"memory": "192Mi", **devices}},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
            "terminationMessagePolicy": "FallbackToLogsOnError",
        }
        confined = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/name": NAME}},
            "spec": {
                "schedulerName": self._scheduler,
                "restartPolicy": "Never",
                "activeDeadlineSeconds": _POD_SECONDS,
                "automountServiceAccountToken": False,
                "terminationGracePeriodSeconds": 1,
                "imagePullSecrets": [{"name": each} for each in self._image.secrets],
                "securityContext": confined,
                "tolerations": [{"operator": "Exists"}],
                "containers": [container],
                "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "16Mi"}}],
            },
        }

    async def _take_away(self) -> None:
        """The project first, else its namespace would be made again. A namespace that an administrator made stays, without our pods
        and copies of pull secrets.
        """
        of_project = (path_of(_OURS, "projects", NAME), path_of(_OURS, "departments", NAME))
        inside = [path_of("v1", "pods", each, NAMESPACE) for each in (_GPU, _PLAIN)]
        inside += [path_of("v1", "secrets", each, NAMESPACE) for each in self._image.secrets]
        for path in (*of_project, *(inside if self._is_theirs else (path_of("v1", "namespaces", NAMESPACE),))):
            with contextlib.suppress(NotFound):
                await self._api.call("DELETE", path)
        if self._is_theirs:
            return
        end = self._api.clock.monotonic() + self._seconds
        with contextlib.suppress(NotFound):
            while self._api.clock.monotonic() < end:
                await self._api.get(path_of("v1", "namespaces", NAMESPACE))
                await self._api.clock.sleep(_POLL)


def _ran(pod: Document) -> bool:
    status = pod.get("status") or {}
    return status.get("phase") == "Succeeded"


def _is_waiting(pod: Document) -> bool:
    return not (pod.get("spec") or {}).get("nodeName")


def _node(pod: Document) -> str:
    return str((pod.get("spec") or {}).get("nodeName") or "a node")


def _of_device(told: Mapping[str, Any]) -> str:
    """Nothing where the container saw no NVIDIA library: devices may be simulated."""
    if told.get("cuda_init") == 0:
        return ", and CUDA works in it"
    return ", but its container saw no NVIDIA driver: the device is simulated, or the container stack is not set up"


def _why(pod: Document) -> str:
    """What holds it up or ended it, as far as it says."""
    for container in (pod.get("status") or {}).get("containerStatuses") or ():
        ended = (container.get("state") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            return f"it ended with {ended['exitCode']}: {str(ended.get('message', '')).strip()[-300:]}"
    return trouble_of(pod) or ("no scheduler has looked at it" if _is_waiting(pod) else "")
