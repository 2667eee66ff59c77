"""One hyperparameter: what it is called, where it lives, and what is believed of it before the data speak."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lgm.errors import PriorError
from lgm.pc_priors import Distance
from lgm.priors import Dirichlet, Flat, Lkj, ThetaPrior, beta, dirichlet, lkj, pc_sd, uniform


@dataclass(frozen=True)
class Domain:
    """Values that a hyperparameter may have, and the words for it.

    Parameters
    ----------
    low, high : float
        Ends of an open interval.
    words : str
        In messages: "must be ...".
    example : str
        A prior on this domain, as a user writes it.
    held_at_low : bool
        Whether it may be held at the lower end: an sd of zero takes its effects out of the model.
    correlations : bool
        Whether the values are those of a correlation matrix, which takes an LKJ prior.
    shares : bool
        Whether the values sum to one, which takes a Dirichlet prior.
    """

    low: float
    high: float
    words: str
    example: str
    held_at_low: bool = False
    correlations: bool = False
    shares: bool = False

    def holds(self, value: float) -> bool:
        """Whether a hyperparameter may be held at this value."""
        return self.low < value < self.high or (self.held_at_low and value == self.low)

    def within(self, low: float, high: float) -> bool:
        """Whether all values between two ends belong to it."""
        return self.low <= low and high <= self.high

    @property
    def flat(self) -> ThetaPrior:
        """Flat on the natural scale: improper on a half line, hence proper on a bounded interval."""
        if self.correlations:
            return lkj(1.0)
        if self.shares:
            return dirichlet(1.0)
        if math.isfinite(self.high - self.low):
            return uniform(self.low, self.high)
        if self.low != 0.0:
            raise PriorError("a flat prior is for what is positive or bounded; give a proper one.")
        return Flat()


STANDARD_DEVIATION = Domain(0.0, math.inf, "positive", "half_normal(1)", held_at_low=True)
POSITIVE = Domain(0.0, math.inf, "positive", "half_normal(1)")
CORRELATION = Domain(-1.0, 1.0, "in (-1, 1)", "lkj(2)", correlations=True)
AUTOCORRELATION = Domain(-1.0, 1.0, "in (-1, 1)", "uniform(-1, 1)")
REAL = Domain(-math.inf, math.inf, "a finite number", "normal(0, 1)")
SHARES = Domain(0.0, 1.0, "shares that sum to one", "dirichlet(1)", shares=True)
PROPORTION = Domain(0.0, 1.0, "in (0, 1)", "beta(1, 1)")


@dataclass(frozen=True)
class Span:
    """Values of a hyperparameter that the data or the model can tell from each other.

    Parameters
    ----------
    low, high : float
    below, above : str
        What to say of a prior whose median is outside: "..., which is ...".
    """

    low: float
    high: float
    below: str
    above: str

    def fault(self, median: float) -> str:
        """What is wrong with a prior of this median, or nothing."""
        return self.below if median < self.low else self.above if median > self.high else ""


WIDE = 2.5  # times its yardstick: an sd above this has probability 5% by default


@dataclass(frozen=True)
class Parameter:
    """One hyperparameter, all correlations of one group, or several that have the same prior.

    Parameters
    ----------
    names : tuple of str
        The variables, for example ``("sd(Days|Subject)",)``; several for the correlations of three or more effects, and
        for the local scales of coefficients.
    kind : str
        By which its block or family finds the value, and the class by which a prior can address it: ``"sd"``,
        ``"corr"``, ``"rho"``, ``"phi"``, ``"range"``, ``"pacf"``, ``"sigma"``, or one of a term's own.
    domain : Domain
    default : ThetaPrior
        Its prior unless the user gives one.
    start : float
        A first guess, natural scale, where the search for the mode begins.
    places : tuple of (str, str)
        Where each variable stands in the table of variances: the group or term, and the name within.
    key : str
        A further key for its prior, ``"corr(g)"`` for correlations.
    q : int
        Number of effects that are correlated.
    distance : Distance, optional
        From the model in which it is zero, for penalised-complexity priors.
    span : Span, optional
        Where the median of its prior must be.
    ratios : bool
        Whether only the ratios of its values matter to the effects.
    """

    names: tuple[str, ...]
    kind: str
    domain: Domain
    default: ThetaPrior
    start: float
    places: tuple[tuple[str, str], ...]
    key: str = ""
    q: int = 2
    distance: Distance | None = None
    span: Span | None = None
    ratios: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys that address it in ``priors=``, the most specific first; several variables have one in common."""
        own = self.names if len(self.names) == 1 else ()
        return tuple(key for key in (*own, self.key, self.kind) if key)

    @property
    def title(self) -> str:
        """What the table of priors calls it."""
        return self.key or self.names[0]


