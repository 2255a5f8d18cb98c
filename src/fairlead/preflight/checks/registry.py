"""Images: pulled by each node's own runtime, there already, or the customer's."""

from __future__ import annotations

import re
from typing import Final

from fairlead.preflight.check import (
    ByApi,
    Check,
    Finding,
    Verdict,
    Who,
    by_node,
    failed,
    listed,
    not_needed,
    passed,
    unknown,
    warned,
)
from fairlead.preflight.checks.ways import known_as, registry_in
from fairlead.preflight.config import Config, image_home
from fairlead.preflight.facts import Facts
from fairlead.preflight.roster import node_of, roster

_CAUSES: Final = (
    ("rate", ("429", "toomanyrequests", "too many requests", "rate limit")),
    ("disk", ("no space left",)),
    ("proxy", ("proxyconnect", "proxy authentication required", "407")),
    ("scheme", ("http response to https client", "https client", "first record does not look like a tls")),
    ("tcp", ("tls handshake timeout",)),
    ("tls", ("x509", "certificate", "tls:", "tls handshake")),
    (
        "auth",
        ("401", "403", "unauthorized", "authorization failed", "denied", "no basic auth", "authentication required"),
    ),
    ("platform", ("no match for platform", "exec format")),
    ("not-found", ("404", "not found", "manifest unknown", "name unknown")),
    ("dns", ("no such host", "server misbehaving", "temporary failure in name resolution", "dial tcp: lookup ")),
    ("proxy", ("500", "502", "503", "504")),
    (
        "tcp",
        (
            "connection refused",
            "i/o timeout",
            "deadline exceeded",
            "no route",
            "dial tcp",
            "connection reset",
            "timeout",
        ),
    ),
)
"""Cause -> what runtimes say, the most telling first."""


def registry_pull(facts: Facts, config: Config) -> Finding:
    """The kubelet of every node pulls our smallest image by a digest that it has not, with the pull secret. Nothing else proves that it
    can: the runtime has authorities, proxies and mirrors of its own, and an image that is there already hides a bad secret.

    - tls: the runtime does not trust the registry's authority; our ca_bundle does not reach it. Put it under certs.d of containerd (or the
      runtime's own place), see that config_path is set in the section of that version, and restart the runtime.
    - scheme: the registry speaks http and https is asked of it, or the reverse.
    - auth: the pull secret is missing, wrong or for another host. 401 on /v2/ alone is the usual answer.
    - not-found: the registry has no such image; copy it there.
    - dns, tcp, proxy: the runtime does not reach the registry; its own proxy settings count, not a pod's.
    - blob-host: the registry sends layers from another host, which is blocked. It is named.
    - disk: the node has no room for the image.
    - rate: the limit of pulls without sign-in is used up; give a pull secret or a mirror.
    - cached: the image was there already, so nothing was proven.
    - platform: no image for the node's architecture.
    - timeout, other: what the registry or the runtime said is quoted.
    """
    if config.registry.local_images:
        return not_needed("images are on the nodes already and are never pulled")
    if not facts.known("runtime_pull"):
        return _by_http(facts, config) or unknown(facts.why("runtime_pull"))
    found = by_node(roster(facts, facts.keys("runtime_pull")), lambda name: _pulled(name, facts, config))
    some = any(facts.maybe_text("runtime_pull", node) == "ok" for node in facts.keys("runtime_pull"))
    return (_by_http(facts, config) or found) if found.verdict is Verdict.UNKNOWN and not some else found


def _pulled(name: str, facts: Facts, config: Config) -> Finding:
    said = facts.text("runtime_pull", name)
    if said == "ok":
        return passed("pulled")
    if said == "cached" or "already present on machine" in said:
        return warned(
            "it was there already, so nothing was proven", "cached", "Pull by a digest that the node has not", Who.US
        )
    cause = cause_of(said)
    if (blocked := _sent_to(said, facts, config) or _blob_host(facts)) and _is_of_layers(cause, facts):
        return blocked
    remedy, who = _remedy(cause, name, facts, config)
    if cause == "tls" and _OF_ANOTHER_NAME in said:
        remedy = "Write the name that its certificate is for in registry.host, or ask for a certificate that has this one too"
    if cause == "rate":
        return warned(f"the limit of pulls is used up: {said}", cause, remedy, who)
    return failed(f"the runtime says: {said}", cause, remedy, who)


