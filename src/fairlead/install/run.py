"""Installing, step by step: look, tell Helm, wait for the units, prove that it works. Each step may be cut off and done again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar

from fairlead.install import purge, units
from fairlead.install.helm import Helm, Release, found_chart, found_helm
from fairlead.install.verify import Verifier, VerifyImage
from fairlead.kube.client import Client, Limits
from fairlead.kube.credentials import find
from fairlead.kube.http import HttpTransport
from fairlead.preflight.gather.api import Api
from fairlead.preflight.gather.made import MISSING, not_copied
from fairlead.runtime.clock import SystemClock
from fairlead.runtime.errors import Conflict, FairleadError, NotFound, Retryable
from fairlead.runtime.settings import environment

T = TypeVar("T")
Tell = Callable[[str], None]

_VERIFY_SECONDS: Final = 120.0
_HOOK_POLL: Final = 5.0
_ENDING_SECONDS: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class Installation:
    """What is to be installed, and where. Units: seconds."""

    namespace: str
    kubeconfig: str = ""
    helm: str = ""
    """Path of Helm; empty for that in PATH."""
    chart: str = ""
    """Folder, archive or address; empty for the one that came with this program."""
    extra: tuple[Path, ...] = ()
    """Files with further values of the chart, which win."""
    timeout_seconds: float = 600.0


def install(what: Installation, values: Mapping[str, Any], tell: Tell, *, must_exist: bool = False) -> str:
    """Bring the cluster to it, from whatever state it is in; gives what proved it, as a sentence.

    Raises: FairleadError; NotFound where `must_exist` and nothing is installed.
    """
    return _run(_install(what, values, tell, must_exist=must_exist))


def rehearse(what: Installation, values: Mapping[str, Any], tell: Tell) -> str:
    """What Helm would send, judged by the API server and not kept. Raises: FairleadError."""
    helm = Helm(found_helm(what.helm), what.namespace, tell, kubeconfig=what.kubeconfig, chart=found_chart(what.chart))
    return _run(helm.install(values, what.extra, what.timeout_seconds, dry=True))


def uninstall(what: Installation, tell: Tell, *, everything: bool = False) -> None:
    """Take the product away. Projects, their work and the definitions stay, unless `everything`. Raises: FairleadError."""
    _run(_uninstall(what, tell, everything=everything))


def remains(what: Installation) -> list[str]:
    """What `uninstall` with `everything` would remove beside the product, a line each. Raises: FairleadError."""

    async def ask() -> list[str]:
        async with _api(what) as api:
            return await purge.remains(api)

    return _run(ask())


async def _install(what: Installation, values: Mapping[str, Any], tell: Tell, *, must_exist: bool) -> str:
    helm = Helm(found_helm(what.helm), what.namespace, tell, kubeconfig=what.kubeconfig, chart=found_chart(what.chart))
    before = await helm.release()
    if must_exist and not before.status:
        raise NotFound(
            f"Nothing is installed in the namespace {what.namespace}.",
            hint="Run `fairlead install`.",
            code="no-release",
        )
    await helm.settle(before)
    async with _api(what) as api, _told_meanwhile(api, what, tell):
        await helm.install(values, what.extra, what.timeout_seconds, dry=False)
    effective = json.loads(await helm.run("get", "values", "fairlead", "--all", "-o", "json", quietly=True))
    after = await helm.release()
    tell(_changed(before, after))
    async with _api(what) as api:
        for secret in effective["image"]["pullSecrets"]:
            await _spread(api, secret, what.namespace, effective)
        await units.wait(api, namespaces_of(what.namespace, effective), what.timeout_seconds, tell)
        if effective["scheduler"]["mode"] == "shadow":
            return "it runs in shadow mode and binds nothing, so no workload was tried"
        tell("Proving it with a workload ...")
        image = _image(effective, after, what.namespace)
        is_ours = not effective["projects"]["createNamespaces"]
        scheduler = effective["schedulerNames"][0]
        return await Verifier(api, image, scheduler, tell, _VERIFY_SECONDS, makes_namespace=is_ours).verify()


async def _spread(api: Api, secret: str, namespace: str, values: Mapping[str, Any]) -> None:
    """Put the pull secret where the other pods of the product are. Raises: NotFound where there is none."""
    agents = [values["node"]["namespace"]] if values["node"]["enabled"] else []
    for target in (*agents, values["reservation"]["namespace"]):
        if target != namespace and (why := await not_copied(api, secret, namespace, target)):
            raise NotFound(
                f"The pull secret {secret} "
                + (f"is not in the namespace {namespace}." if why == MISSING else f"of {namespace} may not be read."),
                hint=f"kubectl -n {namespace} create secret docker-registry {secret} --docker-server=... makes one.",
                code="pull-secret",
            )


def _changed(before: Release, after: Release) -> str:
    if not before.status or before.status == "pending-install":
        return f"Fairlead {after.version} is in the cluster (revision {after.revision}). Its units:"
    versions = after.version if before.version == after.version else f"{before.version} -> {after.version}"
    return f"Fairlead {versions}, revision {before.revision} -> {after.revision}. Its units:"


def namespaces_of(release: str, values: Mapping[str, Any]) -> list[str]:
    """Where units are."""
    return [release, *([values["node"]["namespace"]] if values["node"]["enabled"] else [])]


def _image(values: Mapping[str, Any], release: Release, namespace: str) -> VerifyImage:
    image = values["image"]
    tag = f"@{image['digest']}" if image["digest"] else f":{image['tag'] or release.version}"
    return VerifyImage(
        reference=f"{image['repository']}{tag}",
        policy=image["pullPolicy"],
        secrets=tuple(image["pullSecrets"]),
        namespace=namespace,
    )


async def _uninstall(what: Installation, tell: Tell, *, everything: bool) -> None:
    helm = Helm(found_helm(what.helm), what.namespace, tell, kubeconfig=what.kubeconfig)
    async with _api(what) as api:
        if everything:
            await purge.work(api, tell)
        if (await helm.release()).status:
            await helm.run("uninstall", "fairlead", "--wait", "--timeout", f"{what.timeout_seconds:.0f}s")
        else:
            tell(f"Nothing is installed in the namespace {what.namespace} by Helm.")
        await purge.copies(api)
        await purge.pods(api, _ENDING_SECONDS, tell)
        if everything:
            await purge.rest(api, what.namespace, what.timeout_seconds, tell)


@contextlib.asynccontextmanager
async def _told_meanwhile(api: Api, what: Installation, tell: Tell) -> AsyncIterator[None]:
    """While Helm works it says nothing: what holds up its Jobs and their pods is told, and again where it gives up.

    Raises: Conflict of Helm, with that.
    """
    told = set[str]()

    async def look() -> list[str]:
        found = []
        with contextlib.suppress(FairleadError):
            found = await units.troubles(api, [what.namespace])
            for line in found:
                if line not in told:
                    told.add(line)
                    tell(f"  {line}")
        return found

    async def watch() -> None:
        while True:
            await api.clock.sleep(_HOOK_POLL)
            await look()

    watching = asyncio.create_task(watch())
    try:
        yield
    except Conflict as error:
        held = await look()
        hint = f"What holds it up: {'; '.join(held)}. Mend it and run the command again." if held else error.hint
        raise Conflict(error.message, hint=hint, code=error.code) from error
    finally:
        watching.cancel()


@contextlib.asynccontextmanager
async def _api(what: Installation) -> AsyncIterator[Api]:
    clock = SystemClock()
    async with HttpTransport(find(environment(), what.kubeconfig), clock, trust_env=True) as transport:
        yield Api(Client(transport, clock, Random(), Limits(call=20, watch=60)), patience=30)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Ctrl-C and SIGTERM cancel the work, so that what it made is put in order."""

    async def whole() -> T:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        try:
            return await task
        except asyncio.CancelledError as error:
            raise Retryable(
                "Stopped.", hint="Run the command again: it goes on where it is.", code="stopped"
            ) from error

    return asyncio.run(whole())
