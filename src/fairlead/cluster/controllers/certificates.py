"""The webhooks' certificate: an authority and a server certificate in one secret, renewed in time, and trusted by both webhooks.

The order is what keeps connections good whenever this ends in the middle: a new authority is trusted beside the old one before anything is
signed by it, and the old one is trusted until it ends.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from fairlead.kube.client import Client
from fairlead.kube.errors import AlreadyExists
from fairlead.objects import kinds
from fairlead.objects.builtin import Secret
from fairlead.objects.json import JsonObject
from fairlead.objects.meta import ObjectMeta
from fairlead.runtime import certificates
from fairlead.runtime.clock import Clock

_AUTHORITY_DAYS: Final = 3650
_SERVER_DAYS: Final = 90
_RENEW_LEFT: Final = 1 / 3
"""Renewed when this part of its life is left."""
_LOOK_SECONDS: Final = 60.0
"""Somebody may remove the secret, and until it is there again admission does not start."""


class WebhookOptions(Struct, frozen=True, kw_only=True):
    """Where the certificate is kept and who trusts it."""

    namespace: str
    secret: str = "fairlead-webhook"
    service: str = "fairlead-admission"
    names: tuple[str, ...] = ()
    """Further names of the server: DNS or IP addresses."""
    configurations: tuple[str, ...] = ("fairlead",)
    """Names of the mutating and validating webhook configurations."""

    @property
    def served(self) -> tuple[str, ...]:
        """Every name the API may call the server by."""
        return (f"{self.service}.{self.namespace}.svc", *self.names)


class WebhookCertificates:
    """Keeps them. Nothing to tell apart: one key."""

    def __init__(self, client: Client, clock: Clock, options: WebhookOptions) -> None:
        self._client = client
        self._clock = clock
        self._options = options

    async def reconcile(self, _key: str) -> float:
        """The secret is good and the webhooks trust it; looks again in a minute."""
        secret = await self._changed(await self._secret(), self._with_authority)
        await self._trust(secret.data["ca.crt"])
        await self._changed(secret, self._with_server)
        return _LOOK_SECONDS

    async def _secret(self) -> Secret:
        """The secret, made empty where there is none. Raises: NotFound where its namespace is missing."""
        o = self._options
        found = await self._client.find(kinds.SECRET, o.secret, o.namespace)
        if found is not None:
            return found
        empty = Secret(metadata=ObjectMeta(name=o.secret, namespace=o.namespace), type="Opaque")
        try:
            return await self._client.create(kinds.SECRET, empty, o.namespace)
        except AlreadyExists:
            return await self._client.get(kinds.SECRET, o.secret, o.namespace)

    async def _changed(self, secret: Secret, change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> Secret:
        """The secret with what the change gives, written over that very version. Raises: Conflict."""
        now = {key: base64.b64decode(value) for key, value in secret.data.items()}
        wanted = {key: base64.b64encode(value).decode() for key, value in change(now).items()}
        if wanted.items() <= secret.data.items():
            return secret
        meta = secret.metadata
        patch: JsonObject = {"data": {**wanted}}
        return await self._client.patch(kinds.SECRET, meta.name, patch, meta.namespace, version=meta.resource_version)

    def _with_authority(self, data: dict[str, bytes]) -> dict[str, bytes]:
        now = self._clock.now()
        present = data.get("ca.crt", b"")
        if certificates.left(present, now) > _RENEW_LEFT and data.get("ca.key"):
            return {}
        made = certificates.authority("fairlead webhooks", now, _AUTHORITY_DAYS)
        return {"ca.crt": made.certificate + certificates.living(present, now), "ca.key": made.key}

    def _with_server(self, data: dict[str, bytes]) -> dict[str, bytes]:
        now, names, present = self._clock.now(), self._options.served, data.get("tls.crt", b"")
        if certificates.left(present, now) > _RENEW_LEFT and certificates.vouches(data["ca.crt"], present, names):
            return {}
        by = certificates.KeyPair(certificate=data["ca.crt"], key=data["ca.key"])
        made = certificates.server(names[0], names, now, _SERVER_DAYS, by)
        return {"tls.crt": made.certificate, "tls.key": made.key}

    async def _trust(self, bundle: str) -> None:
        """Both configurations hold the bundle (base64). One that is missing is the installer's to make."""
        for name in self._options.configurations:
            for kind in (kinds.MUTATING_WEBHOOK, kinds.VALIDATING_WEBHOOK):
                found = await self._client.find(kind, name)
                hooks: Any = (found or {}).get("webhooks") or []
                if found is None or all(hook["clientConfig"].get("caBundle") == bundle for hook in hooks):
                    continue
                trusting: list[Any] = [{**h, "clientConfig": {**h["clientConfig"], "caBundle": bundle}} for h in hooks]
                meta: Any = found["metadata"]
                await self._client.patch(kind, name, {"webhooks": trusting}, version=meta["resourceVersion"])
