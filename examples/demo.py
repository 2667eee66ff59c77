"""Two fits of public data, their tables and their pictures: `make demo` runs it and writes into ./output."""

from pathlib import Path

import numpy as np
import pandas as pd

import lgm

OUTPUT = Path("output")


def main() -> None:
    OUTPUT.mkdir(exist_ok=True)
    sleepstudy()
    infant_deaths(lgm.load_dataset("nc_sids"), lgm.graph(lgm.load_dataset("nc_sids_adj_cr85")))
    print(f"\nThe plots are in {OUTPUT.resolve()}")


def sleepstudy() -> None:
    """Reaction times of 18 people over ten days with little sleep: every person has a level and a slope."""
    headline("Sleep study: correlated random intercepts and slopes")
    fit = lgm.fit("Reaction ~ Days + (Days|Subject)", data=lgm.load_dataset("sleepstudy"), seed=1)
    print(fit)
    fit.plot().savefig(OUTPUT / "sleepstudy_posterior.png")
    fit.plot_term("(Days|Subject)").savefig(OUTPUT / "sleepstudy_subjects.png")


def infant_deaths(counties: pd.DataFrame, neighbours: lgm.Graph) -> None:
    """Sudden infant deaths in North Carolina's counties, in two periods (Cressie & Read 1985).

    The response is the Freeman-Tukey transform of the death rate, which Cressie and Read chose because its variance
    hardly depends on the rate: it is 1000 / births. Hence the weights, births over their mean, with which sigma is the
    noise of a county of average size. Each part of the formula has a reason:

    - period: the level may have changed from 1974-78 to 1979-84.
    - s(nonwhite): the share of non-white births (transformed likewise) is the known risk marker; whether its effect is
      a straight line is for the data to say.
    - icar(id, neighbours): what neighbouring counties share.
    - (1|county): what is a county's own. Two periods per county tell it from noise; together with icar it is the
      convolution of Besag, York & Mollie (1991).
    """
    headline("Infant deaths: fixed effect + group + smooth + map, in one formula")
    data = both_periods(counties)
    fit = lgm.fit(
        "rate ~ period + (1|county) + s(nonwhite) + icar(id, neighbours)",
        data=data,
        weights="size",
        seed=1,
    )
    print(fit)

    noise = np.sqrt(1000 / data["births"].mean())
    print(f"\nsigma: {fit.summary().loc['sigma', 'mean']:.3f}. Chance alone would give {noise:.3f}.")
    surprise = (data["rate"] - fit.predict()["mean"]) * np.sqrt(data["size"]) / fit.summary().loc["sigma", "mean"]
    print("Largest standardised residuals:")
    print(
        data.assign(residual=surprise.round(2)).nlargest(3, "residual")[
            ["county", "period", "deaths", "births", "residual"]
        ]
    )

    fit.plot().savefig(OUTPUT / "infant_deaths_posterior.png")
    fit.plot_term("s(nonwhite)").savefig(OUTPUT / "infant_deaths_smooth.png")
    fit.plot_term("(1|county)").savefig(OUTPUT / "infant_deaths_counties.png")
    county_seats = {row.id: (row.lon * np.cos(np.deg2rad(35.5)), row.lat) for row in data.itertuples()}
    fit.plot_term("icar(id)", geometry=county_seats).savefig(OUTPUT / "infant_deaths_map.png")


def both_periods(counties: pd.DataFrame) -> pd.DataFrame:
    """One row per county and period."""
    parts = []
    for period, short in (("1974-78", "74"), ("1979-84", "79")):
        part = counties[["id", "county", "lon", "lat"]].assign(period=period)
        part["births"], part["deaths"] = counties[f"BIR{short}"], counties[f"SID{short}"]
        part["rate"] = freeman_tukey(part["deaths"], part["births"])
        part["nonwhite"] = freeman_tukey(counties[f"NWBIR{short}"], part["births"])
        parts.append(part)
    data = pd.concat(parts, ignore_index=True)
    return data.assign(size=data["births"] / data["births"].mean())


def freeman_tukey(events: pd.Series, births: pd.Series) -> pd.Series:
    """Square-root transform of a rate per 1000."""
    return np.sqrt(1000) * (np.sqrt(events / births) + np.sqrt((events + 1) / births))


def headline(text: str) -> None:
    print(f"\n{text}\n{'=' * len(text)}\n")


if __name__ == "__main__":
    main()
