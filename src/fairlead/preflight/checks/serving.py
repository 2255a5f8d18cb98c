"""What people meet: sign-in, certificates, and the way of their browsers into the cluster."""

from __future__ import annotations

from typing import Final

from fairlead.preflight.check import (
    ByApi,
    Check,
    Finding,
    Verdict,
    Who,
    failed,
    listed,
    not_needed,
    passed,
    unknown,
    warned,
    worst,
)
from fairlead.preflight.checks import egress
from fairlead.preflight.config import Config
from fairlead.preflight.facts import Facts
from fairlead.preflight.hide import hidden_url

_SOON_DAYS: Final = 30


def oidc_provider(facts: Facts, config: Config) -> Finding:
    """The discovery document is fetched from where the control plane runs. The issuer in it and the one in the configuration have to be
    equal character by character, or every token is refused.

    - issuer: they differ, often by a slash at the end.
    - unreachable: the document, or the keys it names, cannot be fetched from there; keys may be on another host. Where no way leads to the
      document, egress-sign-in tells that, and nothing is known of the provider.
    - pod-cannot: browsers reach the provider, pods do not.
    - browser-cannot: pods reach its sign-in page, and the machine that preflight runs on does not.
    - redirect: the provider does not know our address.
    - algorithm: it does not sign with RS256.
    """
    if not config.oidc.issuer:
        return not_needed("oidc.issuer is not set: people sign in with accounts of the control plane")
    is_hidden = facts.maybe_flag("run", "anonymised") is True
    issuer = hidden_url(config.oidc.issuer, facts.run_id) if is_hidden else config.oidc.issuer
    if error := facts.maybe_text("oidc", "error"):
        error = "a page answers in its place" if error == "block_page" else error
        return egress.behind("sign-in", facts, config) or failed(
            f"{issuer}: {error}", "unreachable", "See egress-sign-in for what to ask for", Who.NETWORK
        )
    if (status := facts.maybe_number("oidc", "discovery_status")) not in (None, 200):
        return failed(
            f"the discovery document is answered with {status:g}", "unreachable", "Correct oidc.issuer", Who.YOU
        )
    said = facts.text("oidc", "issuer_in_document")
    if said != issuer:
        slash = " (the slash at the end counts)" if said.rstrip("/") == issuer.rstrip("/") else ""
        seen = f"the document says issuer '{said}', the configuration '{issuer}'{slash}"
        return failed(seen, "issuer", f"Set oidc.issuer to '{said}'", Who.YOU)
    facts.number("oidc", "discovery_status")
    if (keys := facts.number("oidc", "jwks_status")) != 200:
        host = facts.maybe_text("oidc", "jwks_host")
        if not keys:
            remedy = f"Ask for: from the control plane to {host or 'the host of jwks_uri'}, for the keys of sign-in"
            return failed(f"its keys{f' at {host}' if host else ''} do not answer", "unreachable", remedy, Who.NETWORK)
        seen = f"its keys{f' at {host}' if host else ''} are answered with {keys:g}"
        remedy = f"Look at the log of {host or 'the host of jwks_uri'} for why it answers so: it is reached"
        return failed(seen, "unreachable", remedy, Who.YOU)
    return _sign_in(facts, said)


def _sign_in(facts: Facts, issuer: str) -> Finding:
    found = facts.at("oidc")
    status = found.or_else(200, "authorization_endpoint_from_pod")
    if not status:
        return failed(
            "the sign-in page does not answer to a pod", "pod-cannot", f"Ask for: from pods to {issuer}", Who.NETWORK
        )
    if float(status) >= 500:
        seen = f"the sign-in page is answered with {status:g} to a pod"
        return failed(seen, "pod-cannot", f"Look at the log of {issuer} for why it answers so: it is reached", Who.YOU)
    if not found.or_else(200, "authorization_endpoint_from_workstation"):
        page = found.maybe_text("authorization_endpoint") or issuer
        seen = "the sign-in page answers to a pod and not to this machine; browsers may be kept from it as well"
        return warned(seen, "browser-cannot", f"Ask for: from browsers to {page}", Who.NETWORK)
    if found.or_else(True, "redirect_registered") is False:
        return failed(
            "the provider does not know our address",
            "redirect",
            "Register the control plane's address /oidc/callback there",
            Who.YOU,
        )
    algorithms = found.or_else(["RS256"], "signing_algs")
    if "RS256" not in algorithms:
        return warned(
            f"it signs with {listed(map(str, algorithms))}, not with RS256",
            "algorithm",
            "Let it sign with RS256",
            Who.YOU,
        )
    return passed(f"{issuer}: issuer and keys are right")


