"""What the binder was asked to do, and how far it got: a pod it is at work on is as good as placed."""

from __future__ import annotations

import msgspec

from fairlead.kube.cache import Cache
from fairlead.kube.client import Client
from fairlead.model import GpuGroup, NodeName, Pod, PodStatus
from fairlead.objects import builtin, kai, kinds
from fairlead.objects import pod as objects


class Requests:
    """A cache of BindRequests, and the questions that are asked of it."""

    def __init__(self, client: Client) -> None:
        self.cache: Cache[kai.BindRequest] = Cache(client, kinds.BIND_REQUEST)

    def failed(self) -> list[kai.BindRequest]:
        """Those that the binder could not do."""
        return [request for request in self.cache if request.status.phase == "Failed"]

    def of(self, pod: objects.Pod) -> kai.BindRequest | None:
        """What the binder is asked to do for the pod, or could not do."""
        request = self.cache.get(pod.metadata.name, pod.metadata.namespace)
        return request if request and kai.is_for(request, pod) else None

    def placed(self, pod: objects.Pod, value: Pod, nodes: Cache[builtin.Node]) -> Pod:
        """The pod at the place the binder was asked to give it, if it was and the node is still there."""
        request = self.of(pod)
        if request is None or request.status.phase == "Failed" or nodes.get(request.spec.selected_node) is None:
            return value
        shared = tuple(GpuGroup(g) for g in request.spec.selected_gpu_groups)
        node = NodeName(request.spec.selected_node)
        return msgspec.structs.replace(value, status=PodStatus.BINDING, node=node, shared=shared)
