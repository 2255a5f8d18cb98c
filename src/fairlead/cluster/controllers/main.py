"""The controllers role: caches, reconcilers, and who wakes whom."""

from __future__ import annotations

import asyncio
from functools import partial
from random import Random
from typing import Any

from msgspec import Struct

from fairlead.cluster.controllers.binder import Binder
from fairlead.cluster.controllers.binding import Binding
from fairlead.cluster.controllers.certificates import WebhookCertificates, WebhookOptions
from fairlead.cluster.controllers.enforcement import Enforcement, EnforcementOptions
from fairlead.cluster.controllers.grouper import Grouper, OwnerKey
from fairlead.cluster.controllers.mps_claims import MpsClaims
from fairlead.cluster.controllers.observe import Observed
from fairlead.cluster.controllers.projects import Projects, namespace_of
from fairlead.cluster.controllers.reservations import ReservationOptions, Reservations
from fairlead.cluster.controllers.standing import Standing, StandingOptions
from fairlead.cluster.controllers.works import WorkKey, Works
from fairlead.kube.cache import Cache, Key
from fairlead.kube.client import Client
from fairlead.objects import kinds
from fairlead.objects.builtin import Namespace
from fairlead.objects.fields import DEPARTMENT, PROJECT, WORKLOAD, WORKLOAD_KIND
from fairlead.objects.kai import PodGroup, Queue
from fairlead.objects.meta import Object, controller_of
from fairlead.objects.pod import Pod
from fairlead.runtime.clock import Clock
from fairlead.runtime.reconcile import Reconciler


class ControllersOptions(Struct, frozen=True, kw_only=True):
    """How the role behaves."""

    scheduler_names: tuple[str, ...] = ("fairlead",)
    """Names by which pods ask for our scheduler."""
    creates_namespaces: bool = True
    """Of projects; else whoever runs the cluster makes them."""
    webhooks: WebhookOptions | None = None
    """The admission webhooks whose certificate it keeps; None where there are none."""
    reservations: ReservationOptions | None = None
    """What reservation pods are made of; None where the nodes share devices out themselves."""
    enforcement: EnforcementOptions | None = None
    """Whose memory MPS keeps apart; None where it is not used."""
    standing: StandingOptions | None = None
    """How often the cluster's prerequisites and the product's parts are looked at; None where they are not."""


