"""Likelihoods, one per file, and the table in which they are found by name."""

from __future__ import annotations

from lgm.errors import LgmError
from lgm.families.binomial import Bernoulli, Binomial
from lgm.families.cumulative import Cumulative
from lgm.families.family import Family
from lgm.families.gaussian import Gaussian
from lgm.families.poisson import Poisson
from lgm.words import suggest

FAMILIES: dict[str, type[Family]] = {
    family.name: family for family in (Gaussian, Bernoulli, Binomial, Poisson, Cumulative)
}
_ALIASES = {alias: name for name, family in FAMILIES.items() for alias in family.aliases}


def find(given: object, link: object = None) -> Family:
    """The family that is meant: one itself, or the name of one and a link, by default its first.

    Raises
    ------
    LgmError
        If there is none; those that there are are listed.

    Examples
    --------
    >>> find("poisson").link, find("binomial", "probit").link
    ('log', 'probit')
    """
    if isinstance(given, Family):
        if link not in (None, given.link):
            raise LgmError(f"link={link!r} beside a family that has one, {given.link!r}; accepted: one of the two.")
        return given
    name = _ALIASES.get(given, given) if isinstance(given, str) else given
    if not isinstance(name, str) or name not in FAMILIES:
        accepted = ", ".join(f'"{known}"' for known in FAMILIES)
        near = suggest(str(given), [*FAMILIES, *_ALIASES])
        raise LgmError(f"family={given!r} is not available;{near} accepted: {accepted}.")
    return FAMILIES[name](FAMILIES[name].links[0] if link is None else link)  # type: ignore[arg-type]


def is_listed(family: Family) -> bool:
    """Whether name and link are all that there is to know of a family."""
    return type(family) is FAMILIES.get(family.name) and family == find(family.name, family.link)
