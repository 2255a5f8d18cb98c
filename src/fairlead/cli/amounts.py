"""Amounts as people type them, checked before anything is asked of a server."""

from __future__ import annotations

import math
from typing import Any

import click

from fairlead.runtime.errors import Invalid
from fairlead.runtime.settings import PORT_OPTION, environment
from fairlead.wire.amounts import is_part


class Gpus(click.ParamType[float]):
    """GPUs of a pod: a whole number, or a part of one from 0.001 to 0.999."""

    name = "float"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number. Raises: Invalid with what may be asked instead."""
        gpus = _number(value)
        if gpus >= 0 and (gpus == int(gpus) or is_part(gpus)):
            return gpus
        if gpus > 1:
            raise Invalid(
                f"-g {value} cannot be had: a pod gets whole GPUs, or a part of one.",
                hint=f"Ask for {int(gpus)} or {int(gpus) + 1}, or for a part such as {gpus - int(gpus):.3g}.",
            )
        raise Invalid(f"-g {value} cannot be had.", hint="Ask for a part from 0.001 to 0.999, or for a whole number.")


class Whole(click.IntRange):
    """A whole number between two bounds. `example`: what to write instead of what is none."""

    def __init__(self, least: int, most: int | None = None, *, example: str = "") -> None:
        super().__init__(least, most)
        self.example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number. Raises: Invalid naming the option and what it takes."""
        try:
            return int(super().convert(value, param, ctx))
        except click.BadParameter:
            bounds = f"from {self.min} to {self.max}" if self.max is not None else f"of {self.min} or more"
            option = max(param.opts, key=len) if param else "The value"
            example = environment().get(PORT_OPTION) or self.example if option == "--port" else self.example
            raise Invalid(
                f"{option} {value!r} is not a whole number {bounds}.",
                hint=f"Write one{f', such as `{example}`' if example else ''}.",
            ) from None


class Cores(click.ParamType[float]):
    """CPU cores: any number that is finite and not negative."""

    name = "float"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number. Raises: Invalid naming the option."""
        cores = _number(value)
        if cores < 0:
            option = param.opts[-1] if param else "CPU"
            raise Invalid(f"{option} {value} is no amount.", hint="Write cores as a number, such as 2 or 0.5.")
        return cores


def _number(value: Any) -> float:
    """The number; -1 where it is none, or not finite."""
    try:
        found = float(value)
    except ValueError:
        return -1
    return found if math.isfinite(found) else -1
