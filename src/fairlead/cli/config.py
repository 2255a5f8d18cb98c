"""`fairlead config`: what may stand in fairlead.yaml."""

from __future__ import annotations

from pathlib import Path

import click

from fairlead.cli.output import OUTPUT, print_facts, print_table, show


@click.group()
def config() -> None:
    """fairlead.yaml, the one file for preflight and the installation."""


@config.command()
@click.argument("key", default="")
@OUTPUT
def explain(key: str, output: str) -> None:
    """The keys of fairlead.yaml, or one of them: default, meaning, which value of the chart it sets, which checks look at it.

    \b
    Example:
      fairlead config explain
      fairlead config explain proxy.no_proxy
    """
    from fairlead.preflight.explain import explained, written

    keys = explained(key)
    rows = [
        {
            "key": each.path,
            "default": each.default,
            "meaning": each.meaning,
            "values": list(each.values),
            "chart_value": each.value,
            "checks": list(each.checks),
        }
        for each in keys
    ]

    def table() -> None:
        if len(keys) == 1:
            only = keys[0]
            print_facts(
                (
                    ("key", only.path),
                    ("meaning", only.meaning),
                    ("default", written(only.default)),
                    ("one of", ", ".join(value or "empty" for value in only.values)),
                    ("chart value", only.value),
                    ("checks", ", ".join(only.checks)),
                )
            )
        else:
            print_table(
                ["KEY", "DEFAULT", "MEANING"],
                [[each.path, written(each.default), each.meaning] for each in keys],
                spare=["DEFAULT"],
            )

    show(rows, output, table, names=[each.path for each in keys])


@config.command()
def example() -> None:
    """A whole fairlead.yaml, commented: every key at its default.

    \b
    Example:
      fairlead config example > fairlead.yaml
    """
    from fairlead.preflight.explain import example as text

    click.echo(text(), nl=False)


@config.command()
def schema() -> None:
    """The JSON Schema of fairlead.yaml: with it an editor completes keys, shows what they mean and marks what is wrong.

    \b
    Example:
      fairlead config schema > fairlead.schema.json
    """
    import json

    from fairlead.preflight.explain import schema as document

    click.echo(json.dumps(document(), indent=1))


@config.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True, readable=True))
def check(file: Path) -> None:
    """Read a fairlead.yaml and say what is wrong in it. Exit 2 where something is.

    \b
    Example:
      fairlead config check fairlead.yaml
    """
    from fairlead.preflight.config import config_from
    from fairlead.preflight.gather.certificates import authorities_of
    from fairlead.preflight.report import known
    from fairlead.preflight.values import wrong_values
    from fairlead.runtime.errors import Invalid

    read = config_from(file.read_text(encoding="utf-8"), str(file))
    for code in read.accept:
        known(code)
    authorities_of(read)
    if wrong := wrong_values(read):
        hint = "`fairlead config explain KEY` says what may stand there."
        raise Invalid(f"{file}: " + "; ".join(wrong) + ".", hint=hint, code="config")
    click.echo(f"{file} is right.")
