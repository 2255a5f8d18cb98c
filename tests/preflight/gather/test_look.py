"""What a probe sees of its node, and of another probe; what pods of a trial do with a volume."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.parts.apiserver import free_ports

from fairlead.preflight.gather import files
from fairlead.preflight.gather.look import (
    Orders,
    Peer,
    answering,
    devices,
    driver_version,
    look,
    resolver,
    split_devices,
)
from fairlead.preflight.gather.reach import Ask


def test_the_resolver_s_file_is_read_as_the_library_reads_it() -> None:
    text = "# made by somebody\nnameserver 10.96.0.10\nnameserver ::1\nsearch a.svc b\noptions edns0 ndots:5\n"
    assert resolver(text) == (("10.96.0.10", "::1"), ("a.svc", "b"), 5)
    assert resolver("") == ((), (), 1)


def test_cards_and_switches_are_counted_on_the_bus_and_other_devices_are_not(tmp_path: Path) -> None:
    bus = {
        "0000:01:00.0": ("0x10de", "0x030200"),
        "0000:02:00.0": ("0x10de", "0x030000"),
        "0000:02:00.1": ("0x10de", "0x040300"),
        "0000:03:00.0": ("0x10de", "0x068000"),
        "0000:04:00.0": ("0x8086", "0x030000"),
    }
    for name, (vendor, kind) in bus.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text(f"{vendor}\n")
        (tmp_path / name / "class").write_text(f"{kind}\n")
    assert devices(tmp_path) == (2, 1)
    assert devices(tmp_path / "none") == (None, None)


def test_gpus_with_instances_are_counted_in_the_driver_s_folder_of_capabilities(tmp_path: Path) -> None:
    assert split_devices(tmp_path / "none") is None, "a driver that knows of no MIG"
    for path in ("mig", "gpu0/mig/gi1/ci0", "gpu0/mig/gi2/ci0", "gpu1", "gpu2/mig/gi0/ci0"):
        (tmp_path / path).mkdir(parents=True)
    assert split_devices(tmp_path) == 2


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.90.07  Fri May 31\nGCC version: gcc 12.2.0", "550.90.07"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build", "580.65.06"),
        ("", None),
        ("NVRM version: none", None),
    ],
)
def test_the_driver_s_version_is_found_in_its_first_line(text: str, version: str | None) -> None:
    assert driver_version(text) == version


async def test_a_probe_reaches_another_by_address_and_by_name_and_says_why_not() -> None:
    (nobody,) = free_ports(1)
    async with answering(0, "127.0.0.1") as port:
        peers = {
            "near": Peer(address="127.0.0.1", service="localhost", port=port),
            "unnamed": Peer(address="127.0.0.1", service="no-such-host.invalid", port=port),
            "gone": Peer(address="127.0.0.1", port=nobody),
        }
        seen = await look(
            Orders(
                peers=peers,
                names=("localhost",),
                requests={"gone": Ask(url=f"http://127.0.0.1:{nobody}/")},
                patience=2,
            )
        )
    near, unnamed, gone = (seen.peers[name] for name in ("near", "unnamed", "gone"))
    assert (near.by_address, near.by_service, near.large) == ("ok", "ok", "ok")
    assert (unnamed.by_address, unnamed.by_service) == ("ok", "dns")
    assert (gone.by_address, gone.by_service, gone.large) == ("refused", None, None)
    assert (seen.names["localhost"].plain, seen.requests["gone"].tcp) == ("ok", "refused")


async def test_a_probe_that_is_slow_to_answer_is_not_taken_for_one_that_is_cut_off() -> None:
    (port,) = free_ports(1)

    async def late() -> None:
        await asyncio.sleep(1)
        async with answering(port, "127.0.0.1"):
            await asyncio.sleep(20)

    serving = asyncio.create_task(late())
    seen = await look(Orders(peers={"late": Peer(address="127.0.0.1", port=port)}))
    serving.cancel()
    assert (seen.peers["late"].by_address, seen.peers["late"].large) == ("ok", "ok")


def test_what_one_pod_writes_another_reads_and_writes_back(tmp_path: Path) -> None:
    assert files.write(tmp_path, "nonce")["wrote"]
    found = files.read(tmp_path, "nonce", 0, "back")
    assert (found["read"], found["appended"]) == ("same_content", "ok")
    assert files.read(tmp_path, "back", 0)["read"] == "same_content"
    (tmp_path / "nonce").write_text("something else")
    assert files.read(tmp_path, "nonce", 0)["read"] == "other_content"
    assert files.read(tmp_path, "nothing", 0)["read"] == "missing"
    refused = files.write(tmp_path / "no-folder", "nonce")
    assert (refused["wrote"], refused["write_error"]) == (False, "No such file or directory")
