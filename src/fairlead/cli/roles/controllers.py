"""The controllers as a process."""

from __future__ import annotations

from fairlead.cli.roles.process import Parts, live
from fairlead.cli.roles.settings import MpsSettings, ReservationSettings, RoleTree
from fairlead.cluster.controllers.certificates import WebhookOptions
from fairlead.cluster.controllers.enforcement import EnforcementOptions
from fairlead.cluster.controllers.main import Controllers, ControllersOptions
from fairlead.cluster.controllers.reservations import ReservationOptions
from fairlead.cluster.controllers.standing import StandingOptions


async def main(settings: RoleTree) -> None:
    """Runs until a signal; one of them acts at a time. Beside another scheduler (shadow mode) pods of others are left alone."""
    webhooks = WebhookOptions(namespace=settings.role.namespace, names=settings.controllers.webhook_names)
    options = ControllersOptions(
        scheduler_names=settings.scheduler.names if settings.scheduler.mode == "act" else (),
        creates_namespaces=settings.controllers.create_namespaces,
        webhooks=webhooks if settings.controllers.webhooks else None,
        reservations=_reservations(settings.reservation) if settings.scheduler.mode == "act" else None,
        enforcement=_enforcement(settings.mps) if settings.mps.pods != "off" else None,
        standing=_standing(settings) if settings.controllers.daily else None,
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


def _standing(settings: RoleTree) -> StandingOptions:
    mine = settings.controllers
    return StandingOptions(
        namespace=settings.role.namespace,
        node_namespace=settings.mps.node_namespace,
        settle=mine.daily_settle_seconds,
        every=mine.daily_every_seconds,
        look=mine.daily_look_seconds,
        patience=mine.daily_patience_seconds,
    )
