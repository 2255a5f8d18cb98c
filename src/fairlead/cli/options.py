"""Refusals of the API in the words of the command line: the option that was typed instead of the field it sets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from fairlead.runtime.errors import Invalid


@contextmanager
def named(options: Mapping[str, str]) -> Iterator[None]:
    """Within it an Invalid names options. `options`: field, without the number of an entry in a list -> option."""
    try:
        yield
    except Invalid as refused:
        fields = {options.get(re.sub(r"\[\d+\]", "", field), field): text for field, text in refused.fields.items()}
        raise Invalid(refused.message, hint=refused.hint, code=refused.code, fields=fields) from None