_OF_ANOTHER_NAME: Final = "certificate is valid for"
"""What is said of a certificate that is trusted and names another host."""


def cause_of(said: str) -> str:
    """Of what a pull failed, by what the runtime said."""
    text = said.lower()
    return next((cause for cause, words in _CAUSES if any(_says(text, word) for word in words)), "other")


def _says(text: str, word: str) -> bool:
    """Whether a message says it; a status is a number by itself, and no part of a port or a digest."""
    return re.search(rf"(?<![\w.-]){word}(?!\w)", text) is not None if word.isdigit() else word in text


def _is_of_layers(cause: str, facts: Facts) -> bool:
    """Whether what the runtime met may be met at the host of the layers: where the registry itself took us in, a refusal is."""
    follow = facts.maybe_text("registry", "blob", "follow") or ""
    is_let_in = facts.maybe_number("registry", "manifest") == _FOUND
    return cause in _OF_THE_WAY or (cause == "auth" and is_let_in) or (cause == "tls" and follow.startswith("tls"))


FOLLOWED: Final = ("ok", "200")
"""What is told of layers that were fetched where the registry sends to."""
_FOUND: Final = 200
_OF_THE_WAY: Final = ("dns", "tcp", "proxy", "other")
"""Causes that a layer's own host may have, too."""
_ASKED: Final = re.compile(r'\b(?:Get|Head) \\*"https?://([^/"\\\s]+)(/[^"\\\s]*)?', re.IGNORECASE)
_LOOKED_UP: Final = re.compile(r"\blookup ([\w.-]+)")
_API: Final = "/v2/"
"""Begins the paths that a registry, or a mirror of it, is asked for."""
_SIGN_IN: Final = ("/token", "/auth")
"""In the paths of who signs in for it."""


def _sent_to(said: str, facts: Facts, config: Config) -> Finding | None:
    """The runtime names the host of a layer that it did not reach, which is another than the registry's."""
    asked = _ASKED.findall(said) or [(host, "") for host in _LOOKED_UP.findall(said) if _is_named(config)]
    host, path = asked[-1] if asked else ("", "")
    plain = path.partition("?")[0]
    registry = registry_in(image_home(config))
    is_registry = host in (registry, known_as(registry, facts)) or plain.startswith(_API)
    if not host or is_registry or any(part in plain for part in _SIGN_IN):
        return None
    return blocked_layers(host, f"the runtime says: {said}")


def _is_named(config: Config) -> bool:
    """Whether the configuration says which registry is asked, so that every other host is another one."""
    return config.registry.host != Config().registry.host


def _blob_host(facts: Facts) -> Finding | None:
    """Layers come from another host than the one that was asked, and that is blocked."""
    follow, host = facts.maybe_text("registry", "blob", "follow"), facts.maybe_text("registry", "blob", "location_host")
    if follow in (None, *FOLLOWED):
        return None
    return blocked_layers(host or "", follow)


def blocked_layers(host: str, how: str) -> Finding:
    """Layers come from a host that is not reached, or that does not give them; `how`: what was seen of that."""
    where = "that host" if not host else host if ":" in host else f"{host}:443"
    state, remedy = "is blocked", f"Ask for: from the nodes to {where} TCP, for layers of images"
    if how.isdigit():
        state, remedy = (
            "does not give them",
            f"Ask for: from the nodes to {where}, through what refuses it there, for layers of images",
        )
    elif any(word in how.lower() for word in ("x509", "certificate")):
        state, remedy = (
            "is not trusted",
            f"Give the authority of {where} to the nodes' runtimes, and set ca_bundle to it",
        )
    seen = f"the registry answers, and sends layers from {host or 'another host'}, which {state} ({how})"
    return failed(seen, "blob-host", remedy, Who.NETWORK)


def _by_http(facts: Facts, config: Config) -> Finding | None:
    """What asking the registry ourselves explains, where the runtimes' answer is not known. It never makes a pass."""
    if blocked := _blob_host(facts):
        return blocked
    cause = facts.maybe_text("registry", "error") or _by_status(facts)
    if not cause:
        return None
    remedy, who = _remedy(cause, "the nodes", facts, config)
    seen = f"{image_home(config)}: {_SAID.get(cause, cause)}"
    return warned(seen, cause, remedy, who) if cause == "rate" else failed(seen, cause, remedy, who)


