"""Writes the custom resource definitions next to this file, one YAML each: `python deploy/crds/generate.py`.

`tests/kubernetes/test_definitions.py` fails when a file is stale.
"""

from __future__ import annotations

import io
from pathlib import Path

from ruamel.yaml import YAML

from fairlead.objects.crds import definitions

HEAD = "# Generated from fairlead.objects by deploy/crds/generate.py; change the types, then run it again.\n"


def files() -> dict[str, str]:
    """Give the text of every file by its name."""
    yaml = YAML()
    yaml.representer.ignore_aliases = lambda data: True
    yaml.width = 120
    found = {}
    for definition in definitions():
        out = io.StringIO()
        yaml.dump(definition, out)
        found[f"{definition['metadata']['name']}.yaml"] = HEAD + out.getvalue()
    return found


def main() -> None:
    """Write the files."""
    folder = Path(__file__).parent
    for name, text in files().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main()