def certificates(facts: Facts, config: Config) -> Finding:
    """The bundle of authorities and the certificates that the configuration names: whether they can be used, for which hosts, how long.

    - unreadable: the bundle is no PEM, or holds no authority but only a server's own certificate.
    - not-covered: the bundle does not vouch for a host, or a certificate does not name its host.
    - key: key and certificate do not belong together.
    - ended, ending: it has ended, or does within 30 days.
    - chain: intermediates are missing; browsers may still know them, other programs do not.

    Once the product is installed also the authority that its webhooks are known by.
    """
    found = []
    if (days := facts.or_else(None, "certificates", "webhook", "days_left")) is not None:
        found.append(_webhook(float(days)))
    if config.ca_bundle:
        found.append(_bundle(facts, config))
    if config.ingress.tls_secret:
        found.append(_secrets(facts, config))
    return worst(found) if found else not_needed("no ca_bundle and no TLS Secret are configured")


def _webhook(days: float) -> Finding:
    what = "the authority of our webhooks"
    return _ends(what, days) if days < _SOON_DAYS else passed(f"{what} is good for {days:g} days")


def _bundle(facts: Facts, config: Config) -> Finding:
    path = config.ca_bundle or ""
    which = (
        f"ca_bundle ({path})"
        if path and "\n" not in path and not facts.maybe_flag("run", "anonymised")
        else "ca_bundle"
    )
    bundle = ("certificates", "bundle")
    if not facts.flag(*bundle, "parses"):
        return failed(f"{which} cannot be read", "unreadable", "Give PEM certificates in ca_bundle", Who.YOU)
    if not facts.flag(*bundle, "has_authority"):
        return failed(
            f"{which} holds no authority",
            "unreadable",
            "Give the certificate of the authority, not the server's own",
            Who.YOU,
        )
    hosts = facts.or_else({}, *bundle, "covers")
    uncovered = [host for host in hosts if not facts.flag(*bundle, "covers", host)]
    if uncovered:
        return failed(
            f"ca_bundle does not vouch for {listed(uncovered)}",
            "not-covered",
            f"Add the authority of {uncovered[0]} to it",
            Who.YOU,
        )
    days = facts.number(*bundle, "days_left")
    if days < _SOON_DAYS:
        return _ends("an authority in ca_bundle that is needed", days)
    if expired := facts.or_else([], *bundle, "expired"):
        return warned(
            f"ca_bundle holds what has ended: {listed(map(str, expired))}", "ended", "Remove it from ca_bundle", Who.YOU
        )
    return passed("ca_bundle vouches for every host" if hosts else f"ca_bundle is good for {days:g} days")


def _ends(what: str, days: float) -> Finding:
    if days < 0:
        return failed(f"{what} has ended", "ended", "Renew it", Who.YOU)
    return warned(f"{what} ends in {days:g} days", "ending", "Renew it", Who.YOU)