_SAID: Final = {
    "auth": "it wants a sign-in, or refuses ours",
    "not-found": "it has no such image",
    "dns": "its name is not resolved",
    "tcp": "it does not answer",
    "timeout": "it does not answer in time",
    "tls": "its certificate is not trusted",
    "scheme": "it speaks http where https is asked, or the reverse",
    "proxy": "the proxy before it does not let us through",
    "rate": "the limit of pulls is used up",
}
_OF_SIGN_IN: Final = ("dns", "tcp", "tls", "proxy", "timeout")
"""Classes of what went wrong on the way to who signs in; any other word for it is a refusal."""


def _by_status(facts: Facts) -> str:
    statuses = [
        facts.maybe_number("registry", key)
        for key in ("manifest", "manifest_from_probe_pod_with_ca_bundle", "manifest_from_probe_pod")
    ]
    status = next((each for each in statuses if each is not None), None)
    token = facts.maybe_text("registry", "token")
    if token in _OF_SIGN_IN:
        return token
    if token not in (None, "ok", "not_needed", "issued", "granted") or status in (401, 403):
        return "auth"
    return {404: "not-found", 429: "rate"}.get(int(status or 0), "")


def _remedy(cause: str, name: str, facts: Facts, config: Config) -> tuple[str, Who]:
    whole = image_home(config)
    host = whole.partition("/")[0]
    told = node_of(facts, name).maybe_text("runtime") or "containerd"
    runtime, (place, trusting) = told.partition(":")[0], _trust(told, host)
    remedies = {
        "tls": (
            f"On {name}: {trusting}",
            Who.CLUSTER_ADMIN,
        ),
        "scheme": (f"On {name}: say in {place} whether {host} speaks http or https", Who.CLUSTER_ADMIN),
        "auth": (
            _new_secret(config),
            Who.YOU,
        ),
        "not-found": (f"Copy the product's images to {whole}", Who.YOU),
        "rate": ("Set registry.pull_secret, or a mirror in registry.mirrors", Who.YOU),
        "platform": (f"Copy all architectures to {whole}", Who.YOU),
        "proxy": (
            f"On {name}: correct the proxy of {runtime} (HTTPS_PROXY, NO_PROXY of its service); "
            f"where it has none, look at the log of {host} for why it answers so",
            Who.CLUSTER_ADMIN,
        ),
        "dns": (f"Ask for: {name} to resolve {registry_in(host)}", Who.NETWORK),
        "disk": (f"Free disk on {name}, or add some: df -h there says how much is left", Who.CLUSTER_ADMIN),
        "other": (f"On {name}: the log of {runtime} says more (journalctl -u {runtime})", Who.CLUSTER_ADMIN),
    }
    return remedies.get(cause, (f"Ask for: from {name} to {registry_in(host)} TCP, for images", Who.NETWORK))


def _trust(runtime: str, host: str) -> tuple[str, str]:
    """(file that says how a registry is reached, what to do so that its authority is trusted), of a node's runtime and version."""
    distribution = next((each for each in ("k3s", "rke2") if each in runtime), "")
    if distribution:  # they write containerd's own files themselves
        place = f"/etc/rancher/{distribution}/registries.yaml"
        return (
            place,
            f"name the registry's authority in {place} (configs, {host}, tls, ca_file), and restart {distribution}",
        )
    if runtime.partition(":")[0] == "containerd":
        place = f"/etc/containerd/certs.d/{host}"
        files = f"put the registry's authority into {place}/ca.crt and name it in hosts.toml beside it"
        then = "(docs/howto/own-authority.md has both files); restart containerd where its config_path was not set"
        return f"{place}/hosts.toml", f"{files} {then}"
    how = f"put the registry's authority into /etc/containers/certs.d/{host}/ca.crt, and restart {runtime.partition(':')[0]}"
    return "/etc/containers/registries.conf", how


