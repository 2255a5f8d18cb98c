"""The controllers as a process."""

from __future__ import annotations

from fairlead.cli.roles.process import Parts, live
from fairlead.cli.roles.settings import MpsSettings, ReservationSettings, RoleTree
from fairlead.cluster.controllers.certificates import WebhookOptions
from fairlead.cluster.controllers.enforcement import EnforcementOptions
from fairlead.cluster.controllers.main import Controllers, ControllersOptions
from fairlead.cluster.controllers.reservations import ReservationOptions


async def main(settings: RoleTree) -> None:
    """Runs until a signal; one of them acts at a time. Beside another scheduler (shadow mode) pods of others are left alone."""
    webhooks = WebhookOptions(namespace=settings.role.namespace, names=settings.controllers.webhook_names)
    options = ControllersOptions(
        scheduler_names=settings.scheduler.names if settings.scheduler.mode == "act" else (),
        webhooks=webhooks if settings.controllers.webhooks else None,
        reservations=_reservations(settings.reservation) if settings.scheduler.mode == "act" else None,
        enforcement=_enforcement(settings.mps) if settings.mps.pods != "off" else None,
    )

    def make(parts: Parts) -> Controllers:
        return Controllers(parts.client, parts.clock, parts.rng, options)

    await live("controllers", settings, make)


def _reservations(mine: ReservationSettings) -> ReservationOptions:
    return ReservationOptions(
        namespace=mine.namespace,
        foreign_namespaces=mine.foreign_namespaces,
        image=mine.image,
        command=mine.command,
        pull_policy=mine.pull_policy,
        pull_secrets=mine.pull_secrets,
        priority_class=mine.priority_class,
        timeout=mine.timeout_seconds,
    )


def _enforcement(mine: MpsSettings) -> EnforcementOptions:
    return EnforcementOptions(choice=mine.pods, agents=mine.node_namespace)
