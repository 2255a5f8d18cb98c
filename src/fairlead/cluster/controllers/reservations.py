"""Reservation pods: each holds one whole device of a node, and says which, for the pods that share it.

The kubelet alone chooses devices, so a shared one is asked of it as anybody asks: by a pod that wants one GPU and does nothing. Its name
follows from the group, so that making it twice conflicts instead of leaking. The node's agent writes on it which device it got.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import Final

from msgspec import Struct

from fairlead.kube.cache import Cache, Key
from fairlead.kube.client import Client
from fairlead.kube.errors import AlreadyExists
from fairlead.objects import fields, kinds
from fairlead.objects.crds import OURS
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.pod import Container, LocalReference, Pod, PodSpec, ResourceRequirements, Toleration, has_ended
from fairlead.runtime.errors import Conflict, NotFound
from fairlead.runtime.logs import logger

GRACE_SECONDS: Final = 1
"""The container does nothing that needs to be ended in order; not 0: the object stays until the device is free again."""


class ReservationOptions(Struct, frozen=True, kw_only=True):
    """What the pods are made of."""

    namespace: str = "fairlead-reservation"
    foreign_namespaces: tuple[str, ...] = ()
    """Where those of other schedulers are: their devices are shared on, they are never ended."""
    image: str
    command: tuple[str, ...] = ()
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    priority_class: str = ""
    timeout: float = 60.0
    """Seconds within which a node tells which device it gave."""


class NoReservation(Exception):
    """The node gives no device for the group; the text says why."""


class Reservations:
    """Makes them, reads their devices, ends them. Whoever calls holds the node's lock."""

    def __init__(self, client: Client, options: ReservationOptions) -> None:
        self._client = client
        self.options = options
        self.pods: Cache[Pod] = Cache(client, kinds.POD, labels=fields.GPU_GROUP)
        """Reservation pods of all namespaces; pods that carry their group as a label, as KAI Scheduler's do, are among them."""
        self._by_group: defaultdict[str, set[Key]] = defaultdict(set)
        self._log = logger("reservations")
        self.pods.on_change(self._index)

    def of(self, group: str) -> list[Pod]:
        """The group's reservation pods as the cache shows them: the one named after it first, then those that tell their device."""
        found = [self.pods.items()[key] for key in self._by_group.get(group, ())]
        name = name_of(group)
        return sorted(found, key=lambda pod: (pod.metadata.name != name, not device_of(pod), pod.metadata.name))

    def groups(self) -> tuple[str, ...]:
        """Groups for which there is a reservation pod."""
        return tuple(sorted(group for group, keys in self._by_group.items() if keys))

    async def device(self, group: str, node: str) -> str:
        """UUID of the group's device; empty while the node has not told it. Makes the reservation pod where there is none.

        Raises: NoReservation where the node cannot give one, or the group is another node's.
        """
        if not self.options.image:
            raise NoReservation(
                "GPUs cannot be shared here: the settings name no image for reservation pods (reservation.image)"
            )
        pod = await self._find(group)
        if pod is None:
            return await self._make(group, node)
        if pod.metadata.deletion_timestamp:
            return ""  # its end is heard of
        if has_ended(pod):
            await self.end(pod)
            raise NoReservation(f"{node} has no GPU to give for sharing: {pod.status.message or pod.status.reason}")
        if pod.spec.node_name != node:
            raise NoReservation(f"the shared GPU {group} is on {pod.spec.node_name}, not on {node}")
        return device_of(pod)

    async def is_there(self, group: str) -> bool:
        """Whether some reservation pod holds the group's device, by the server's word."""
        pod = await self._find(group)
        return pod is not None and not has_ended(pod)

    async def end(self, pod: Pod) -> None:
        """Gives the device back; nothing is done to those of other schedulers."""
        meta = pod.metadata
        if meta.namespace != self.options.namespace or meta.deletion_timestamp:
            return
        self._log.info(
            "reservation.ends", pod=meta.name, group=meta.labels.get(fields.GPU_GROUP), node=pod.spec.node_name
        )
        try:
            await self._client.delete(kinds.POD, meta.name, meta.namespace, uid=meta.uid, grace_seconds=GRACE_SECONDS)
        except (NotFound, Conflict):
            return

    async def _find(self, group: str) -> Pod | None:
        """By the server's word: ours by its name, else one that the cache shows."""
        own = await self._client.find(kinds.POD, name_of(group), self.options.namespace)
        if own is not None:
            return own
        for pod in self.of(group):
            found = await self._client.find(kinds.POD, pod.metadata.name, pod.metadata.namespace)
            if found is not None:
                return found
        return None

    async def _make(self, group: str, node: str) -> str:
        try:
            await self._client.create(kinds.POD, reservation(group, node, self.options), self.options.namespace)
        except AlreadyExists:
            return ""
        except NotFound as error:
            raise NoReservation(
                f"GPUs cannot be shared here: the namespace {self.options.namespace} for reservation pods does not exist "
                "(the chart makes it)"
            ) from error
        self._log.info("reservation.made", pod=name_of(group), group=group, node=node)
        return ""

    def _index(self, key: Key, before: Pod | None, after: Pod | None) -> None:
        places = (self.options.namespace, *self.options.foreign_namespaces)
        for pod in filter(None, (before, after)):
            self._by_group[pod.metadata.labels.get(fields.GPU_GROUP, "")].discard(key)
        if after is not None and key.namespace in places:
            self._by_group[after.metadata.labels.get(fields.GPU_GROUP, "")].add(key)


def device_of(pod: Pod) -> str:
    """UUID of the device a reservation pod got; empty while its node has not told it."""
    return pod.metadata.annotations.get(fields.RESERVED_DEVICE, "")


def name_of(group: str) -> str:
    """Name of a group's reservation pod."""
    return f"gpu-{hashlib.sha256(group.encode()).hexdigest()[:20]}"


def reservation(group: str, node: str, options: ReservationOptions) -> Pod:
    """A pod that asks the node for one GPU, and runs there whatever the node is tainted with: its device is in use."""
    confined = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    one = ResourceRequirements(
        requests={fields.GPU_RESOURCE: "1", "cpu": "1m", "memory": "16Mi"},
        limits={fields.GPU_RESOURCE: "1", "memory": "64Mi"},
    )
    container = Container(
        name="reservation",
        image=options.image,
        image_pull_policy=options.pull_policy,
        command=options.command,
        resources=one,
        security_context=confined,
    )
    return Pod(
        metadata=ObjectMeta(
            name=name_of(group),
            namespace=options.namespace,
            labels={fields.GPU_GROUP: group, OURS[0]: OURS[1]},
            annotations={"karpenter.sh/do-not-disrupt": "true"},
        ),
        spec=PodSpec(
            containers=(container,),
            node_name=node,
            tolerations=(Toleration(operator="Exists"),),
            priority_class_name=options.priority_class,
            image_pull_secrets=tuple(LocalReference(name=name) for name in options.pull_secrets),
            automount_service_account_token=False,
            termination_grace_period_seconds=GRACE_SECONDS,
        ),
    )
