"""What pods on the nodes find out: a probe on each node, and beside them a GPU used and volumes written."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fairlead.preflight.check import Check
from fairlead.preflight.checks import BY_CODE, CHECKS
from fairlead.preflight.checks.registry import cause_of
from fairlead.preflight.config import Config, images_inside, keeps_data
from fairlead.preflight.gather import asks, ingress, trials, user_image, volumes
from fairlead.preflight.gather.api import Api, known, path_of, unknown
from fairlead.preflight.gather.look import Looked, Orders
from fairlead.preflight.gather.made import MISSING
from fairlead.preflight.gather.pods import Place
from fairlead.preflight.gather.probes import REFUSED, Limits, Probed, Probes
from fairlead.preflight.gather.reach import Seen
from fairlead.preflight.gather.registry import Wanted, wanted_of
from fairlead.runtime.errors import FairleadError

Facts = dict[str, Any]
Tell = Callable[[str], None]

_GPUS: Final = "NVIDIA"
"""Row of the requirements whose checks want a GPU used."""


class Asked(Struct, frozen=True, kw_only=True):
    """What is to be found out, and for which configuration. `ca`: authorities of its own, PEM; `codes`: the checks to be made, or all."""

    config: Config
    ca: str = ""
    codes: tuple[str, ...] = ()

    def needs(self, fact: str) -> bool:
        """Whether one of the checks needs facts that begin so."""
        return any(need.startswith(fact) for check in self._checks() for need in check.needs)

    def tells_of(self, row: str) -> bool:
        """Whether one of the checks is of that row of the requirements."""
        return any(check.row == row for check in self._checks())

    def _checks(self) -> Iterable[Check]:
        return [BY_CODE[code] for code in self.codes] or CHECKS


async def gather(api: Api, place: Place, asked: Asked, found: Facts, tell: Tell) -> None:
    """Put into `found` what pods see. What is late is missing there, and what came stays."""
    config, ca = asked.config, asked.ca
    nodes = [each for each in found["nodes"] if is_probed(each)]
    names = [each["name"] for each in nodes]
    tell(f"Starting a probe on {len(names)} node{'s' * (len(names) != 1)} ...")
    found |= {key: {} for key in _BY_NODE}
    probes = Probes(api, place, Limits(), tell)
    tokens = await _tokens(api, config)
    once = asks.service_requests(config, ca, tokens, place.run)
    if page := (found.get("oidc") or {}).get("authorization_endpoint"):
        once[asks.AUTHORIZATION] = asks.request(page, config, ca)
    written = asks.read_back_requests(config, ca, tokens, place.run)
    if stream := asks.stream_request(config, ca, tokens) if asked.needs("control_plane") else None:
        tell(f"Holding the agent's connection for {stream.seconds:g} s, beside the rest ...")
    secret = await _pull_secret(api, place)
    first = Orders(
        requests=once,
        read_back=written,
        stream=stream,
        registry=_registry(place, config, ca, secret),
    )
    if config.ingress.host and asked.needs("ingress"):
        first = await _with_way_in(api, place, asked, found, first)
    orders, taken_up = _orders(config, ca, found, names, first), False
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_trials(api, place, asked, found, nodes))
            group.create_task(probes.run(names, orders))
        taken_up = bool(first.ways_in) and await ingress.is_taken_up(api, place)
    finally:
        found["ingress"] |= ingress.nonce_facts(_way_in(probes.results), taken_up=taken_up)
        _told(place, config, found, probes.results, api.clock.now())


async def _with_way_in(api: Api, place: Place, asked: Asked, found: Facts, orders: Orders) -> Orders:
    """The orders, and a request by the public name that comes back here; where no way in can be made, why is put into `found`."""
    orders = replace(orders, any_name=ingress.any_name(asked.config, place.run))
    try:
        await ingress.led_here(api, place, asked.config)
    except FairleadError as error:
        found["ingress"]["nonce"] = unknown(f"an Ingress of this run could not be made: {error}")
        return orders
    return replace(orders, ways_in=ingress.asks(asked.config, asked.ca, place.run))


def _way_in(results: Mapping[str, Probed]) -> str | None:
    """What came of the request by the public name; None where no probe made it."""
    return next((each.looked.came_back for each in results.values() if each.looked and each.looked.came_back), None)


def not_seen(found: Facts, why: str) -> None:
    """Put into `found` why there is nothing from pods, none of which could be made."""
    for key in (*_BY_NODE, *_OF_ONE):
        found.setdefault(key, unknown(why))
    for key in ("nonce", "wildcard_dns"):
        found.setdefault("ingress", {}).setdefault(key, unknown(why))
    for node in found["nodes"]:
        _no_pod_on(node, why)


def _no_pod_on(node: Facts, why: str) -> None:
    for key in (*_OF_NODE, "driver", "gpu_pod"):
        node.setdefault(key, unknown(why))


def is_probed(node: Facts) -> bool:
    """Whether a node can have a probe: it is up, real, and runs Linux."""
    return bool(node["ready"]) and not node.get("virtual") and node.get("os", "linux") == "linux"


async def _tokens(api: Api, config: Config) -> asks.Tokens:
    """Those in the Secrets that the configuration names, where they may be read."""

    async def in_secret(name: str | None, key: str = "token") -> str:
        if not name:
            return ""
        read = await known(api.get(path_of("v1", "secrets", name, config.namespace)))
        return base64.b64decode((read.get("data") or {}).get(key, "")).decode(errors="replace").strip()

    return asks.Tokens(
        prometheus=await in_secret(config.prometheus.token_secret),
        remote_write=await in_secret(config.remote_write.token_secret),
        control_plane=await in_secret(config.control_plane.token_secret, "secret"),
    )


def _registry(place: Place, config: Config, ca: str, secret: bytes) -> Wanted | None:
    """What to ask the registry for: the image the probes run. `secret`: the pull secret that was copied for them."""
    if config.registry.local_images:
        return None
    url = asks.registry_url(config)
    scheme = url.partition(":")[0]
    copies = images_inside(config) if config.air_gap or config.registry.mirrors else ()
    return wanted_of(place.image, secret, ca=ca, scheme=scheme, proxy=asks.proxy_of(url, config), copies=copies)


async def _pull_secret(api: Api, place: Place) -> bytes:
    """The JSON of the run's own copy; nothing where there is none."""
    if not place.pull_secret:
        return b""
    read = await known(api.get(path_of("v1", "secrets", place.pull_secret, place.namespace)))
    return base64.b64decode((read.get("data") or {}).get(".dockerconfigjson", ""))


