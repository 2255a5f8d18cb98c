"""The admission role: an HTTPS server that the Kubernetes API asks before it stores a pod of a project.

The mutating hook is asked with `failurePolicy: Ignore`, the validating one with `Fail`. The scheduler relies on neither.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec import Struct

from fairlead.cluster.admission import claims, review
from fairlead.cluster.admission.observe import Observed
from fairlead.kube.client import Client
from fairlead.objects.json import JsonObject
from fairlead.objects.times import text_of
from fairlead.runtime import certificates
from fairlead.runtime.clock import Clock
from fairlead.runtime.errors import Invalid
from fairlead.runtime.instruments import counter, histogram
from fairlead.runtime.listening import listening
from fairlead.runtime.logs import logger
from fairlead.workloads.mps import Choice

_LOOK_SECONDS = 10.0
"""How often the files of the certificate are looked at: they are renewed while the server runs."""
_RESULTS: Final = ("allowed", "changed", "refused", "not-ready", "malformed")
_HOOKS: Final = ("mutate", "validate")
_REVIEWS: Final = counter(
    "fairlead_admission_reviews_total", *((hook, result) for hook in _HOOKS for result in _RESULTS)
)
_SECONDS: Final = histogram("fairlead_admission_seconds", *((hook,) for hook in _HOOKS))


class AdmissionOptions(Struct, frozen=True, kw_only=True):
    """How the role behaves."""

    certificates: str
    """Folder with `tls.crt` and `tls.key`, as Kubernetes mounts a secret."""
    host: str = "0.0.0.0"  # a pod is reached on the address it was given
    port: int = 8443
    scheduler_names: tuple[str, ...] = ("fairlead",)
    """Names by which pods ask for our scheduler."""
    trusted: tuple[str, ...] = ("system:serviceaccount:fairlead:",)
    """User names of the product itself, or what they begin with: their pods are not refused."""
    mps: Choice = "off"
    """Whose memory is enforced by MPS."""
    gpu_runtime_class: str = ""
    """Of pods that ask for GPUs; empty for the nodes' usual runtime."""
    classes: claims.Classes = claims.Classes()
    """Storage classes of researchers' volumes."""


