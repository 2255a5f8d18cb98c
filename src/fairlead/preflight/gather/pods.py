"""What preflight puts into the cluster, as documents. Pure.

Everything is in one namespace of its own and belongs to one Job. Its pod has the namespace deleted after a while, should this program
have been killed; where that pod does not run, the Job ends by itself, is then removed by the cluster's own controllers, and takes with
it what belongs to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from fairlead.objects.times import text_of
from fairlead.preflight.gather.cluster import EXPIRES, PART, PROBE_LABEL
from fairlead.preflight.gather.look import PORT

Document = dict[str, Any]

OWNER: Final = "preflight"
KEEPER: Final = "keeper"
"""Name of the account of the Job's pod, of its Role and of what binds them."""
SERVICE: Final = "probes"
WAY_IN: Final = "way-in"
"""Name of the Ingress, and of the Service behind it, that lead to the probes of a run."""
ANSWERS: Final = "fairlead.dev/preflight-answers"
"""On pods that answer requests."""
NODE_ANNOTATION: Final = "fairlead.dev/node"
_USER: Final = 10001
_RESEARCHER: Final = 1000
_LEVELS: Final = ("enforce", "audit", "warn")


class Place(Struct, frozen=True, kw_only=True):
    """Where the pods of one run go, and how. `image`: with which; `owner`: the Job's UID; `expires`: seconds since the epoch."""

    run: str
    namespace: str
    image: str
    expires: float
    seconds: int
    """So long a pod runs at most."""
    owner: str = ""
    pull_secret: str = ""
    no_secret: str = ""
    """Why there is no pull secret though one is named: `missing`, or `unread` where it may not be read."""
    pulls: bool = True
    """Whether each node also has to fetch the image's manifest, though it has the image."""


def namespace(place: Place, level: str = "restricted", goes_with: Document | None = None) -> Document:
    """The namespace; its pods run restricted. `goes_with`: another namespace, as it is in the cluster, at whose end this one ends."""
    labels = {f"pod-security.kubernetes.io/{each}": level for each in _LEVELS}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": place.namespace,
            "labels": {**_labels(place), **labels},
            "annotations": {EXPIRES: text_of(place.expires)},
            **({"ownerReferences": [_of_namespace(goes_with)]} if goes_with else {}),
        },
    }


def _of_namespace(there: Document) -> Document:
    meta = there["metadata"]
    return {"apiVersion": "v1", "kind": "Namespace", "name": meta["name"], "uid": meta["uid"]}


def owner(place: Place, *, keeps: bool) -> Document:
    """The Job to which everything belongs. `keeps`: whether its pod may have the namespace deleted; where it may not, there is none."""
    words = ["probe", "keep", place.namespace, "--after", str(place.seconds)]
    keeper = {"serviceAccountName": KEEPER, "automountServiceAccountToken": True} if keeps else {}
    spec = {
        "containers": [{**_container(place, KEEPER, words), "volumeMounts": []}],
        "imagePullSecrets": _pull_secrets(place),
        **_confined(),
        **keeper,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _meta(place, OWNER, owned=False),
        "spec": {
            "parallelism": int(keeps),
            "activeDeadlineSeconds": place.seconds + _FOR_THE_KEEPER,
            "ttlSecondsAfterFinished": 30,
            "template": {"metadata": {"labels": _labels(place)}, "spec": spec},
        },
    }


_FOR_THE_KEEPER: Final = 60
"""So much longer the Job lives than a run, for its pod to be heard. Units: seconds."""