def _orders(config: Config, ca: str, found: Facts, names: Sequence[str], once: Orders) -> Callable[[str], Orders]:
    """What the probe of a node looks at. `once`: what the first of them asks for all."""
    everywhere = asks.egress_requests(config, ca)
    if host := found["cluster"].get("kubernetes_service_ip"):
        everywhere |= asks.api_requests(config, host)
    everywhere.pop(f"{asks.EGRESS}charts", None)  # Helm asks for the chart, from where the command runs
    wanted, file_server = asks.names_of(config), config.storage.nfs.partition(":")[0]

    def of(node: str) -> Orders:
        if names and node == names[0]:
            return replace(once, requests=everywhere | once.requests, names=wanted, nfs=file_server)
        return Orders(requests=everywhere, names=wanted, nfs=file_server)

    return of


def _told(place: Place, config: Config, found: Facts, results: Mapping[str, Probed], now: float) -> None:
    """The results as facts."""
    at = {name: index for index, name in enumerate(each["name"] for each in found["nodes"])}
    for node, probed in sorted(results.items()):
        found["probes"][node] = _probe(probed)
        if probed.exit is not None or probed.looked is not None:
            found["probe_exit"][node] = probed.exit or 0
        if probed.pull is not None:
            found["runtime_pull"][node] = probed.pull
        elif probed.state == "image_pull_failed":
            found["runtime_pull"][node] = probed.message or probed.status
        if config.registry.local_images and (probed.looked or probed.state == "image_pull_failed"):
            listed = found["images_missing_on"].get(node)
            others = [image for image in listed if image != place.image] if isinstance(listed, list) else []
            # that it runs is the proof; what a node lists of its images is late, and cut off
            found["images_missing_on"][node] = others if probed.looked else [place.image, *others]
        if probed.looked is not None:
            _seen(node, probed, probed.looked, config, found, now)
            found["nodes"][at[node]] |= _of_node(probed.looked)
    _refused(found, {node: each.message for node, each in results.items() if each.status == REFUSED}, at)
    if place.no_secret:
        found["runtime_pull"] |= _without_secret(place, config, found["runtime_pull"], list(results))