class Admission:
    """Runs until cancelled; any number may run beside each other."""

    def __init__(self, client: Client, clock: Clock, options: AdmissionOptions) -> None:
        self._observed = Observed(client)
        self._clock = clock
        self._options = options
        self._folder = Path(options.certificates)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._loaded: tuple[float, ...] = ()
        self._ends = 0.0
        """When the certificate does, in seconds since the epoch."""
        self._log = logger("admission")
        self.port = options.port
        """Where it listens; chosen by the system where the option is 0."""

    @property
    def waits_for(self) -> str:
        """What it cannot answer without; empty where it can."""
        if not self._observed.is_ready:
            return "the lists of the cluster"
        if self._ends > self._clock.now():
            return ""
        return (
            f"a certificate that is valid: the one in {self._folder} ended at {text_of(self._ends)}, so the API server trusts"
            " no answer and makes no pods in projects. The controllers renew the secret fairlead-webhook when they start,"
            " and every hour, or cert-manager does where the chart was told to use it: see whether they run"
        )

    async def run(self) -> None:
        """Fill the caches and answer.

        Raises: Invalid where the certificate cannot be read at the start, or the port is taken.
        """
        self._load()
        routes = [
            web.post("/mutate", self._mutate),
            web.post("/validate", self._validate),
            web.get("/healthz", self._alive),
            web.get("/readyz", self._ready),
        ]
        options = self._options
        async with (
            listening(routes, options.host, options.port, "admission.port", self._tls) as self.port,
            asyncio.TaskGroup() as group,
        ):
            self._log.info("listening", port=self.port)
            for cache in self._observed.caches():
                group.create_task(cache.run(), name=f"admission.cache.{cache.kind.plural}")
            await self._renew()

    # the certificate

    def _load(self) -> None:
        certificate, key = self._folder / "tls.crt", self._folder / "tls.key"
        try:
            changed = (certificate.stat().st_mtime, key.stat().st_mtime)
            if changed != self._loaded:
                self._tls.load_cert_chain(certificate, key)
                self._loaded, self._ends = changed, certificates.end(certificate.read_bytes())
        except OSError as error:  # ssl.SSLError is one
            raise Invalid(
                f"The certificate in {self._folder} cannot be read: {error.strerror or error}.",
                hint="tls.crt and tls.key were expected there; the controllers keep them in the secret fairlead-webhook.",
            ) from error

    async def _renew(self) -> None:
        """Takes a renewed certificate for all new connections."""
        while True:
            await self._clock.sleep(_LOOK_SECONDS)
            try:
                self._load()
            except Invalid as error:
                self._log.warning("certificate.unreadable", message=str(error))
            if self._ends <= self._clock.now():
                self._log.warning("certificate.ended", message=f"It waits for {self.waits_for}.")

    # what the API asks

    async def _alive(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _ready(self, _request: web.Request) -> web.Response:
        if what := self.waits_for:
            return web.Response(status=503, text=f"It waits for {what}.\n")
        return web.Response(text="ok\n")

    async def _mutate(self, request: web.Request) -> web.Response:
        return await self._answer("mutate", request, self._completed)

    async def _validate(self, request: web.Request) -> web.Response:
        return await self._answer("validate", request, self._judged)

    async def _answer(self, hook: str, request: web.Request, look: Callable[[_Asked], JsonObject]) -> web.Response:
        with _SECONDS.labels(hook).time():
            response, result = await self._reviewed(request, look)
        _REVIEWS.labels(hook, result).inc()
        return response

    async def _reviewed(self, request: web.Request, look: Callable[[_Asked], JsonObject]) -> tuple[web.Response, str]:
        """The answer, and what it comes to."""
        if not self._observed.is_ready:
            return web.Response(status=503, text="Not ready: the cluster is still being listed.\n"), "not-ready"
        try:
            asked = msgspec.json.decode(await request.read(), type=_Review).request
            answer: JsonObject = {"uid": asked.uid, "allowed": True, **look(asked)}
        except msgspec.DecodeError as error:
            expected = "Expected an AdmissionReview (admission.k8s.io/v1) of a pod or a Job"
            return web.Response(status=400, text=f"{expected}: {error}\n"), "malformed"
        result = "refused" if not answer["allowed"] else "changed" if "patch" in answer else "allowed"
        document = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}
        return web.json_response(document), result

    def _request(self, asked: _Asked) -> review.Request | None:
        """The request in the words of `review`; None for what is none of ours: another kind, or a namespace of no project."""
        pod = review.read_pod(asked.object) if asked.kind.get("kind") == "Pod" else None
        place = self._observed.place(pod, asked.namespace) if pod else None
        if pod is None or place is None:
            return None
        return review.Request(
            pod=pod,
            before=review.read_pod(asked.old_object),
            is_ours=asked.user_info.get("username", "").startswith(self._options.trusted),
            place=place,
            mps=self._options.mps,
            runtime_class=self._options.gpu_runtime_class,
        )

    def _claim(self, asked: _Asked) -> JsonObject | None:
        """The volume claim that somebody makes in a project; None for what is none, and for those of the product itself."""
        is_ours = asked.user_info.get("username", "").startswith(self._options.trusted)
        is_claim = asked.kind.get("kind") == "PersistentVolumeClaim" and asked.old_object is None
        return asked.object if is_claim and not is_ours and self._observed.is_project(asked.namespace) else None

    def _completed(self, asked: _Asked) -> JsonObject:
        if asked.kind.get("kind") == "Job":
            operations = review.job_completions(asked.object or {}, self._options.scheduler_names)
        elif (claim := self._claim(asked)) is not None:
            operations = claims.completions(claim, self._options.classes)
        else:
            found = self._request(asked)
            operations = review.completions(found) if found else ()
        if not operations:
            return {}
        return {"patchType": "JSONPatch", "patch": base64.b64encode(msgspec.json.encode(operations)).decode()}

    def _judged(self, asked: _Asked) -> JsonObject:
        if (claim := self._claim(asked)) is not None:
            problems = claims.refusals(claim, self._options.classes)
        else:
            found = self._request(asked)
            problems = review.refusals(found) if found else ()
        if not problems:
            return {}
        return {"allowed": False, "status": {"code": 403, "reason": "Forbidden", "message": " ".join(problems)}}


class _Asked(Struct, frozen=True, kw_only=True, rename="camel"):
    uid: str
    kind: dict[str, str]
    namespace: str = ""
    object: dict[str, Any] | None = None
    old_object: dict[str, Any] | None = None
    user_info: dict[str, Any] = {}


class _Review(Struct, frozen=True, kw_only=True):
    request: _Asked
