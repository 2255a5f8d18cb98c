"""The agent as a process."""

from __future__ import annotations

from fairlead.cli.roles.files import credentials_in
from fairlead.cli.roles.process import Parts, live
from fairlead.cli.roles.settings import AgentSettings, RoleTree
from fairlead.cluster.agent.explainer import RemoteExplainer
from fairlead.cluster.agent.links import AgentOptions, secret_of
from fairlead.cluster.agent.main import Agent
from fairlead.runtime.errors import Invalid
from fairlead.runtime.proxies import Way, proxy_for
from fairlead.runtime.settings import environment


async def main(settings: RoleTree) -> None:
    """Runs until a signal; one of them acts at a time. Raises: Invalid where it is not told who and where."""
    options = _options(settings.agent)

    def make(parts: Parts) -> Agent:
        explainer = RemoteExplainer(parts.client, settings.lease.namespace, settings.agent.token_file)
        return Agent(parts.client, explainer, options, parts.rng)

    await live("agent", settings, make)


def _options(mine: AgentSettings) -> AgentOptions:
    missing = [name for name, value in (("agent.url", mine.url), ("agent.cluster", mine.cluster)) if not value]
    if missing:
        raise Invalid(
            f"The agent is not told {' and '.join(missing)}.",
            hint="`fairlead cluster create NAME` prints the address, the id and the secret of a new cluster.",
        )
    url = mine.url.rstrip("/")
    way = Way(
        proxy=mine.proxy,
        credentials=credentials_in(mine.proxy_credentials_file, "agent.proxyCredentialsFile"),
        no_proxy=mine.no_proxy,
    )
    proxy = proxy_for(url, way, environment(), "agent.proxy")
    options = AgentOptions(
        url=url,
        cluster=mine.cluster,
        secret_file=mine.secret_file,
        ca_file=mine.ca_file,
        proxy=proxy,
        transport=mine.transport,
    )
    secret_of(options)  # told now rather than at the first connection
    return options
