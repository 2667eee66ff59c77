"""Likelihoods, one per file, and the table in which they are found by name."""

from __future__ import annotations

from lgm.errors import LgmError
from lgm.families.beta import Beta
from lgm.families.beta_binomial import BetaBinomial
from lgm.families.binomial import Bernoulli, Binomial
from lgm.families.cumulative import Cumulative
from lgm.families.exponential import Exponential
from lgm.families.family import Family
from lgm.families.gamma import Gamma
from lgm.families.gaussian import Gaussian
from lgm.families.hurdle import HurdleNegativeBinomial, HurdlePoisson
from lgm.families.lognormal import Lognormal
from lgm.families.nbinom1 import NegativeBinomial1
from lgm.families.negativebinomial import NegativeBinomial
from lgm.families.own import Own, custom
from lgm.families.poisson import Poisson
from lgm.families.student import Student
from lgm.families.wald import Wald
from lgm.families.weibull import Weibull
from lgm.families.zero_inflated import ZeroInflatedBinomial, ZeroInflatedNegativeBinomial, ZeroInflatedPoisson
from lgm.words import suggest

_ALL: tuple[type[Family], ...] = (
    Gaussian,
    Bernoulli,
    Binomial,
    BetaBinomial,
    ZeroInflatedBinomial,
    Poisson,
    NegativeBinomial,
    NegativeBinomial1,
    ZeroInflatedPoisson,
    ZeroInflatedNegativeBinomial,
    HurdlePoisson,
    HurdleNegativeBinomial,
    Student,
    Gamma,
    Wald,
    Lognormal,
    Exponential,
    Weibull,
    Beta,
    Cumulative,
)
FAMILIES: dict[str, type[Family]] = {family.name: family for family in _ALL}
_ALIASES = {alias: name for name, family in FAMILIES.items() for alias in family.aliases}

__all__ = ["FAMILIES", "Family", "custom", "find", "is_listed"]


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
        if isinstance(given, Own) and given.name in (*FAMILIES, *_ALIASES):
            raise LgmError(f"`{given.name}` is the name of another family; give your own one a name that no other has.")
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
