"""What draws from the prior cannot answer."""

from collections.abc import Callable

import pytest

import lgm


@pytest.fixture(scope="module")
def prior() -> lgm.Fit:
    model = lgm.model("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"))
    return model.fit(method="prior", draws=10, seed=1, progress=False)


@pytest.mark.parametrize(
    ("what", "ask"),
    [
        ("leave-one-out", lambda fit: fit.loo()),
        ("leave-one-out", lambda fit: fit.loo("Batch")),
        ("cross-validation", lambda fit: fit.kfold()),
        ("WAIC", lambda fit: fit.waic()),
        ("DIC", lambda fit: fit.dic()),
        ("residual", lambda fit: fit.residuals()),
        ("residual", lambda fit: fit.plot_residuals()),
        ("check", lambda fit: fit.check()),
        ("bootstrap", lambda fit: fit.bootstrap()),
        ("marginal likelihood", lambda fit: lgm.compare(fit, fit, by="evidence")),
        ("leave-one-out", lambda fit: fit.add_groups("log_likelihood")),
    ],
)
def test_it_is_said(prior: lgm.Fit, what: str, ask: Callable[[lgm.Fit], object]) -> None:
    with pytest.raises(
        lgm.LgmError, match=f"^there is no {what} of draws from the prior, for which no response was used"
    ):
        ask(prior)


def test_new_data_by_the_prior_are_shown(prior: lgm.Fit) -> None:
    assert prior.pp_check().axes[0].get_xlabel() == "Yield"
