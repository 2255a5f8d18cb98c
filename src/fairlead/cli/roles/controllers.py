"""The controllers as a process."""

from __future__ import annotations

from fairlead.cli.roles.process import Parts, live
from fairlead.cli.roles.settings import RoleTree
from fairlead.cluster.controllers.certificates import WebhookOptions
from fairlead.cluster.controllers.main import Controllers, ControllersOptions


async def main(settings: RoleTree) -> None:
    """Runs until a signal; one of them acts at a time. Beside another scheduler (shadow mode) pods of others are left alone."""
    webhooks = WebhookOptions(namespace=settings.role.namespace, names=settings.controllers.webhook_names)
    options = ControllersOptions(
        scheduler_names=settings.scheduler.names if settings.scheduler.mode == "act" else (),
        webhooks=webhooks if settings.controllers.webhooks else None,
    )

    def make(parts: Parts) -> Controllers:
        return Controllers(parts.client, parts.clock, parts.rng, options)

    await live("controllers", settings, make)