def _without_secret(place: Place, config: Config, said: Facts, nodes: Sequence[str]) -> Facts:
    """What is to be said of pulls that were tried without the secret that is named. What stops them before anybody asks for it stands."""
    secret = f"the pull secret {config.registry.pull_secret} of the namespace {config.namespace}"
    is_missing = place.no_secret == MISSING
    told: Any = f"unauthorized: {secret} is not there" if is_missing else unknown(f"{secret} could not be read")
    return {node: told for node in nodes if _is_for_want_of_secret(said.get(node))}


def _is_for_want_of_secret(said: Any) -> bool:
    """Whether a pull was not tried, went well, or was refused for who asked."""
    return not isinstance(said, str) or said == "ok" or cause_of(said) == "auth"


def _refused(found: Facts, why: Mapping[str, str], at: Mapping[str, int]) -> None:
    """Put into `found` why there is nothing from the probes that the API server did not take. `why`: by node, as `at`."""
    for node, said in why.items():
        for key in ("clock", "dns", "probe_exit"):
            found[key][node] = unknown(said)
        _no_pod_on(found["nodes"][at[node]], said)
    if why and len(why) == len(found["probes"]):
        not_seen(found, next(iter(why.values())))


def _probe(probed: Probed) -> Facts:
    told: Facts = {
        "state": probed.state,
        "status": probed.status,
        "image": probed.image,
        "last_event": probed.event,
        "last_message": probed.message,
    }
    found = {key: value for key, value in told.items() if value}
    if probed.looked is not None:
        found["egress_ok"] = _is_out(probed.looked)
    return found


def _is_out(looked: Looked) -> bool:
    """Whether names were resolved and something beyond the node was reached."""
    inside = next(iter(looked.names.values()), None)
    reached = [each.by_address == "ok" for each in looked.peers.values()] + [
        e.tcp == "ok" for e in looked.requests.values()
    ]
    return (inside is None or inside.plain == "ok") and any(reached)


def _seen(node: str, probed: Probed, looked: Looked, config: Config, found: Facts, now: float) -> None:
    found["clock"][node] = {"offset_seconds": probed.offset, "round_trip_seconds": probed.round_trip}
    if looked.names:
        found["dns"][node] = asks.dns_facts(looked)
    found["connectivity"][node] = {peer: asks.link_facts(link) for peer, link in looked.peers.items()}
    egress = found.setdefault("egress", {})
    for name, answers in asks.by_way(looked.requests).items():
        way = egress.setdefault(name, {})
        way.setdefault("nodes", {})[node] = asks.way_facts(name, answers, config, now)
        if hosts := asks.hosts_led_to(answers.values()):
            way["hosts_seen"] = sorted({*way.get("hosts_seen", ()), *hosts})
    _of_api(looked, found)
    _of_stream(looked, found)
    if looked.nfs is not None:
        found.setdefault("nfs_server", {})[node] = looked.nfs
    found["ingress"] |= ingress.wildcard_facts(looked.any_name, f"a name below {config.ingress.host}")
    if looked.registry is not None:
        found["registry"] = looked.registry
    if (wrote := looked.requests.get(asks.REMOTE_WRITE)) is not None:
        found["remote_write"] = asks.remote_write_facts(wrote, looked.read_back.get(asks.REMOTE_WRITE))
    if (page := looked.requests.get(asks.AUTHORIZATION)) is not None:
        found["oidc"] |= asks.authorization_facts(page)
    prometheus = found["prometheus"] if "unknown" not in found["prometheus"] else {}
    found |= asks.metrics_of(looked.requests, prometheus, found["nodes"])