class Controllers:
    """Runs until cancelled. Only the leader may run it."""

    def __init__(self, client: Client, clock: Clock, rng: Random, options: ControllersOptions | None = None) -> None:
        options = options or ControllersOptions()
        self.observed = Observed(client, options.scheduler_names)
        self._caches: dict[str, Cache[Any]] = {
            kinds.WORKSPACE.kind: self.observed.workspaces,
            kinds.TRAINING.kind: self.observed.trainings,
            kinds.DISTRIBUTED_TRAINING.kind: self.observed.distributed,
        }
        """Workloads by kind."""
        claims = MpsClaims(client) if options.enforcement is not None else None
        projects = Projects(client, self.observed, claims, makes_namespaces=options.creates_namespaces)
        works = Works(client, self.observed, clock, tells=options.reservations is not None)
        grouper = Grouper(client, self.observed)
        self._projects: Reconciler[tuple[str, str]] = Reconciler("projects", projects.reconcile, clock=clock, rng=rng)
        self._works: Reconciler[WorkKey] = Reconciler("workloads", works.reconcile, clock=clock, rng=rng, workers=8)
        self._owners: Reconciler[OwnerKey] = Reconciler("grouper", grouper.reconcile, clock=clock, rng=rng)
        self._certificates: Reconciler[str] | None = None
        if options.webhooks is not None:
            keeper = WebhookCertificates(client, clock, options.webhooks)
            self._certificates = Reconciler("certificates", keeper.reconcile, clock=clock, rng=rng, workers=1)
        self._standing = Standing(client, clock, rng, options.standing) if options.standing is not None else None
        self._binding: Binding | None = None
        if options.reservations is not None:
            enforcement = Enforcement(client, self.observed, options.enforcement)
            reservations = Reservations(client, options.reservations)
            binder = Binder(client, self.observed, reservations, clock, enforcement)
            self._binding = Binding(binder, self.observed, clock, rng)
        self._listen()

    @property
    def idle(self) -> bool:
        """True when nothing waits to be reconciled."""
        loops: tuple[Reconciler[Any], ...] = (self._projects, self._works, self._owners, *self._binding_loops())
        return all(loop.idle for loop in loops)

    async def run(self) -> None:
        """Fill the caches, then reconcile everything, then what changes."""
        async with asyncio.TaskGroup() as group:
            if self._certificates is not None:
                self._certificates.mark("")
                group.create_task(self._certificates.run(), name="controllers.certificates")
            if self._standing is not None:
                group.create_task(self._standing.run(), name="controllers.standing")
            caches = (*self.observed.caches(), *(self._binding.caches() if self._binding else ()))
            for cache in caches:
                group.create_task(cache.run(), name=f"controllers.cache.{cache.kind.plural}")
            for cache in caches:
                await cache.synced.wait()
            self._mark_everything()
            for number, loop in enumerate(self._binding_loops()):
                group.create_task(loop.run(), name=f"controllers.binder.{number}")
            group.create_task(self._projects.run(), name="controllers.projects")
            group.create_task(self._works.run(), name="controllers.workloads")
            group.create_task(self._owners.run(), name="controllers.grouper")

    def _binding_loops(self) -> tuple[Reconciler[Any], ...]:
        return self._binding.loops() if self._binding else ()

    def _listen(self) -> None:
        seen = self.observed
        seen.projects.on_change(lambda key, _b, _a: self._projects.mark(("project", key.name)))
        seen.departments.on_change(self._department_changed)
        seen.pools.on_change(lambda _k, _b, _a: self._mark_units())
        seen.queues.on_change(self._queue_changed)
        seen.namespaces.on_change(self._namespace_changed)
        seen.pods.on_change(self._pod_changed)
        seen.groups.on_change(self._group_changed)
        for kind, cache in self._caches.items():
            cache.on_change(partial(self._work_changed, kind))
        for foreign in seen.foreign:
            foreign.on_change(self._foreign_changed)

    def _foreign_changed(self, _key: Key, before: Pod | None, after: Pod | None) -> None:
        for pod in filter(None, (before, after)):
            if (maker := controller_of(pod.metadata)) is not None:
                self._owners.mark(OwnerKey(pod.metadata.namespace, maker.uid))

    def _work_changed(self, kind: str, key: Key, _before: object, _after: object) -> None:
        self._works.mark((kind, key))

    def _mark_units(self) -> None:
        self._projects.mark_all(("project", key.name) for key in self.observed.projects.items())
        self._projects.mark_all(("department", key.name) for key in self.observed.departments.items())

    def _mark_everything(self) -> None:
        self._mark_units()
        if self._binding is not None:
            self._binding.mark_everything()
        for queue in self.observed.queues:
            self._queue_changed(Key("", queue.metadata.name), None, queue)
        for pod in self.observed.pods:
            self._pod_changed(Key("", ""), None, pod)
        for foreign in self.observed.foreign:
            for pod in foreign:
                self._foreign_changed(Key("", ""), None, pod)
        for kind, cache in self._caches.items():
            self._works.mark_all((kind, key) for key in cache.items())

    def _queue_changed(self, _key: Key, before: Queue | None, after: Queue | None) -> None:
        labels = (after or before or Queue()).metadata.labels
        if PROJECT in labels:
            self._projects.mark(("project", labels[PROJECT]))
        elif DEPARTMENT in labels:
            self._projects.mark(("department", labels[DEPARTMENT]))

    def _department_changed(self, key: Key, before: object, after: object) -> None:
        self._projects.mark(("department", key.name))
        if before is None or after is None:
            self._mark_units()

    def _namespace_changed(self, key: Key, _before: Namespace | None, _after: Namespace | None) -> None:
        of_it = (p.metadata.name for p in self.observed.projects if namespace_of(p) == key.name)
        self._projects.mark_all(("project", name) for name in of_it)
        for kind, cache in self._caches.items():
            self._works.mark_all((kind, name) for name in cache.items() if name.namespace == key.name)

    def _pod_changed(self, _key: Key, before: Pod | None, after: Pod | None) -> None:
        self._mark_owners(before, after)

    def _group_changed(self, _key: Key, before: PodGroup | None, after: PodGroup | None) -> None:
        self._mark_owners(before, after)

    def _mark_owners(self, *made: Object | None) -> None:
        """The workloads that these objects were made for."""
        for one in filter(None, made):
            labels = one.metadata.labels
            if labels.get(WORKLOAD_KIND) in self._caches:
                self._works.mark((labels[WORKLOAD_KIND], Key(one.metadata.namespace, labels.get(WORKLOAD, ""))))
