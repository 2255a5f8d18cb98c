"""One run: access first, then everything else side by side; what was found until the end of its time is kept."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import signal
from collections.abc import Callable, Iterator, Sequence
from random import SystemRandom
from typing import Any, Final

import fairlead
from fairlead.kube.client import Client, Limits
from fairlead.kube.credentials import Credentials, find
from fairlead.kube.http import HttpTransport
from fairlead.objects.times import text_of
from fairlead.preflight.config import Config, images_inside
from fairlead.preflight.facts import Facts, facts_of
from fairlead.preflight.gather import here, on_nodes
from fairlead.preflight.gather.access import access_facts
from fairlead.preflight.gather.api import Api, known, path_of, word_of
from fairlead.preflight.gather.certificates import bundle_facts, secret_facts
from fairlead.preflight.gather.made import made
from fairlead.preflight.gather.objects import objects_facts
from fairlead.preflight.gather.pods import Place
from fairlead.preflight.hide import PROBES
from fairlead.preflight.options import Options
from fairlead.runtime.clock import Clock, SystemClock
from fairlead.runtime.errors import FairleadError, Invalid
from fairlead.runtime.settings import environment
from fairlead.runtime.trust import authorities_in, trusting

Document = dict[str, Any]

_LISTED_IMAGES: Final = 50
_NO_CREDENTIALS: Final = {"kubeconfig": "no-kubeconfig", "exec-plugin-missing": "exec-plugin-missing"}
"""Code of the error -> class of the failure."""
_CLEAN_UP_SECONDS: Final = 40.0
"""Kept of the whole time for taking away what was made."""


def gather(config: Config, options: Options, tell: Callable[[str], None] = lambda _: None) -> Facts:
    """The facts of the cluster that the options name. `tell`: progress, a line at a time.

    On Ctrl-C and SIGTERM, and when the time is up, it ends early: what was made in the cluster is taken away, and what was
    found until then is given.
    """
    return asyncio.run(Run(config, options, tell).facts())


class Run:
    """Gathers once. `tell`: progress, a line at a time."""

    def __init__(self, config: Config, options: Options, tell: Callable[[str], None]) -> None:
        self._config = config
        self._options = options
        self._tell = tell
        self._clock: Clock = SystemClock()
        self._id = f"{SystemRandom().getrandbits(32):08x}"
        self._found: Document = {
            "facts_version": 1,
            "run": {
                "id": self._id,
                "at": text_of(self._clock.now()),
                "program": fairlead.__version__,
                "probes": options.probe,
            },
        }

    async def facts(self) -> Facts:
        """What was found, whatever happened."""
        work = asyncio.create_task(self._within_time())
        with _signals(work.cancel):
            try:
                await work
            except asyncio.CancelledError:
                self._tell("Stopped: what was found until now is judged.")
        return facts_of(self._found, "what was gathered")

    async def _within_time(self) -> None:
        seconds = max(self._options.timeout_seconds - _CLEAN_UP_SECONDS, self._options.timeout_seconds / 2)
        try:
            async with asyncio.timeout(seconds):
                await self._gather()
        except TimeoutError:
            self._tell(f"The time is up ({self._options.timeout_seconds:g} s): what is missing is unknown.")

    async def _gather(self) -> None:
        outside = asyncio.create_task(here.facts(self._config, self._ca))
        if self._config.ca_bundle:
            self._found["certificates"] = {"bundle": bundle_facts(self._ca, self._clock.now())}
        try:
            if (credentials := self._credentials()) is not None:
                self._found["access"] = {"context": credentials.context or "in-cluster"}
                async with HttpTransport(credentials, self._clock, trust_env=True) as transport:
                    client = Client(transport, self._clock, SystemRandom(), Limits(call=10, watch=60))
                    await self._of_cluster(Api(client), outside)
            if "egress" not in self._found:
                merge(self._found, await outside)
        finally:
            outside.cancel()

    def _credentials(self) -> Credentials | None:
        """With which the cluster is asked; None where there are none, which is a fact."""
        try:
            return find(environment(), self._options.kubeconfig)
        except Invalid as error:
            word = _NO_CREDENTIALS.get(error.code, "unauthorized")
            hint = {"exec_plugin_hint": error.hint} if word == "exec-plugin-missing" and error.hint else {}
            self._found["access"] = {"error": word, "message": str(error), **hint}
            return None

    async def _of_cluster(self, api: Api, outside: asyncio.Task[Document]) -> None:
        self._tell("Asking the cluster's API ...")
        merge(self._found, await access_facts(api, self._config.namespace))
        if self._found["access"].get("list_nodes") != "ok":
            return
        try:
            await self._of_objects(api, outside)
        finally:
            merge(self._found, {"access": {"allowed": sorted(api.allowed), "forbidden": sorted(api.forbidden)}})
            self._found["webhook_failures"] = api.webhook_failures()

    async def _of_objects(self, api: Api, outside: asyncio.Task[Document]) -> None:
        config = self._config
        merge(
            self._found,
            await objects_facts(api, config.namespace, self._clock.now(), config=config),
        )
        if (wanted := self._config.ingress).tls_secret:
            secret = await known(api.get(path_of("v1", "secrets", wanted.tls_secret, self._config.namespace)))
            merge(self._found, {"certificates": {"secrets": self._certificates(secret)}})
        if self._config.registry.local_images and isinstance(self._found["nodes"], list):
            self._found["images_missing_on"] = missing_images(self._found["nodes"], images_inside(self._config))
        if self._options.probe and isinstance(self._found["nodes"], list):
            merge(self._found, await outside)  # pods ask again for what was seen from here
            await self._with_pods(api)

    async def _with_pods(self, api: Api) -> None:
        seconds = int(self._options.timeout_seconds) + 20
        place = Place(
            run=self._id,
            namespace=f"{PROBES}{self._id}",
            image=images_inside(self._config)[0],
            expires=self._clock.now() + seconds,
            seconds=seconds,
            pull_secret=self._config.registry.pull_secret or "",
            pulls=pulls(self._config),
        )
        asked = on_nodes.Asked(config=self._config, ca=self._ca, codes=self._options.codes)
        try:
            async with made(api, place, self._config.namespace, self._tell) as there:
                await on_nodes.gather(api, there, asked, self._found, self._tell)
        except FairleadError as error:
            self._tell(f"No pods could be started: {error}")
            on_nodes.not_seen(self._found, f"{word_of(error)}: {error}")

    def _certificates(self, secret: Document) -> Any:
        """Of the TLS Secret that the configuration names; why there are none where it could not be read."""
        if "unknown" in secret:
            return secret
        certificate, key = (
            base64.b64decode((secret.get("data") or {}).get(f"tls.{part}", "")) for part in ("crt", "key")
        )
        roots = trusting(text=self._ca).get_ca_certs(binary_form=True)
        wanted, now = self._config.ingress, self._clock.now()
        return [secret_facts(wanted.tls_secret, certificate, key, wanted.host, roots, now)]

    @functools.cached_property
    def _ca(self) -> str:
        """The authorities of the configuration; empty where the file cannot be read, which `certificates` judges."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return authorities_in(self._config.ca_bundle)
        return ""


def pulls(config: Config) -> bool:
    """Whether nodes get the images from a registry: without a way out, only where there is one of one's own."""
    return not config.registry.local_images and not (config.air_gap and config.registry.host == Config().registry.host)


def missing_images(nodes: Sequence[Document], images: Sequence[str]) -> Document:
    """Node -> those that its list has not; unknown where the list is cut off (a kubelet tells of 50)."""
    found: Document = {}
    for node in nodes:
        has = [image for image in images if any(n == image or n.endswith(f"/{image}") for n in node["images"])]
        cut = {"unknown": "the node lists only its 50 largest images"}
        missing = [image for image in images if image not in has]
        found[node["name"]] = cut if missing and len(node["images"]) >= _LISTED_IMAGES else missing
    return found


@contextlib.contextmanager
def _signals(stop: Callable[[], object]) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the work in good order."""
    loop, numbers = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def merge(into: Document, more: Document) -> None:
    """Put facts into facts, key by key. What was unknown, or is now, has no other keys."""
    for key, value in more.items():
        there = into.get(key)
        if isinstance(value, dict) and isinstance(there, dict) and not {"unknown"} & (value.keys() | there.keys()):
            merge(there, value)
        else:
            into[key] = value
