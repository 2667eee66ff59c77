"""Likelihoods, one per file, and the table in which they are found by name."""

from __future__ import annotations

from lgm.errors import LgmError
from lgm.families.beta_binomial import BetaBinomial
from lgm.families.binomial import Bernoulli, Binomial
from lgm.families.family import Family
from lgm.families.gaussian import Gaussian
from lgm.families.hurdle import HurdleNegativeBinomial, HurdlePoisson
from lgm.families.nbinom1 import NegativeBinomial1
from lgm.families.negativebinomial import NegativeBinomial
from lgm.families.poisson import Poisson
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
)
FAMILIES: dict[str, type[Family]] = {family.name: family for family in _ALL}
_ALIASES = {alias: name for name, family in FAMILIES.items() for alias in family.aliases}


def find(given: object) -> Family:
    """The family that is meant: one itself, or the name of one, with its usual link.

    Raises
    ------
    LgmError
        If there is none; those that there are are listed.

    Examples
    --------
    >>> find("poisson").link
    'log'
    """
    if isinstance(given, Family):
        return given
    name = _ALIASES.get(given, given) if isinstance(given, str) else given
    if not isinstance(name, str) or name not in FAMILIES:
        accepted = ", ".join(f'"{known}"' for known in FAMILIES)
        near = suggest(str(given), [*FAMILIES, *_ALIASES])
        raise LgmError(f"family={given!r} is not available;{near} accepted: {accepted}.")
    return FAMILIES[name]()  # type: ignore[call-arg]
