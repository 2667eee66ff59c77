"""Estimators in the form of scikit-learn, for its pipelines, scores and cross-validation.

Needs scikit-learn: ``pip install "lgm-bayes[sklearn]"``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import pandas as pd

from lgm.data.table import Table
from lgm.errors import FormulaError, LgmError, MissingPackageError
from lgm.families.family import Family
from lgm.formula.parse import parse
from lgm.model import build
from lgm.terms import TERMS

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d, validate_data
except ImportError as error:
    raise MissingPackageError(f'lgm.sklearn needs scikit-learn: pip install "lgm-bayes[sklearn]" ({error}).') from error


class _LatentGaussian(BaseEstimator):
    """What both estimators share: a formula whose left-hand side is y, and a fit of it."""

    def __init__(
        self,
        formula: str | None = None,
        *,
        family: str | Family = "gaussian",
        link: str | None = None,
        priors: Mapping[str, Any] | None = None,
        weights: str | None = None,
        env: Mapping[str, Any] | None = None,
        method: str = "importance",
        approximation: str = "auto",
        draws: int = 1000,
        new_levels: str = "sample",
        random_state: Any = None,
    ) -> None:
        self.formula = formula
        self.family = family
        self.link = link
        self.priors = priors
        self.weights = weights
        self.env = env
        self.method = method
        self.approximation = approximation
        self.draws = draws
        self.new_levels = new_levels
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the model to rows X (n, columns), a table or an array, and their responses y (n,).

        Raises
        ------
        FormulaError, DataError, PriorError, IdentifiabilityError
            As from `lgm.model`.
        """
        table, columns = self._columns(X, reset=True), self._answers(y)
        if len(table) != len(columns):
            raise ValueError(f"X has {len(table)} rows and y has {len(columns)} values; accepted: as many.")
        if len(table) < 2:
            raise ValueError("X has n_samples = 1; accepted: at least two rows.")
        name, source = self._source([str(each) for each in table.columns])
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        data = table.assign(**{name: np.asarray(columns)})
        # names of this function are none of the formula's, so no caller is named
        built = build(source, data, self.family, self.link, self.priors, self.weights, self.env, "error", None)
        self.fit_ = built.fit(
            method=self.method,  # type: ignore[arg-type]
            approximation=self.approximation,  # type: ignore[arg-type]
            draws=self.draws,
            seed=seed,
            progress=False,
        )
        return self

    def sample_y(self, X: Any, n_samples: int = 1, random_state: Any = 0) -> Any:
        """Draws (n, n_samples) from the posterior predictive distribution of new responses at rows X.

        Raises
        ------
        LgmError
            For more samples than the fit has draws.
        """
        check_is_fitted(self)
        rng = check_random_state(random_state)
        seed = int(rng.randint(2**31 - 1))
        table, most = self._columns(X), self.fit_.effects.size
        if not 1 <= n_samples <= most:
            raise LgmError(f"n_samples={n_samples!r}; accepted: from 1 to {most}, as many draws as the fit has.")
        chains = len(self.fit_.draws.theta)
        several = min(-(-n_samples // chains) * chains, most)
        found = self.fit_.posterior_predict(table, draws=several, seed=seed, new_levels=self.new_levels)  # type: ignore[arg-type]
        drawn = found.transpose("row", "chain", "draw").to_numpy().reshape(len(table), -1)
        return self._labelled(drawn[:, rng.permutation(drawn.shape[1])[:n_samples]])

    def _predicted(self, X: Any, kind: Literal["mean", "response"]) -> pd.DataFrame:
        check_is_fitted(self)
        found: pd.DataFrame = self.fit_.predict(self._columns(X), kind, new_levels=self.new_levels)  # type: ignore[arg-type]
        return found

    def _labelled(self, drawn: Any) -> Any:
        return drawn

    def _columns(self, X: Any, *, reset: bool = False) -> pd.DataFrame:
        """X as a table; the columns of an array are called x0, x1, ... as scikit-learn does."""
        names = getattr(X, "columns", getattr(X, "column_names", []))
        if len(names) and all(isinstance(name, str) for name in names):  # others have no names for scikit-learn
            validate_data(self, X, reset=reset, skip_check_array=True)
            table = Table.of(X, "X")
            return table.select().reset_index(drop=True)
        array = validate_data(self, X, reset=reset)
        names = getattr(self, "feature_names_in_", [f"x{j}" for j in range(array.shape[1])])
        return pd.DataFrame(array, columns=list(names))

    def _answers(self, y: Any) -> Any:
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        return check_array(column_or_1d(y, warn=True), ensure_2d=False, dtype="numeric")

    def _source(self, columns: list[str]) -> tuple[str, str]:
        """Name of the response, and the whole formula."""
        if self.formula is None:
            name = _free("y", columns)
            return name, f"{name} ~ {' + '.join(f'`{column}`' for column in columns)}"
        left, tilde, right = self.formula.partition("~")
        if not tilde or not left.strip():
            name = _free("y", columns)
            return name, f"{name} ~ {right if tilde else self.formula}"
        side = parse(self.formula, tuple(TERMS)).response
        if not left.strip().isidentifier():
            raise FormulaError(
                f"`{side.text}` stands before `~`, but the response is y as it is. Accepted: a name, or nothing; "
                "sklearn.compose.TransformedTargetRegressor transforms y."
            )
        return left.strip(), self.formula


def _free(name: str, taken: list[str]) -> str:
    while name in taken:
        name += "_"
    return name


class LatentGaussianRegressor(RegressorMixin, _LatentGaussian):
    """Regression by a latent Gaussian model, as `lgm.fit` fits it, in the form of scikit-learn.

    Parameters
    ----------
    formula : str, optional
        Such as ``"x + (1|group) + s(t)"``: what stands after ``~`` in a formula of `lgm.fit`, or all of it with a name
        for y. Its names are columns of X, ``x0, x1, ...`` where X is an array, then those of `env`. By default all
        columns are fixed effects.
    family : str or Family
        Of `lgm.families`; by default ``"gaussian"``.
    link, priors, env
        As for `lgm.fit`.
    weights : str, optional
        A column of X; see `lgm.fit`.
    method : {"importance", "nuts", "mode", "joint"}
        Engine; see `lgm.fit`.
    approximation : str
        See `lgm.fit`.
    draws : int
        A quarter of the posterior draws (with ``"nuts"``, those of each of four chains).
    new_levels : {"sample", "zero", "error"}
        For levels that the fit does not have, as new groups of `sklearn.model_selection.GroupKFold`; see `Fit.predict`.
    random_state : int, RandomState or None

    Attributes
    ----------
    fit_ : Fit
        All that lgm knows of the fit: tables, checks, pictures.

    Notes
    -----
    Rows cannot miss a value, and there is no ``sample_weight``: in lgm a weight says how precise a row is, and two rows
    that are alike are not one of twice the weight.

    Examples
    --------
    >>> import lgm
    >>> from lgm.sklearn import LatentGaussianRegressor
    >>> sleep = lgm.load_dataset("sleepstudy")
    >>> people = LatentGaussianRegressor("Days + (Days|Subject)", random_state=1).fit(sleep, sleep["Reaction"])
    >>> mean, sd = people.predict(sleep, return_std=True)
    >>> mean.shape, round(people.score(sleep, sleep["Reaction"]), 2)
    ((180,), 0.83)
    """

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The expected response (n,) at rows X, and with ``return_std`` the sd of a new one (n,), its noise included.

        As in `sklearn.linear_model.BayesianRidge`.
        """
        found = self._predicted(X, "response" if return_std else "mean")
        mean = found["mean"].to_numpy()
        return (mean, found["sd"].to_numpy()) if return_std else mean


class LatentGaussianClassifier(ClassifierMixin, _LatentGaussian):
    """Classification by a latent Gaussian model: of two classes, or of ordered ones with ``family="cumulative"``.

    Parameters
    ----------
    formula, link, priors, weights, env, method, approximation, draws, new_levels, random_state
        As for `LatentGaussianRegressor`.
    family : {"bernoulli", "cumulative"}
        Two classes, or any number that are ordered as ``classes_`` are: numbers by size, labels by the alphabet, and
        those of an ordered categorical of pandas as it says.

    Attributes
    ----------
    classes_ : array (m,)
    fit_ : Fit
        All that lgm knows of the fit.

    Examples
    --------
    >>> import lgm
    >>> from lgm.sklearn import LatentGaussianClassifier
    >>> pairs = lgm.load_dataset("salamander")
    >>> mating = LatentGaussianClassifier("TypeF * TypeM + (1|Female) + (1|Male)", random_state=1)
    >>> mating = mating.fit(pairs, pairs["Mate"])
    >>> mating.classes_.tolist(), mating.predict_proba(pairs).shape, mating.score(pairs, pairs["Mate"]) > 0.7
    ([0, 1], (360, 2), True)
    """

    def __init__(
        self,
        formula: str | None = None,
        *,
        family: str | Family = "bernoulli",
        link: str | None = None,
        priors: Mapping[str, Any] | None = None,
        weights: str | None = None,
        env: Mapping[str, Any] | None = None,
        method: str = "importance",
        approximation: str = "auto",
        draws: int = 1000,
        new_levels: str = "sample",
        random_state: Any = None,
    ) -> None:
        super().__init__(
            formula,
            family=family,
            link=link,
            priors=priors,
            weights=weights,
            env=env,
            method=method,
            approximation=approximation,
            draws=draws,
            new_levels=new_levels,
            random_state=random_state,
        )

    def predict(self, X: Any) -> Any:
        """The most probable class (n,) at rows X."""
        probabilities = self.predict_proba(X)
        return self.classes_[np.argmax(probabilities, axis=1)]

    def predict_proba(self, X: Any) -> Any:
        """Probabilities (n, m) of the classes at rows X, in the order of ``classes_``."""
        found = self._predicted(X, "mean")["mean"].to_numpy()
        if self.family == "bernoulli":
            return np.stack([1.0 - found, found], axis=1)
        return found.reshape(-1, len(self.classes_))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = self.family != "bernoulli"
        return tags

    def _answers(self, y: Any) -> Any:
        """Places of the classes, as numbers or as ordered categories."""
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        if self.family not in ("bernoulli", "cumulative"):
            raise LgmError(f'family={self.family!r}; accepted: "bernoulli" or "cumulative".')
        ordered = isinstance(getattr(y, "dtype", None), pd.CategoricalDtype) and y.dtype.ordered
        if ordered:
            self.classes_, places = np.asarray(y.dtype.categories), y.cat.codes.to_numpy()
        else:
            y = column_or_1d(y, warn=True)
            check_classification_targets(y)
            self.classes_, places = np.unique(y, return_inverse=True)
        m = len(self.classes_)
        if m < 2:
            raise ValueError(f"y has only one class, {self.classes_[0]!r}; accepted: at least two classes.")
        if m > 2 and self.family == "bernoulli":
            raise ValueError(
                f"Only binary classification is supported. The type of the target is multiclass: y has {m} classes. "
                'Accepted: two, or family="cumulative" for ordered ones.'
            )
        return places.astype(float) if self.family == "bernoulli" else places + 1

    def _labelled(self, drawn: Any) -> Any:
        first = 0 if self.family == "bernoulli" else 1
        return self.classes_[drawn.astype(np.int64) - first]
