"""Admission on a real API server: the controllers' certificate, our HTTPS server, and pods that the API takes or refuses."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from tests.kubernetes.conftest import CLOCK, NUMBERS, ON_EACH
from tests.kubernetes.roles import until
from tests.parts.build import NEWEST, OLDER

from fairlead.cluster.admission.claims import Classes
from fairlead.cluster.admission.main import Admission, AdmissionOptions
from fairlead.cluster.controllers.certificates import WebhookOptions
from fairlead.cluster.controllers.main import Controllers, ControllersOptions
from fairlead.kube.client import Client, Limits
from fairlead.kube.errors import AlreadyExists
from fairlead.kube.transport import Transport
from fairlead.objects import fields, kinds
from fairlead.objects.builtin import Namespace
from fairlead.objects.json import JsonObject
from fairlead.objects.kinds import foreign
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.organisation import Project
from fairlead.objects.pod import Container, Pod, PodSpec
from fairlead.runtime import certificates
from fairlead.runtime.errors import Denied, FairleadError

pytestmark = [pytest.mark.kubernetes, ON_EACH]


@dataclass
class Guarded:
    """A project whose pods the API asks admission about."""

    client: Client
    namespace: str
    project: str
    admission: asyncio.Task[None]
    options: AdmissionOptions

    async def pod(self, name: str, notes: dict[str, str] | None = None, *, namespace: str = "", **labels: str) -> Pod:
        """A pod as somebody writes it."""
        meta = ObjectMeta(name=name, labels=labels, annotations=notes or {})
        spec = PodSpec(containers=(Container(name="c", image="x"),), scheduler_name="nobody")
        return await self.client.create(kinds.POD, Pod(metadata=meta, spec=spec), namespace or self.namespace)


PODS = ["pods", "pods/ephemeralcontainers"]


def configuration(kind: str, path: str, policy: str, port: int) -> JsonObject:
    """A webhook configuration that calls the test's own server by address."""
    hook: dict[str, Any] = {
        "name": f"{path}.fairlead.dev",
        "clientConfig": {"url": f"https://127.0.0.1:{port}/{path}"},
        "rules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": PODS},
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["persistentvolumeclaims"],
            },
            {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]},
        ],
        "namespaceSelector": {"matchExpressions": [{"key": fields.PROJECT, "operator": "Exists"}]},
        "failurePolicy": policy,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 5,
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": "fairlead"},
        "webhooks": [hook],
    }


@pytest.fixture
async def guarded(real: Transport, tmp_path: Path) -> AsyncIterator[Guarded]:
    """The controllers keep the certificate, the test does what a kubelet does with a secret, admission serves."""
    client = Client(real, CLOCK, Random(5), Limits(call=10, watch=60))
    with contextlib.suppress(AlreadyExists):
        await client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name="fairlead")))
    project = f"team-{next(NUMBERS)}"
    await client.create(kinds.PROJECT, Project(metadata=ObjectMeta(name=project)))
    webhooks = WebhookOptions(namespace="fairlead", names=("127.0.0.1",))
    controllers = asyncio.create_task(
        Controllers(client, CLOCK, Random(6), ControllersOptions(webhooks=webhooks)).run()
    )
    secret = await until(lambda: _complete(client))
    _mount(secret, tmp_path)
    options = AdmissionOptions(
        certificates=str(tmp_path),
        host="127.0.0.1",
        port=0,
        gpu_runtime_class="nvidia",
        classes=Classes(default="fast", allowed=("fast",)),
    )
    role = Admission(client, CLOCK, options)
    admission = asyncio.create_task(role.run())

    async def listens() -> int:
        return role.port

    port = await until(listens)
    for kind, path, policy in (
        (kinds.MUTATING_WEBHOOK, "mutate", "Ignore"),
        (kinds.VALIDATING_WEBHOOK, "validate", "Fail"),
    ):
        body = configuration(kind.kind, path, policy, port)
        body["webhooks"][0]["clientConfig"]["caBundle"] = secret["ca.crt"]  # type: ignore[index,call-overload]  # as made above
        await client.create(kind, body)
    found = Guarded(client, f"runai-{project}", project, admission, msgspec.structs.replace(options, port=port))
    await until(lambda: client.find(kinds.NAMESPACE, found.namespace))
    await until(lambda: _is_guarded(found))
    try:
        yield found
    finally:
        for kind in (kinds.MUTATING_WEBHOOK, kinds.VALIDATING_WEBHOOK):
            await client.delete(kind, "fairlead")
        for task in (controllers, found.admission):
            task.cancel()
        await asyncio.gather(controllers, found.admission, return_exceptions=True)
        await asyncio.sleep(0.3)  # the API server's kept connections say goodbye