def standard_deviation(owner: str, scale: float, effect: str = "") -> Parameter:
    """The sd of effects, ``sd(owner)`` or ``sd(effect|owner)``, with the default prior ``P(sd > 2.5 scale) = 0.05``.

    Coverage of intervals in small designs speaks for it: see ``benchmarks/coverage_of_defaults.py``.

    Examples
    --------
    >>> standard_deviation("Subject", 60.0, "Days").names
    ('sd(Days|Subject)',)
    """
    name, inside = (f"sd({effect}|{owner})", f"sd({effect})") if effect else (f"sd({owner})", "sd")
    return Parameter((name,), "sd", STANDARD_DEVIATION, pc_sd(WIDE * scale, 0.05), scale / 3.0, ((owner, inside),))


def correlations(group: str, pairs: Sequence[tuple[str, str]], q: int, concentration: float) -> Parameter:
    """The correlations of q effects of a group, row by row below the diagonal, with an LKJ prior."""
    inside = [f"{a},{b}" for a, b in pairs]
    return Parameter(
        names=tuple(f"corr({pair}|{group})" for pair in inside),
        kind="corr",
        domain=CORRELATION,
        default=Lkj(concentration),
        start=0.0,
        places=tuple((group, f"corr({pair})") for pair in inside),
        key=f"corr({group})",
        q=q,
    )


def one(kind: str, owner: str, domain: Domain, default: ThetaPrior, start: float) -> Parameter:
    """A hyperparameter ``kind(owner)`` of a term, such as ``rho(ar1(t))``."""
    return Parameter((f"{kind}({owner})",), kind, domain, default, start, ((owner, kind),))


# Of the default prior of the correlation of an effect and the next in time, as an LKJ prior or a beta prior on (0, 1).
# P(|rho| > 1/2) is then 0.39. Without density at the ends it keeps the mode away from them, where one series in time is
# one number for all times.
SERIAL = 1.5


def autocorrelation(owner: str) -> Parameter:
    """The correlation ``rho(owner)`` of effects one step apart, in (-1, 1).

    Examples
    --------
    >>> autocorrelation("ar1(t)").default
    lkj(1.5)
    """
    return one("rho", owner, CORRELATION, Lkj(SERIAL), 0.5)


def positive_autocorrelation(owner: str) -> Parameter:
    """The same in (0, 1), where any power of it is a correlation."""
    return one("rho", owner, PROPORTION, beta(SERIAL, SERIAL), 0.5)


def partial_autocorrelations(owner: str, concentrations: Sequence[float], first: float = 0.0) -> list[Parameter]:
    """The partial autocorrelations ``pacf1(owner)``, ``pacf2(owner)``, ..., under LKJ priors of two effects.

    Parameters
    ----------
    owner : str
    concentrations : sequence of p floats
        Of the priors; the density of each is proportional to ``(1 - pacf^2)^(concentration - 1)``.
    first : float
        A first guess of the first one; that of the others is zero.
    """
    return [
        Parameter((f"pacf{k}({owner})",), "pacf", CORRELATION, Lkj(c), 0.0 if k > 1 else first, ((owner, f"pacf{k}"),))
        for k, c in enumerate(concentrations, 1)
    ]


def simplex(owner: str, size: int, concentration: float = 1.0) -> Parameter:
    """Shares ``simplex(owner)[1]``, ``simplex(owner)[2]``, ... that sum to one; the key of their prior has no number.

    Examples
    --------
    >>> simplex("mo(x)", 2).names
    ('simplex(mo(x))[1]', 'simplex(mo(x))[2]')
    """
    key = f"simplex({owner})"
    return Parameter(
        names=tuple(f"{key}[{k + 1}]" for k in range(size)),
        kind="simplex",
        domain=SHARES,
        default=Dirichlet(concentration),
        start=1.0 / size,
        places=tuple((owner, f"simplex[{k + 1}]") for k in range(size)),
        key=key,
    )


def alike(
    kind: str,
    owner: str,
    of: Sequence[str],
    domain: Domain,
    default: ThetaPrior,
    start: float,
    *,
    ratios: bool = False,
) -> Parameter:
    """Hyperparameters ``kind(x1)``, ``kind(x2)``, ... with one prior, whose key is ``kind(owner)``."""
    return Parameter(
        names=tuple(f"{kind}({name})" for name in of),
        kind=kind,
        domain=domain,
        default=default,
        start=start,
        places=tuple((owner, f"{kind}({name})") for name in of),
        key=f"{kind}({owner})",
        ratios=ratios,
    )
