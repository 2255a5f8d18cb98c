"""The webhooks' certificate: made, renewed in time, and mended, on the embedded store in simulated time."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable

from cryptography import x509
from tests.cluster.build import Bench

from fairlead.cluster.controllers.certificates import WebhookCertificates, WebhookOptions
from fairlead.objects import kinds
from fairlead.objects.builtin import Namespace
from fairlead.objects.json import JsonObject
from fairlead.objects.meta import ObjectMeta

DAY = 86_400.0


class Keeper:
    """Who keeps the certificate of the webhooks in the namespace `fairlead`."""

    def __init__(self) -> None:
        self.bench = Bench()
        options = WebhookOptions(namespace="fairlead")
        self.certificates = WebhookCertificates(self.bench.shaky, self.bench.clock, options)

    def lives(self, story: Callable[[], Awaitable[None]]) -> None:
        """The story, in a cluster that has the namespace."""

        async def both() -> None:
            await self.bench.client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name="fairlead")))
            await story()

        self.bench.run(both)

    async def held(self) -> dict[str, bytes]:
        """What the secret holds once it was looked at, as it is every hour."""
        await self.certificates.reconcile("")
        secret = await self.bench.client.get(kinds.SECRET, "fairlead-webhook", "fairlead")
        return {key: base64.b64decode(value) for key, value in secret.data.items()}

    async def write(self, key: str, value: bytes) -> None:
        """Somebody changes the secret."""
        patch: JsonObject = {"data": {key: base64.b64encode(value).decode()}}
        await self.bench.client.patch(kinds.SECRET, "fairlead-webhook", patch, "fairlead")


def signed_by_first(held: dict[str, bytes]) -> bool:
    """Whether the first authority vouches for the server."""
    authority, server = (x509.load_pem_x509_certificates(held[key])[0] for key in ("ca.crt", "tls.crt"))
    server.verify_directly_issued_by(authority)
    return True


def test_the_certificate_is_made_for_the_name_the_api_calls() -> None:
    keeper = Keeper()

    async def story() -> None:
        held = await keeper.held()
        assert held.keys() == {"ca.crt", "ca.key", "tls.crt", "tls.key"}
        assert signed_by_first(held)
        server = x509.load_pem_x509_certificate(held["tls.crt"])
        names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["fairlead-admission.fairlead.svc"]

    keeper.lives(story)


def test_the_servers_certificate_is_renewed_when_a_third_of_its_life_is_left() -> None:
    keeper = Keeper()

    async def story() -> None:
        first = await keeper.held()
        keeper.bench.clock.advance(59 * DAY)
        assert await keeper.held() == first
        keeper.bench.clock.advance(2 * DAY)
        second = await keeper.held()
        assert (second["ca.crt"], second["tls.crt"] != first["tls.crt"]) == (first["ca.crt"], True)
        assert signed_by_first(second)

    keeper.lives(story)


def test_a_new_authority_is_trusted_beside_the_old_one_until_that_ends() -> None:
    keeper = Keeper()

    async def story() -> None:
        first = await keeper.held()
        keeper.bench.clock.advance(2440 * DAY)
        second = await keeper.held()
        assert second["ca.crt"].endswith(first["ca.crt"])
        assert len(x509.load_pem_x509_certificates(second["ca.crt"])) == 2
        assert signed_by_first(second)

    keeper.lives(story)


def test_what_somebody_broke_is_made_anew() -> None:
    keeper = Keeper()

    async def story() -> None:
        await keeper.held()
        await keeper.write("tls.crt", b"nothing")
        assert signed_by_first(await keeper.held())
        await keeper.write("ca.crt", b"nothing")
        assert signed_by_first(await keeper.held())

    keeper.lives(story)