def _mount(secret: dict[str, str], folder: Path) -> None:
    """As a kubelet does."""
    for key, value in secret.items():
        (folder / key).write_bytes(base64.b64decode(value))


async def _complete(client: Client) -> dict[str, str]:
    found = await client.find(kinds.SECRET, "fairlead-webhook", "fairlead")
    return found.data if found is not None and "tls.crt" in found.data else {}


async def _is_guarded(found: Guarded) -> bool:
    """The API server takes a moment to ask a new webhook."""
    try:
        await found.pod("probe", {"gpu-fraction": "7"})
    except Denied:
        return True
    except FairleadError:
        return False
    await found.client.delete(kinds.POD, "probe", found.namespace, grace_seconds=0)
    return False


async def _runtime_class(client: Client) -> None:
    """The one that pods with GPUs are given here."""
    classes = foreign("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses")
    nvidia: JsonObject = {"metadata": {"name": "nvidia"}, "handler": "nvidia"}
    with contextlib.suppress(AlreadyExists):
        await client.create(classes, {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", **nvidia})


async def test_pods_get_the_queue_of_their_project_and_no_devices_they_did_not_ask_for(guarded: Guarded) -> None:
    made = await guarded.pod("plain", **{fields.QUEUE: "somebody-elses"})
    assert made.metadata.labels[fields.QUEUE] == guarded.project
    assert [(e.name, e.value) for e in made.spec.containers[0].env] == [("NVIDIA_VISIBLE_DEVICES", "void")]


async def test_a_pod_keeps_what_it_asked_for_and_who_looks_at_it_sees_no_device(guarded: Guarded) -> None:
    await _runtime_class(guarded.client)
    await guarded.pod("shares", {fields.GPU_FRACTION: "0.5"})
    for changed in ("0.1", None):
        body: JsonObject = {"metadata": {"annotations": {fields.GPU_FRACTION: changed}}}
        with pytest.raises(Denied, match="gpu-fraction cannot be changed once a pod is made"):
            await guarded.client.patch(kinds.POD, "shares", body, guarded.namespace)
    looks: JsonObject = {"name": "looks", "image": "x", "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]}
    body = {"spec": {"ephemeralContainers": [looks]}}
    made = await guarded.client.patch(kinds.POD, "shares/ephemeralcontainers", body, guarded.namespace)
    (beside,) = made.spec.ephemeral_containers
    assert [(each.name, each.value) for each in beside.env] == [("NVIDIA_VISIBLE_DEVICES", "void")]


async def test_a_refusal_names_the_field_and_the_remedy(guarded: Guarded) -> None:
    with pytest.raises(Denied, match=r"runai-gpu-group is written by Fairlead only\. Leave it out\."):
        await guarded.pod("sly", {"runai-gpu-group": "g1"})
    made = await guarded.pod("fine")
    stolen: JsonObject = {"metadata": {"annotations": {"received-resource-type": "Fraction"}}}
    with pytest.raises(Denied, match="received-resource-type"):
        await guarded.client.patch(kinds.POD, made.metadata.name, stolen, guarded.namespace)


async def test_a_pod_with_a_gpu_gets_the_runtime_class_and_no_other_does(guarded: Guarded) -> None:
    await _runtime_class(guarded.client)
    assert (await guarded.pod("half", {fields.GPU_FRACTION: "0.5"})).spec.runtime_class_name == "nvidia"
    assert (await guarded.pod("none")).spec.runtime_class_name == ""


async def test_a_claim_gets_the_default_class_and_may_name_no_class_that_is_not_allowed(guarded: Guarded) -> None:
    claims = foreign("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")

    async def made(name: str, **more: Any) -> Any:
        spec: JsonObject = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **more}
        body: JsonObject = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}}
        return await guarded.client.create(claims, {**body, "spec": spec}, guarded.namespace)

    assert (await made("silent"))["spec"]["storageClassName"] == "fast"
    with pytest.raises(Denied, match="storageClassName is 'slow': in a project it is one of fast"):
        await made("slow", storageClassName="slow")


