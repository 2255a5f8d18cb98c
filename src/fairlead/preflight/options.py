"""What whoever runs preflight asked for, beside the configuration."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Options:
    """How facts are to be gathered."""

    kubeconfig: str = ""
    """File; empty for $KUBECONFIG, ~/.kube/config or the pod's account."""
    codes: tuple[str, ...] = ()
    """Checks that are to be made: what none of them needs need not be gathered (`Check.needs`)."""
    probe: bool = True
    """Whether pods may be started; without, what only they can tell is unknown."""
    timeout_seconds: float = 300.0
    """For the whole; what is not there by then is unknown."""
