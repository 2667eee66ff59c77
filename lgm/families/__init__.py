"""Likelihoods, one per file, and the table in which they are found by name."""

from __future__ import annotations

from lgm.errors import LgmError
from lgm.families.family import Family
from lgm.families.gaussian import Gaussian

FAMILIES: dict[str, Family] = {family.name: family for family in (Gaussian(),)}


def find(name: object) -> Family:
    """The family of that name.

    Raises
    ------
    LgmError
        If there is none; those that there are are listed.

    Examples
    --------
    >>> find("gaussian").link
    'identity'
    """
    if not isinstance(name, str) or name not in FAMILIES:
        accepted = ", ".join(f'"{known}"' for known in FAMILIES)
        raise LgmError(f"family={name!r} is not available; accepted: {accepted}.")
    return FAMILIES[name]