def _of_api(looked: Looked, found: Facts) -> None:
    """The API as a pod reaches it; TLS that is not verified counts, for the pod has no token and no authority here."""
    told: Facts = {"env_host": looked.api_host} if looked.api_host else {}
    for key, name in ((asks.API, "direct"), (asks.API_BY_PROXY, "via_proxy")):
        seen = looked.requests.get(key)
        if seen is not None and (status := _status(seen)) is not None:
            told[name] = status
    found.setdefault("in_cluster_api", {}).update(told)


def _of_stream(looked: Looked, found: Facts) -> None:
    """The agent's connection, and the version of who answers there."""
    if looked.stream is not None:
        health = looked.requests.get(f"{asks.EGRESS}control-plane")
        found["control_plane"] = asks.stream_facts(looked.stream, health) | (
            asks.health_facts(health) if health else {}
        )


def _status(seen: Seen) -> int | None:
    if seen.status is not None:
        return seen.status
    if seen.connect is not None and seen.connect // 100 != 2:
        return seen.connect
    return 401 if seen.tls == "verify_failed" else None


def _of_node(looked: Looked) -> Facts:
    told = msgspec.structs.asdict(looked)
    found = {key: told[key] for key in _OF_NODE if told[key] is not None}
    if looked.pci_nvidia is not None:
        found["driver"] = looked.driver
    return found


_BY_NODE: Final = ("probes", "probe_exit", "clock", "dns", "connectivity", "runtime_pull")
_OF_ONE: Final = ("dry_run", "in_cluster_api", "registry", "control_plane", "system_volume_trial", "user_image")
"""What pods tell beside that: a trial, or what one of them asks for all."""
_OF_NODE: Final = ("pci_nvidia", "nvswitch", "nvml_devices", "mig_enabled_devices", "free_disk_bytes")


async def _trials(api: Api, place: Place, asked: Asked, found: Facts, nodes: Sequence[Facts]) -> None:
    """What is tried out beside the probes, as far as a check needs it."""
    config = asked.config
    gpus = [each for each in nodes if trials.device_of(each)]
    classes = found["runtime_classes"]
    known_classes = [each["name"] for each in classes] if isinstance(classes, list) else []
    storage = config.storage
    names = [each["name"] for each in nodes]
    own = [each["name"] for each in nodes if config.system_nodes.label in each["labels"]]

    async def gpu() -> None:
        for node, seen in (await trials.gpu_trials(api, place, gpus, known_classes)).items():
            next(each for each in nodes if each["name"] == node).update(seen)

    async def system() -> None:
        if keeps_data(config) and (
            storage.class_ or any(each.get("default") for each in _listed(found["storage_classes"]))
        ):
            found["system_volume_trial"] = await known(volumes.system_volume(api, place, config, own))

    async def shared() -> None:
        if storage.shared_class or storage.shared_claim or storage.nfs:
            found["shared_volume_trial"] = await known(volumes.shared_volume(api, place, config, names))

    async def dry() -> None:
        found["dry_run"] = await known(trials.dry_runs(api, place, config))

    async def sample() -> None:
        if config.images.sample:
            found["user_image"] = await known(user_image.tried(api, place, config.images.sample))

    wanted = (
        (gpu, asked.tells_of(_GPUS)),
        (system, asked.needs("system_volume_trial")),
        (shared, asked.needs("shared_volume_trial")),
        (dry, asked.needs("dry_run")),
        (sample, asked.needs("user_image")),
    )
    await asyncio.gather(*(trial() for trial, is_wanted in wanted if is_wanted))


def _listed(value: Any) -> list[Facts]:
    return value if isinstance(value, list) else []
