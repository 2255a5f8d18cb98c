"""How browsers come in: who stands behind a class, and a request by the public name that comes back to a probe, or to somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from typing import Any

import pytest

from fairlead.preflight.check import Verdict, judged
from fairlead.preflight.checks import BY_CODE
from fairlead.preflight.config import config_of
from fairlead.preflight.facts import facts_of
from fairlead.preflight.gather import ingress, nonce, pods
from fairlead.preflight.gather.api import path_of
from fairlead.preflight.gather.look import Orders, answering, look
from fairlead.preflight.gather.objects import Lists, ingress_facts
from fairlead.preflight.gather.pods import Place
from fairlead.preflight.gather.reach import Ask

PLACE = Place(run="7f3a", namespace="fairlead-preflight-7f3a", image="x", expires=0, seconds=300)
CONFIG = config_of({"ingress": {"host": "apps.example", "class": "nginx"}})
NGINX = "k8s.io/ingress-nginx"


def a_class(name: str = "nginx", controller: str = NGINX, **annotations: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "annotations": annotations}, "spec": {"controller": controller}}


def a_controller(name: str = "ingress-nginx-controller", *args: str, ready: int = 2, image: str = "") -> dict[str, Any]:
    container = {"name": "controller", "image": image or "registry.k8s.io/ingress-nginx/controller:v1.12", "args": args}
    return {
        "metadata": {"name": name, "namespace": "ingress"},
        "spec": {"template": {"metadata": {"labels": {"app": name, "x": "y"}}, "spec": {"containers": [container]}}},
        "status": {"readyReplicas": ready},
    }


def a_service(type_: str, app: str = "ingress-nginx-controller", **status: Any) -> dict[str, Any]:
    spec = {"type": type_, "selector": {"app": app}}
    return {"metadata": {"name": "s", "namespace": "ingress"}, "spec": spec, "status": {"loadBalancer": status}}


@pytest.mark.parametrize(
    ("controller", "workloads", "endpoints"),
    [
        (NGINX, [a_controller()], 2),
        (NGINX, [a_controller(ready=0)], 0),
        (NGINX, [], 0),
        (NGINX, [a_controller("other", "--controller-class=k8s.io/internal")], 0),
        (NGINX, [a_controller("mine", "/run", f"--controller-class={NGINX}", image="corp/mirror:1", ready=3)], 3),
        ("traefik.io/ingress-controller", [a_controller("traefik", image="rancher/mirrored-library-traefik:3")], 2),
        ("traefik.io/ingress-controller", [a_controller()], 0),
    ],
)
def test_pods_behind_a_controller_are_told_by_its_flags_or_its_image(
    controller: str, workloads: list[Any], endpoints: int
) -> None:
    (found,) = ingress.class_facts([a_class(controller=controller)], workloads)
    assert found == {"name": "nginx", "controller": controller, "default": False, "endpoints": endpoints}


def test_who_a_strange_controller_is_is_unknown_and_not_nobody() -> None:
    (found,) = ingress.class_facts([a_class(controller="corp.example/gate")], [a_controller()])
    assert found["endpoints"] == {
        "unknown": "no Deployment and no DaemonSet says that it is the controller corp.example/gate"
    }
    (unlisted,) = ingress.class_facts([a_class()], None)
    assert "endpoints" not in unlisted


@pytest.mark.parametrize(
    ("services", "told"),
    [
        ([a_service("LoadBalancer", ingress=[{"ip": "192.0.2.1"}])], "address"),
        ([a_service("LoadBalancer")], "pending"),
        ([a_service("NodePort"), a_service("LoadBalancer", app="else")], "none"),
    ],
)
def test_a_load_balancer_has_an_address_waits_for_one_or_is_not_there(services: list[Any], told: str) -> None:
    default = a_class(**{"ingressclass.kubernetes.io/is-default-class": "true"})
    for chosen in ("nginx", ""):
        found = ingress.balancer_facts(
            chosen, [a_class("else", "corp.example/gate"), default], [a_controller()], services
        )
        assert found == {"load_balancer": told}
    assert ingress.balancer_facts("none", [default], [a_controller()], services) == {}


@asynccontextmanager
async def somebody(status: str) -> AsyncIterator[int]:
    """A server that repeats what it is asked for."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(EOFError):
            asked = (await reader.readuntil(b"\r\n\r\n")).split()[1]
            writer.write(f"HTTP/1.1 {status}\r\nconnection: close\r\n\r\n".encode() + asked)

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def ways(port: int) -> tuple[Ask, ...]:
    there = f"127.0.0.1:{port}{nonce.path_of('7f3a')}"
    return tuple(Ask(url=f"{scheme}://{there}", patience=2) for scheme in ("https", "http"))