async def test_a_job_does_not_count_pods_that_are_stopped_for_others_as_failed(
    guarded: Guarded, request: pytest.FixtureRequest
) -> None:
    """1.24 drops the rule: its Jobs have none, and count such pods."""
    containers: JsonObject = {"name": "c", "image": "x"}
    spec: JsonObject = {"restartPolicy": "Never", "schedulerName": "fairlead", "containers": [containers]}
    body: JsonObject = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "night"},
        "spec": {"suspend": True, "template": {"spec": spec}},
    }
    made: Any = await guarded.client.create(foreign("batch", "v1", "Job", "jobs"), body, guarded.namespace)
    rules = made["spec"].get("podFailurePolicy", {"rules": []})["rules"]
    expected = {NEWEST: ["Ignore"], OLDER: []}[request.node.callspec.params["server"]]
    assert [rule["action"] for rule in rules] == expected


async def test_other_namespaces_are_left_alone(guarded: Guarded) -> None:
    made = await guarded.pod("free", {"gpu-fraction": "7"}, namespace="default")
    assert (made.metadata.labels, made.spec.containers[0].env) == ({}, ())
    await guarded.client.delete(kinds.POD, "free", "default", grace_seconds=0)


async def test_with_admission_down_nothing_new_gets_in(guarded: Guarded) -> None:
    guarded.admission.cancel()
    await asyncio.gather(guarded.admission, return_exceptions=True)
    with pytest.raises(FairleadError, match=r"validate\.fairlead\.dev"):
        await guarded.pod("late")


async def test_with_a_certificate_that_has_ended_nothing_new_gets_in_and_it_says_so_until_the_controllers_start(
    guarded: Guarded,
) -> None:
    client, folder = guarded.client, Path(guarded.options.certificates)
    guarded.admission.cancel()
    await asyncio.gather(guarded.admission, return_exceptions=True)
    by = certificates.KeyPair(certificate=(folder / "ca.crt").read_bytes(), key=(folder / "ca.key").read_bytes())
    made = certificates.server("127.0.0.1", ("127.0.0.1",), CLOCK.now() - 91 * 86400, 90, by)
    ended = {"tls.crt": base64.b64encode(made.certificate).decode(), "tls.key": base64.b64encode(made.key).decode()}
    await client.patch(kinds.SECRET, "fairlead-webhook", {"data": {**ended}}, "fairlead")
    _mount(ended, folder)
    role = Admission(client, CLOCK, guarded.options)
    guarded.admission = asyncio.create_task(role.run())

    async def says_so() -> bool:
        return role.waits_for.startswith(f"a certificate that is valid: the one in {folder} ended at ")

    assert await until(says_so)
    with pytest.raises(FairleadError, match="certificate has expired"):
        await guarded.pod("late")

    options = ControllersOptions(webhooks=WebhookOptions(namespace="fairlead", names=("127.0.0.1",)))
    again = asyncio.create_task(Controllers(client, CLOCK, Random(8), options).run())

    async def renewed() -> dict[str, str]:
        found = await _complete(client)
        return {} if found["tls.crt"] == ended["tls.crt"] else found

    _mount(await until(renewed), folder)

    async def is_ready() -> bool:
        return not role.waits_for

    assert await until(is_ready)
    await guarded.pod("in-time")
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)


async def test_the_controllers_give_the_webhooks_the_authority_to_trust(guarded: Guarded) -> None:
    """A configuration as the chart makes it holds no authority."""
    bare = configuration("ValidatingWebhookConfiguration", "validate", "Ignore", 1)
    client = guarded.client
    await client.patch(kinds.VALIDATING_WEBHOOK, "fairlead", {"webhooks": bare["webhooks"]})
    options = ControllersOptions(webhooks=WebhookOptions(namespace="fairlead", names=("127.0.0.1",)))
    again = asyncio.create_task(Controllers(client, CLOCK, Random(8), options).run())

    async def trusts() -> bool:
        found: Any = await client.get(kinds.VALIDATING_WEBHOOK, "fairlead")
        secret = await _complete(client)
        return bool(found["webhooks"][0]["clientConfig"].get("caBundle") == secret["ca.crt"])

    assert await until(trusts)
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)
