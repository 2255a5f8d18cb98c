"""Who may do what: the table in `permissions.csv` is the product's, row by row, and no row is missing."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from fairlead.runtime.errors import Denied
from fairlead.server.auth.permissions import PERMISSIONS, RESOURCES, VERBS, Grant, Principal

TABLE = Path(__file__).parent / "permissions.csv"


def _rows() -> dict[tuple[str, str], set[str]]:
    with TABLE.open() as file:
        return {(row["role"], row["resource"]): set(row["verbs"].split()) for row in csv.DictReader(file)}


def test_every_role_has_a_row_for_every_resource_and_none_is_stale() -> None:
    wanted = {(role, resource) for role in PERMISSIONS for resource in RESOURCES}
    assert set(_rows()) == wanted


@pytest.mark.parametrize("role", PERMISSIONS)
@pytest.mark.parametrize("resource", RESOURCES)
def test_a_role_may_do_what_the_table_says_and_nothing_else(role: str, resource: str) -> None:
    principal = Principal(user_id="u", username="mira", grants=(Grant(role=role),))
    allowed = _rows()[role, resource]
    for verb in VERBS:
        if verb in allowed:
            principal.require(verb, resource)
        else:
            with pytest.raises(Denied, match=f"may not {verb} {resource}"):
                principal.require(verb, resource)