def keeper_rights(place: Place) -> tuple[tuple[str, str, Document], ...]:
    """(group and version, plural, object) of what lets the Job's pod have this one namespace deleted."""
    rbac = "rbac.authorization.k8s.io"
    meta = _meta(place, KEEPER, owned=False)
    rule = {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": [place.namespace], "verbs": ["delete"]}
    account = {"kind": "ServiceAccount", "name": KEEPER, "namespace": place.namespace}
    role = {"apiGroup": rbac, "kind": "Role", "name": KEEPER}
    return (
        ("v1", "serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}),
        (f"{rbac}/v1", "roles", {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": meta, "rules": [rule]}),
        (
            f"{rbac}/v1",
            "rolebindings",
            {
                "apiVersion": f"{rbac}/v1",
                "kind": "RoleBinding",
                "metadata": meta,
                "roleRef": role,
                "subjects": [account],
            },
        ),
    )


def open_policy(place: Place) -> Document:
    """Lets probes speak to each other and to the outside where a namespace is closed by default."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _meta(place, "probes"),
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{}]},
    }


def service(place: Place) -> Document:
    """Names for single probes: NAME.probes.NAMESPACE.svc."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _meta(place, SERVICE),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {PROBE_LABEL: place.run},
            "ports": [{"name": "probe", "port": PORT}],
        },
    }


def answering(place: Place) -> Document:
    """The Service of the probes alone, for an Ingress."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _meta(place, WAY_IN),
        "spec": {"selector": {ANSWERS: place.run}, "ports": [{"name": "probe", "port": 80, "targetPort": PORT}]},
    }


def way_in(place: Place, host: str, class_: str, path: str) -> Document:
    """An Ingress that leads one path of a public name to the probes. `class_`: empty for the default."""
    backend = {"service": {"name": WAY_IN, "port": {"name": "probe"}}}
    rule = {"host": host, "http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": _meta(place, WAY_IN),
        "spec": {**({"ingressClassName": class_} if class_ else {}), "rules": [rule]},
    }


def probe(place: Place, node: str, index: int) -> Document:
    """The probe of a node: no rights, no token, nothing of the node but what every pod sees."""
    name = probe_name(node, index)
    containers = [_container(place, "probe", ["probe", "serve"])]
    if place.pulls:
        containers.append(_container(place, "pull", ["probe", "idle"], policy="Always"))
    pod = _pod(
        place,
        name,
        {
            "nodeName": node,
            "hostname": name,
            "subdomain": SERVICE,
            "containers": containers,
            "volumes": [_scratch()],
            **_confined(),
        },
        node,
    )
    pod["metadata"]["labels"][ANSWERS] = place.run
    return pod


def gpu_pod(place: Place, node: str, index: int, device: str, runtime_class: str | None) -> Document:
    """A pod that asks for one GPU of a node, by its name there, by way of the scheduler's rules for it, and says what it sees."""
    spec: Document = {
        "affinity": pinned(node),
        "containers": [
            {
                **_container(place, "probe", ["probe", "gpu"]),
                "resources": {"requests": _SMALL, "limits": {**_ENOUGH, device: "1"}},
            }
        ],
        "volumes": [_scratch()],
        **_confined(),
    }
    if runtime_class:
        spec["runtimeClassName"] = runtime_class
    return _pod(place, f"g{probe_name(node, index)[1:]}", spec, node)


def sample_pod(place: Place, image: str) -> Document:
    """A pod of somebody's own image as it is, under what the level `restricted` asks of the pods of a project."""
    confined = _confined()
    context = {key: confined["securityContext"][key] for key in ("runAsNonRoot", "seccompProfile")}
    container = _container(place, "sample", ())
    del container["args"], container["volumeMounts"], container["securityContext"]["readOnlyRootFilesystem"]
    return _pod(
        place,
        "user-image",
        {"containers": [{**container, "image": image}], **confined, "securityContext": context},
        "",
    )


def claim(place: Place, name: str, storage_class: str, mode: str) -> Document:
    """A claim of 64 MiB. `storage_class`: empty for the default."""
    spec: Document = {"accessModes": [mode], "resources": {"requests": {"storage": "64Mi"}}}
    if storage_class:
        spec["storageClassName"] = storage_class
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": _meta(place, name), "spec": spec}


def volume(place: Place, name: str, source: Mapping[str, Any], goes_with: Document) -> Document:
    """A volume of our own to data that is there, for the claim of that name. It goes with the namespace at the latest; the data stays."""
    meta = _meta(place, f"{place.namespace}-{name}", owned=False)
    del meta["namespace"]
    meta["ownerReferences"] = [_of_namespace(goes_with)]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": meta,
        "spec": {
            "capacity": {"storage": "64Mi"},
            "accessModes": ["ReadWriteMany"],
            **source,
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "claimRef": {"namespace": place.namespace, "name": name},
        },
    }


def volume_pod(place: Place, name: str, volume: Mapping[str, Any], words: Sequence[str], node: str = "") -> Document:
    """A pod of user 1000 with that volume at /data which does `fairlead probe WORDS` and ends. `node`: empty for any."""
    spec: Document = {
        "containers": [
            {
                **_container(place, "probe", ["probe", *words]),
                "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}, {"name": "data", "mountPath": "/data"}],
            }
        ],
        "volumes": [_scratch(), {"name": "data", **volume}],
        **_confined(),
    }
    spec["securityContext"] = {**spec["securityContext"], "runAsUser": _RESEARCHER, "runAsGroup": _RESEARCHER}
    if node:
        spec["affinity"] = pinned(node)
    return _pod(place, name, spec, node)


def pinned(node: str) -> Document:
    """Affinity to one node that leaves the choice to the scheduler, so that it counts what is free."""
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}


def probe_name(node: str, index: int) -> str:
    """The name of a node's probe: node names have up to 253 characters, labels and host names 63."""
    return f"n{index}-{hashlib.sha256(node.encode()).hexdigest()[:10]}"


_SMALL: Final = {"cpu": "20m", "memory": "96Mi"}
"""What it asks for: it finds room on a full node."""
_ENOUGH: Final = {"cpu": "500m", "memory": "192Mi"}
"""What it may use: a program that starts within 20m takes a minute."""


def _container(place: Place, name: str, words: Sequence[str], policy: str = "IfNotPresent") -> Document:
    return {
        "name": name,
        "image": place.image,
        "imagePullPolicy": policy,
        "args": list(words),
        "resources": {"requests": _SMALL, "limits": _ENOUGH},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _scratch() -> Document:
    return {"name": "scratch", "emptyDir": {"sizeLimit": "16Mi"}}


def _confined() -> Document:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "tolerations": [{"operator": "Exists"}],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def _pod(place: Place, name: str, spec: Document, node: str) -> Document:
    meta = _meta(place, name)
    if node:
        meta["annotations"][NODE_ANNOTATION] = node
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {"activeDeadlineSeconds": place.seconds, "imagePullSecrets": _pull_secrets(place), **spec},
    }


def _pull_secrets(place: Place) -> list[Document]:
    return [{"name": place.pull_secret}] if place.pull_secret else []


def _meta(place: Place, name: str, *, owned: bool = True) -> Document:
    meta: Document = {
        "name": name,
        "namespace": place.namespace,
        "labels": _labels(place),
        "annotations": {EXPIRES: text_of(place.expires)},
    }
    if owned and place.owner:
        meta["ownerReferences"] = [{"apiVersion": "batch/v1", "kind": "Job", "name": OWNER, "uid": place.owner}]
    return meta


def _labels(place: Place) -> dict[str, str]:
    return {PROBE_LABEL: place.run, PART: "fairlead"}