def _secrets(facts: Facts, config: Config) -> Finding:
    wanted = config.ingress.tls_secret
    found = next((each for each in facts.items("certificates", "secrets") if each.text("name") == wanted), None)
    if found is None:
        return unknown(f"the Secret {wanted} was not read")
    if not found.flag("key_fits"):
        return failed(
            f"{wanted}: key and certificate do not belong together", "key", f"Put the right key into {wanted}", Who.YOU
        )
    if not found.flag("covers_host"):
        seen = f"{wanted}: it does not name {config.ingress.host or 'its host'}"
        return failed(
            seen, "not-covered", "Ask for a certificate with that name, and *. below it for workspaces", Who.YOU
        )
    if (days := found.number("days_left")) < _SOON_DAYS:
        return _ends(wanted, days)
    if not found.flag("chain_complete"):
        return warned(f"{wanted}: leaf only", "chain", f"Add the intermediate certificate to {wanted}", Who.YOU)
    return passed(f"{wanted}: key, names and chain are right")


def ingress(facts: Facts, config: Config) -> Finding:
    """An IngressClass is only a name. A controller has to stand behind it, and a request by the public name has to come back.

    - no-controller: nobody serves the class.
    - no-address: its load balancer is pending, as on machines without one.
    - not-reached: a request by the public name does not come back to this cluster.
    - no-wildcard: names below the public one do not resolve, so workspaces get a path instead of a name.
    """
    if not config.ingress.host:
        return not_needed("nothing is served to browsers from here (ingress.host is not set)")
    classes = facts.items("ingress", "classes")
    wanted = config.ingress.class_
    chosen = next(
        (each for each in classes if (each.text("name") == wanted if wanted else each.maybe_flag("default"))), None
    )
    if chosen is None or not chosen.number("endpoints"):
        name = wanted or (chosen.text("name") if chosen else "the default class")
        return failed(f"no controller serves {name}", "no-controller", f"Install one for {name}, or set ingress.class")
    if facts.text("ingress", "load_balancer") == "pending":
        return failed(
            "the controller's load balancer has no address",
            "no-address",
            "Install a load balancer such as MetalLB, or give its Service externalIPs",
        )
    if (answer := facts.text("ingress", "nonce")) != "ok":
        return failed(
            f"{config.ingress.host} does not lead here: {answer}",
            "not-reached",
            f"Let DNS lead {config.ingress.host} to the controller",
            Who.NETWORK,
        )
    if not facts.flag("ingress", "wildcard_dns"):
        return warned(
            f"*.{config.ingress.host} does not resolve",
            "no-wildcard",
            f"Ask for: DNS *.{config.ingress.host}",
            Who.NETWORK,
        )
    return passed(f"{config.ingress.host} leads here")


CHECKS: Final = (
    Check(
        code="oidc-provider",
        title="Sign-in provider",
        row="sign-in",
        severity=Verdict.FAIL,
        needs=("oidc", "egress.sign-in"),
        expected="the issuer in the provider's document is the configured one, character by character, and its keys can be fetched",
        rules="pass: equal, and keys fetched; warn: RS256 is missing, or its page is not reached from here; fail: anything else",
        disables=("sign-in",),
        causes=("issuer", "unreachable", "pod-cannot", "browser-cannot", "redirect", "algorithm"),
        judge=oidc_provider,
        by_api=ByApi.ASKED,
    ),
    Check(
        code="certificates",
        title="Certificates and authorities",
        row="user interface",
        severity=Verdict.FAIL,
        needs=("certificates",),
        expected="an authority for every host, and certificates with key, names and chain for 30 days and more",
        rules="pass: all right; warn: ends within 30 days, or an intermediate is missing; fail: not usable",
        disables=("ui", "workspace-urls"),
        causes=("unreadable", "not-covered", "key", "ended", "ending", "chain"),
        judge=certificates,
        by_api=ByApi.FAULTS,
    ),
    Check(
        code="ingress",
        title="Browsers reach this cluster",
        row="user interface",
        severity=Verdict.FAIL,
        needs=("ingress",),
        expected="a controller behind the class, and the public name leads to it",
        rules="pass: a request came back; warn: no wildcard DNS; fail: no controller, no address, or not reached",
        disables=("workspace-urls", "ui"),
        causes=("no-controller", "no-address", "not-reached", "no-wildcard"),
        judge=ingress,
        by_api=ByApi.FAULTS,
    ),
)