def _new_secret(config: Config) -> str:
    """It also replaces one that is there and wrong."""
    name, server = config.registry.pull_secret or "NAME", image_home(config).partition("/")[0]
    made = f"kubectl -n {config.namespace} create secret docker-registry {name} --docker-server={server}"
    made += " --docker-username=USER --docker-password=PASSWORD --dry-run=client -o yaml | kubectl apply -f -"
    return made if config.registry.pull_secret else f"{made} and set registry.pull_secret to NAME"


def local_images(facts: Facts, config: Config) -> Finding:
    """Without a way out every image has to be in your registry, or on every node: the product's, and the probe's own.

    - missing: images that are not there; copy them.
    """
    if config.registry.local_images:
        nodes = roster(facts, facts.maybe_keys("images_missing_on"))
        return by_node(nodes, lambda name: _on_node(name, facts))
    if not config.air_gap and not config.registry.mirrors:
        return not_needed("images are pulled from where they are made")
    remedy = f"Copy the missing images to {image_home(config)}: fairlead bundle create where they can be had, then fairlead bundle load"
    missing = facts.maybe_texts("registry", "mirror_missing")
    lacks = [
        what
        for key, what in (
            ("mirror_has_product_images", "the product's images"),
            ("mirror_has_probe_image", "the probe's image"),
        )
        if facts.maybe_flag("registry", key) is False
    ]
    if missing or lacks:
        named = listed(missing) if missing else " and ".join(lacks)
        return failed(f"not in {image_home(config)}: {named}", "missing", remedy, Who.YOU)
    facts.flag("registry", "mirror_has_product_images")
    facts.flag("registry", "mirror_has_probe_image")
    return passed(f"all images are in {image_home(config)}")


def _on_node(name: str, facts: Facts) -> Finding:
    missing = facts.texts("images_missing_on", name)
    if missing:
        return failed(
            f"it has not: {listed(missing)}",
            "missing",
            f"Load the missing images on {name}: ctr -n k8s.io images import FILE; if they are there with another tag, set images.tag",
        )
    return passed("it has all images")


def user_images(facts: Facts, config: Config) -> Finding:
    """An image of yours, named in `images.sample`, is started under the rules of a project.

    - not-started: what stopped it is quoted: root where only other users may run, an architecture, a pull secret of the project.
    """
    if not config.images.sample:
        return not_needed("images.sample names none")
    if facts.flag("user_image", "ran"):
        return passed(f"{config.images.sample} ran")
    said = facts.maybe_text("user_image", "event")
    remedy = "Build it for a user who is not root, for the nodes' architecture, and give the project its pull secret"
    return warned(
        f"{config.images.sample} did not start" + (f": {said}" if said else ""), "not-started", remedy, Who.YOU
    )


_ROW: Final = "image registry"

CHECKS: Final = (
    Check(
        code="registry-pull",
        title="Every node pulls our images",
        row=_ROW,
        severity=Verdict.FAIL,
        needs=("runtime_pull", "registry", "nodes[].runtime"),
        expected="the runtime of every node pulls an image it has not",
        rules="pass: every node pulls; warn: rate limit, or the image was cached; fail: any other answer",
        disables=("install", "submit", "upgrade"),
        causes=(
            "rate",
            "scheme",
            "tls",
            "auth",
            "not-found",
            "dns",
            "tcp",
            "platform",
            "proxy",
            "blob-host",
            "disk",
            "cached",
            "timeout",
            "other",
        ),
        judge=registry_pull,
    ),
    Check(
        code="local-images",
        title="Images are there without a way out",
        row=_ROW,
        severity=Verdict.FAIL,
        needs=(
            "registry.mirror_has_product_images",
            "registry.mirror_has_probe_image",
            "registry.mirror_missing",
            "images_missing_on",
        ),
        expected="every image in your registry, or on every node",
        rules="pass: every image and the probe's; fail: some are missing, which are listed",
        disables=("install", "upgrade"),
        causes=("missing",),
        judge=local_images,
        by_api=ByApi.FAULTS,
    ),
    Check(
        code="user-images",
        title="Your image starts",
        row="images",
        severity=Verdict.WARN,
        needs=("user_image",),
        expected="your image starts under the rules of a project",
        rules="pass: it starts; warn: it does not",
        disables=("submit",),
        causes=("not-started",),
        judge=user_images,
    ),
)
