"""How browsers come into the cluster: who stands behind an IngressClass, and an Ingress of a run's own (`ingress` of the facts).

A class names its controller by a word that its author chose. Which pods are it is said by their flags, or known of the usual ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fairlead.preflight.config import Config
from fairlead.preflight.gather import nonce, pods
from fairlead.preflight.gather.api import Api, path_of, unknown
from fairlead.preflight.gather.asks import proxy_of
from fairlead.preflight.gather.pods import Place
from fairlead.preflight.gather.reach import Ask
from fairlead.runtime.errors import FairleadError

Document = Mapping[str, Any]
Facts = dict[str, Any]

_DEFAULT: Final = "ingressclass.kubernetes.io/is-default-class"
_FLAG: Final = re.compile(r"--?(?:controller-class|ingress\.class-?controller|ingress-class-controller)=(\S+)")
_KNOWN: Final = {
    "k8s.io/ingress-nginx": r"ingress-nginx|nginx-ingress-controller",
    "nginx.org/ingress-controller": r"nginx/nginx-ingress|nginx-ic",
    "traefik.io/ingress-controller": r"traefik",
    "haproxy.org/ingress-controller": r"haproxytech/kubernetes-ingress",
    "haproxy-ingress.github.io/controller": r"haproxy-ingress",
    "projectcontour.io/ingress-controller": r"projectcontour/contour|contour",
    "ingress-controllers.konghq.com/kong": r"kong",
    "istio.io/ingress-controller": r"istio-ingress",
    "openshift.io/ingress-to-route": r"^router-",
    "cilium.io/ingress-controller": r"^cilium(-envoy)? ",
    "ingress.k8s.aws/alb": r"aws-load-balancer-controller",
}
"""Controller -> what the name or an image of its Deployment or DaemonSet says."""


def class_facts(classes: Sequence[Document], workloads: Sequence[Document] | None) -> list[Facts]:
    """IngressClasses. `workloads`: all Deployments and DaemonSets; None where they could not be listed."""
    return [
        {
            "name": each["metadata"]["name"],
            "controller": _controller(each),
            "default": _is_default(each),
            **({} if workloads is None else {"endpoints": _ready_behind(_controller(each), workloads)}),
        }
        for each in classes
    ]


def balancer_facts(
    chosen: str, classes: Sequence[Document], workloads: Sequence[Document], services: Sequence[Document]
) -> Facts:
    """Whether browsers get an address from a load balancer. `chosen`: name of the class; empty for the default one."""
    wanted = next((e for e in classes if (e["metadata"]["name"] == chosen if chosen else _is_default(e))), None)
    behind = _behind(_controller(wanted), workloads) if wanted else None
    if not behind:
        return {}
    balanced = [s for s in services if _spec(s).get("type") == "LoadBalancer" and any(_selects(s, w) for w in behind)]
    if not balanced:
        return {"load_balancer": "none"}
    return {"load_balancer": "address" if any(_has_address(each) for each in balanced) else "pending"}


def _ready_behind(controller: str, workloads: Sequence[Document]) -> int | Facts:
    behind = _behind(controller, workloads)
    if behind is None:
        return unknown(f"no Deployment and no DaemonSet says that it is the controller {controller}")
    return sum(_ready(each) for each in behind)


def _behind(controller: str, workloads: Sequence[Document]) -> list[Document] | None:
    """What is that controller; None where it cannot be told who it would be."""
    if told := [each for each in workloads if _told(each) == controller]:
        return told
    if controller not in _KNOWN:
        return None
    return [each for each in workloads if not _told(each) and re.search(_KNOWN[controller], _described(each))]


def _told(workload: Document) -> str:
    """The controller that it is by its flags; empty where they do not say."""
    for container in _containers(workload):
        if said := _FLAG.search("\n".join(str(a) for a in (*container.get("command", ()), *container.get("args", ())))):
            return said[1]
    return ""


def _described(workload: Document) -> str:
    return " ".join([workload["metadata"]["name"], *(str(each.get("image", "")) for each in _containers(workload))])


def _containers(workload: Document) -> Sequence[Document]:
    found: Sequence[Document] = _template(workload).get("spec", {}).get("containers") or ()
    return found


def _ready(workload: Document) -> int:
    status = workload.get("status") or {}
    return int(status.get("numberReady") or status.get("readyReplicas") or 0)


def _selects(service: Document, workload: Document) -> bool:
    wanted = _spec(service).get("selector") or {}
    labels = (_template(workload).get("metadata") or {}).get("labels") or {}
    same = service["metadata"].get("namespace") == workload["metadata"].get("namespace")
    return bool(same and wanted and wanted.items() <= labels.items())


def _has_address(service: Document) -> bool:
    given = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress")
    return bool(given or _spec(service).get("externalIPs"))


def _spec(each: Document) -> Document:
    found: Document = each.get("spec") or {}
    return found


def _template(workload: Document) -> Document:
    found: Document = _spec(workload).get("template") or {}
    return found


def _controller(each: Document) -> str:
    return str(_spec(each).get("controller", ""))


def _is_default(each: Document) -> bool:
    return (each["metadata"].get("annotations") or {}).get(_DEFAULT) == "true"


_INGRESSES: Final = ("networking.k8s.io/v1", "ingresses")


async def led_here(api: Api, place: Place, config: Config) -> None:
    """Let a path of the public name lead to the probes: a Service and an Ingress of this run alone. Raises: FairleadError."""
    await api.call("POST", path_of("v1", "services", namespace=place.namespace), pods.answering(place))
    body = pods.way_in(place, config.ingress.host, config.ingress.class_, nonce.path_of(place.run))
    await api.call("POST", path_of(*_INGRESSES, namespace=place.namespace), body)


def asks(config: Config, ca: str, run: str) -> tuple[Ask, ...]:
    """The ways by which it may come back: by TLS, without, and through the proxy that pods have for it."""
    there = f"{config.ingress.host}{nonce.path_of(run)}"
    direct = [Ask(url=f"{scheme}://{there}", ca=ca, patience=nonce.PATIENCE) for scheme in ("https", "http")]
    proxy = proxy_of(f"https://{there}", config)
    return (*direct, *([Ask(url=f"https://{there}", ca=ca, proxy=proxy, patience=nonce.PATIENCE)] if proxy else []))


def any_name(config: Config, run: str) -> str:
    """A name below the public host that nobody set up by itself."""
    return f"fairlead-preflight-{run}.{config.ingress.host}"


def wildcard_facts(word: str | None, name: str) -> Facts:
    """Whether any name resolves. `word`: what came of it, None where it was not looked up."""
    if word is None:
        return {}
    known = word in ("ok", "nxdomain")
    return {"wildcard_dns": word == "ok" if known else unknown(f"{name} could not be looked up: {word}")}


def nonce_facts(word: str | None, *, taken_up: bool) -> Facts:
    """What the way of the request tells. `word`: what came of it, None where it was not asked.

    `taken_up`: whether the controller serves the Ingress of the run. Before it does, others answer in its place.
    """
    if word is None:
        return {}
    if taken_up or not word.startswith(nonce.ANSWERED):
        return {"nonce": word}
    return {"nonce": unknown(f"it is {word}, and the controller did not say that it serves the Ingress of this run")}


async def is_taken_up(api: Api, place: Place) -> bool:
    """Whether a controller says that it serves the Ingress of the run: it then writes where."""
    try:
        made = await api.get(path_of(*_INGRESSES, pods.WAY_IN, place.namespace))
    except FairleadError:
        return False
    return bool(((made.get("status") or {}).get("loadBalancer") or {}).get("ingress"))
