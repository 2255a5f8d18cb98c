"""Hidden addresses: others of the same sort, in the same ranges; versions are no addresses."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.cli.support.addresses import Addresses


def hidden(text: str, *seen: str, salt: str = "s") -> str:
    made = Addresses(salt)
    made.learn([*seen, text])
    return made.text(text)


@pytest.mark.parametrize(
    "text",
    [
        "dial tcp {}: refused",
        "https://{}/api",
        "from {}, to",
        '"{}"',
        "host={}",
        "node:{}",
        "nodes: {}/32",
        "({})",
        "is {}.",
    ],
)
@pytest.mark.parametrize(
    "address",
    ["10.83.7.21", "203.0.113.77", "1.34.2.1", "fd12:3456:789a::77", "2001:DB8:0:1:2:3:4:5", "::ffff:10.1.2.3"],
)
def test_an_address_is_hidden_wherever_it_stands(text: str, address: str) -> None:
    if "://" in text and ":" in address:
        address = f"[{address}]"
    said, (before, after) = hidden(text.format(address)), text.split("{}")
    assert address not in said
    assert said.startswith(before)
    assert said.endswith(after)
    ip_address(said[len(before) : len(said) - len(after)].strip("[]"))


@pytest.mark.parametrize(
    "text",
    [
        "version 1.34.2.1",
        '"git_version": "1.34.2.1"',
        "version=1.34.2.1",
        "v1.34.2.1",
        "kubectl/1.34.2.1",
        "registry.example/team/pause:1.34.2.1",
        "kernel 5.15.0.1-generic",
        "cuda-10.0.1.6",
        "550.54.15.1 is no address",
        "1.2.3.4.5",
        "at 10:56:00, and aa:bb:cc:dd:ee:ff",
        "std::add core::face",
        "2026-11-29T10:56:00.123Z",
    ],
)
def test_versions_times_and_words_stay(text: str) -> None:
    assert hidden(text) == text


def test_what_is_an_address_elsewhere_is_one_within_a_name_too() -> None:
    said = hidden("10.0.0.5 runs kube-apiserver-10.0.0.5")
    address = said.split()[0]
    assert said == f"{address} runs kube-apiserver-{address}"
    assert address != "10.0.0.5"
    assert "10.0.0.5" not in hidden("GET /api/v1/nodes/10.0.0.5")
    assert hidden("ip-10-0-0-5.internal") == f"ip-{address.replace('.', '-')}.internal"


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1 ::1 :: 0.0.0.0 0.0.0.0/0 ::/0 255.255.255.0 169.254.169.254",
        "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fd00::/8,fe80::/10",
    ],
)
def test_what_every_machine_has_stays(text: str) -> None:
    assert hidden(text) == text


def test_a_range_keeps_its_length_and_what_is_in_it() -> None:
    said = hidden("10.244.0.0/16 10.244.3.0/24 10.244.3.17 10.96.0.0/12 fd00:10:244::/56 fd00:10:244:0:3::9").split()
    wide, narrow, pod, services = ip_network(said[0]), ip_network(said[1]), ip_address(said[2]), ip_network(said[3])
    assert (wide.prefixlen, narrow.prefixlen, services.prefixlen) == (16, 24, 12)
    assert narrow.subnet_of(wide)  # type: ignore[arg-type]  # both are of one family
    assert pod in narrow
    assert pod.is_private
    assert not services.overlaps(wide)
    assert ip_address(said[5]) in ip_network(said[4])


ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


@given(st.lists(ADDRESSES, min_size=2, max_size=6, unique=True), st.integers(0, 32))
def test_what_began_alike_begins_alike_and_no_two_become_one(given_: list[object], bits: int) -> None:
    made = Addresses("s")
    pairs = [(ip_address(str(each)), ip_address(made.text(str(each)))) for each in given_]
    for (a, x), (b, y) in combinations(pairs, 2):
        if a.version == b.version and not {x, y} & {a, b}:
            shift = a.max_prefixlen - bits
            assert (int(a) >> shift == int(b) >> shift) is (int(x) >> shift == int(y) >> shift)
            assert x != y


def test_another_salt_gives_other_addresses() -> None:
    assert len({hidden("10.83.7.21", salt=f"{n}") for n in range(20)}) > 15