async def test_a_request_comes_back_to_a_probe_and_a_page_that_repeats_it_is_none() -> None:
    path = nonce.path_of("7f3a")
    async with answering(0, "127.0.0.1") as port:
        assert await nonce.came_back(ways(port), path) == "ok"
        assert (await look(Orders(ways_in=ways(port), any_name="localhost"))).came_back == "ok"
    async with somebody("200 OK") as port:
        assert await nonce.came_back(ways(port), path, 0) == "answered with 200"
    async with somebody("404 Not Found") as port:
        assert await nonce.came_back(ways(port), path, 0) == "answered with 404"


async def test_where_nobody_answers_it_is_told_at_once_why() -> None:
    assert await nonce.came_back(ways(1), nonce.path_of("7f3a")) == "refused"
    assert await nonce.came_back((Ask(url="https://nobody.invalid/x", patience=3),), "/x") == "dns"


def test_what_somebody_else_answers_counts_once_the_controller_serves_the_way() -> None:
    assert ingress.nonce_facts(None, taken_up=False) == {}
    assert ingress.nonce_facts("refused", taken_up=False) == {"nonce": "refused"}
    assert ingress.nonce_facts("answered with 404", taken_up=True) == {"nonce": "answered with 404"}
    assert "answered with 404" in ingress.nonce_facts("answered with 404", taken_up=False)["nonce"]["unknown"]


@pytest.mark.parametrize(("word", "told"), [("ok", True), ("nxdomain", False), ("servfail", None)])
def test_any_name_below_resolves_or_not_or_nobody_could_say(word: str, told: bool | None) -> None:
    found = ingress.wildcard_facts(word, "x.apps.example")
    assert found["wildcard_dns"] == told or (told is None and "servfail" in found["wildcard_dns"]["unknown"])


class OneNamespace:
    """The part of an API that a way in is made with."""

    def __init__(self) -> None:
        self.made: dict[str, Any] = {}

    async def call(self, method: str, path: str, body: dict[str, Any]) -> None:
        assert method == "POST"
        self.made[f"{path}/{body['metadata']['name']}"] = body

    async def get(self, path: str) -> Any:
        return self.made[path]


async def test_the_way_in_leads_to_the_probes_of_the_run_and_to_nothing_else() -> None:
    api: Any = OneNamespace()
    await ingress.led_here(api, PLACE, CONFIG)
    made, service = (
        api.made[path_of(group, plural, pods.WAY_IN, PLACE.namespace)]
        for group, plural in (("networking.k8s.io/v1", "ingresses"), ("v1", "services"))
    )
    assert not await ingress.is_taken_up(api, PLACE)
    made["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    assert await ingress.is_taken_up(api, PLACE)
    (rule,) = made["spec"]["rules"]
    assert (made["spec"]["ingressClassName"], rule["host"]) == ("nginx", "apps.example")
    assert rule["http"]["paths"][0]["path"] == "/.fairlead-preflight-7f3a"
    selects = service["spec"]["selector"].items()
    assert selects <= pods.probe(PLACE, "n1", 0)["metadata"]["labels"].items()
    assert not selects <= pods.gpu_pod(PLACE, "n1", 0, "nvidia.com/gpu", None)["metadata"]["labels"].items()


def test_a_check_of_what_was_gathered_passes_and_names_each_cause() -> None:
    lists = ([a_class()], [a_controller()], [a_service("LoadBalancer", ingress=[{"ip": "192.0.2.1"}])])
    found = {"classes": ingress.class_facts(*lists[:2]), **ingress.balancer_facts("nginx", *lists)}
    found |= ingress.nonce_facts("ok", taken_up=True) | ingress.wildcard_facts("ok", "x")
    for more, verdict, cause in (
        ({}, Verdict.PASS, ""),
        (ingress.wildcard_facts("nxdomain", "x"), Verdict.WARN, "no-wildcard"),
        (ingress.nonce_facts("answered with 404", taken_up=True), Verdict.FAIL, "not-reached"),
        (ingress.nonce_facts("answered with 404", taken_up=False), Verdict.UNKNOWN, "not-known"),
        ({"classes": ingress.class_facts([a_class()], [])}, Verdict.FAIL, "no-controller"),
    ):
        judgement = judged(BY_CODE["ingress"], facts_of({"ingress": found | more}), CONFIG)
        assert (judgement.verdict, judgement.cause) == (verdict, cause)


def test_what_could_not_be_listed_is_unknown_with_the_right_that_lacks() -> None:
    lists = {"ingress_classes": [a_class()], "deployments": [a_controller()], "daemonsets": [], "services": []}
    assert ingress_facts(Lists(lists), "nginx")["load_balancer"] == "none"
    why = {"unknown": "forbidden: list services"}
    assert ingress_facts(Lists({**lists, "services": why}), "nginx")["load_balancer"] == why
    found = ingress_facts(Lists({**lists, "daemonsets": why}), "nginx")
    assert (found["load_balancer"], "endpoints" in found["classes"][0]) == (why, False)
