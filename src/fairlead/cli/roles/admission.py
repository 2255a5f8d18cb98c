"""Admission as a process."""

from __future__ import annotations

from fairlead.cli.roles.process import Parts, live_beside
from fairlead.cli.roles.settings import RoleTree
from fairlead.cluster.admission.claims import Classes
from fairlead.cluster.admission.main import Admission, AdmissionOptions
from fairlead.runtime.health import READY


async def main(settings: RoleTree) -> None:
    """Runs until a signal; any number beside each other."""
    mine = settings.admission
    options = AdmissionOptions(
        certificates=mine.certificates,
        host=mine.host,
        port=mine.port,
        scheduler_names=settings.scheduler.names,
        trusted=mine.trusted,
        mps=settings.mps.pods,
        gpu_runtime_class=mine.gpu_runtime_class,
        classes=Classes(default=mine.default_storage_class, allowed=mine.storage_classes),
    )

    def make(parts: Parts) -> Admission:
        return Admission(parts.client, parts.clock, options)

    await live_beside("admission", settings, make, lambda role: role.waits_for or READY)
