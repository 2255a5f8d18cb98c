"""Leader leases kept as Lease objects."""

from __future__ import annotations

from fairlead.kube.client import Client
from fairlead.objects.builtin import Lease, LeaseSpec
from fairlead.objects.json import JsonObject
from fairlead.objects.kinds import LEASE
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.times import micro_text_of, seconds_of
from fairlead.runtime.lease import LeaseRecord


class LeaseObject:
    """A `LeaseDoor` (`fairlead.runtime.lease`) whose record is a Lease object."""

    def __init__(self, client: Client, name: str, namespace: str) -> None:
        self._client = client
        self._name = name
        self._namespace = namespace

    async def read(self) -> LeaseRecord | None:
        """Give the present record, None where there is none."""
        lease = await self._client.find(LEASE, self._name, self._namespace)
        return None if lease is None else _record(lease)

    async def write(self, record: LeaseRecord) -> LeaseRecord:
        """Create the lease, or write over the version the record names. Raises: Conflict."""
        spec = LeaseSpec(
            holder_identity=record.holder,
            lease_duration_seconds=record.duration_seconds,
            acquire_time=micro_text_of(record.acquired),
            renew_time=micro_text_of(record.renewed),
            lease_transitions=record.transitions,
        )
        if not record.version:
            fresh = Lease(metadata=ObjectMeta(name=self._name, namespace=self._namespace), spec=spec)
            return _record(await self._client.create(LEASE, fresh, self._namespace))
        patch: JsonObject = {
            "spec": {
                "holderIdentity": record.holder,
                "leaseDurationSeconds": record.duration_seconds,
                "acquireTime": micro_text_of(record.acquired),
                "renewTime": micro_text_of(record.renewed),
                "leaseTransitions": record.transitions,
            }
        }
        return _record(await self._client.patch(LEASE, self._name, patch, self._namespace, version=record.version))


def _record(lease: Lease) -> LeaseRecord:
    spec = lease.spec
    return LeaseRecord(
        holder=spec.holder_identity or "",
        duration_seconds=spec.lease_duration_seconds or 15,
        acquired=seconds_of(spec.acquire_time) or 0.0,
        renewed=seconds_of(spec.renew_time) or 0.0,
        transitions=spec.lease_transitions or 0,
        version=lease.metadata.resource_version,
    )
