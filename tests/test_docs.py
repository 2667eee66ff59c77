"""The site, which `make docs` builds: reference from the code, links, and what other packages call things."""

import re
import warnings
from pathlib import Path
from typing import Any

import catalogue
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import reference
from helpers import CHECKOUT

import lgm
from lgm.formula.bars import CLASSES
from lgm.terms.smooth import KINDS

DOCS, VIGNETTES = CHECKOUT / "docs", CHECKOUT / "vignettes"
WRITTEN = [*sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("*/index.md"))]


# Reference ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {name: make() for name, make in reference.PAGES.items()}


@pytest.mark.parametrize(
    ("page", "names"),
    [("terms", lgm.terms.TERMS), ("families", lgm.families.FAMILIES), ("priors", catalogue.priors())],
)
def test_the_reference_has_a_section_for_everything(pages: dict[str, str], page: str, names: Any) -> None:
    found = re.findall(rf"^\.\. _{page.removesuffix('s').replace('familie', 'family')}-(\w+):$", pages[page], re.M)
    assert set(names) <= set(found)


def test_groups_and_bases_are_complete() -> None:
    assert set(catalogue.BARS) == set(CLASSES)
    assert set(catalogue.BASES) == set(KINDS)


@pytest.mark.parametrize("name", lgm.terms.TERMS)
def test_every_argument_has_a_meaning_and_no_other(name: str) -> None:
    signature = lgm.terms.TERMS[name].signature
    said = catalogue.arguments(name)
    assert set(said) - {"x1, x2, ..."} == {*signature.names, *signature.copying}
    assert set(catalogue.ARGUMENTS[name]) <= set(said)


def test_default_priors_stand_with_their_terms(pages: dict[str, str]) -> None:
    """Of a response with the sd one: 2.5 with probability 5 percent."""
    section = pages["terms"].split(".. _term-rw1:")[1].split(".. _term-")[0]
    assert "``sd(rw1(t))``\n     - ``pc_sd(2.5, 0.05)``" in section
    assert "replicate" in section and ":doc:`/vignettes/" in section


# Links ----------------------------------------------------------------------------------------------------------------


def _targets(path: Path) -> list[str]:
    text = re.sub(r"^```(?!\{toctree\}).*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    links = [link for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if "://" not in link]
    for block in re.findall(r"^```\{toctree\}\n(.*?)^```$", text, flags=re.M | re.S):
        lines = [line.strip() for line in block.splitlines() if line.strip() and not line.startswith(":")]
        links += [found[1] if (found := re.search(r"<(.*)>$", line)) else line for line in lines]
    return links


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.relative_to(DOCS).as_posix())
def test_links_of_pages_lead_somewhere(path: Path) -> None:
    """To other pages: written ones, vignettes, or those that are made."""
    made = {DOCS / "reference" / name for name in reference.PAGES}
    for link in _targets(path):
        target = (path.parent / link).resolve()
        vignette = VIGNETTES / f"{target.stem}.md" if target.parent.name == "vignettes" else None
        there = [target.with_suffix(suffix) for suffix in (".md", ".rst")]
        assert target in made or any(each.is_file() for each in (*there, *([vignette] if vignette else []))), link


def test_every_vignette_is_a_page_of_the_site() -> None:
    listed = {Path(link).name for link in _targets(DOCS / "index.md") if link.startswith("vignettes/")}
    assert listed == {path.stem for path in VIGNETTES.glob("*.md")}


@pytest.mark.parametrize("path", sorted(VIGNETTES.glob("*.md")), ids=lambda path: path.stem)
def test_links_between_vignettes_lead_somewhere(path: Path) -> None:
    for link in _targets(path):
        assert (VIGNETTES / link).is_file(), link


def test_the_api_lists_all_that_is_public() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in (DOCS / "api").glob("*.rst"))
    listed = set(re.findall(r"^   (\w+)$", text, flags=re.M))
    modules = {"distributions", "errors", "families", "linalg", "plots", "priors", "terms"}
    public = {*lgm.__all__, *lgm.linalg.__all__, *lgm.families.__all__, *lgm.terms.__all__, *lgm.plots.__all__}
    assert public - modules - {"TERMS", "FAMILIES"} <= listed
    assert set(catalogue.priors()) <= listed


# What others call it --------------------------------------------------------------------------------------------------

_TEXT = (DOCS / "coming_from.md").read_text(encoding="utf-8")
_ROWS = [re.split(r"(?<!\\)\|", line)[1:-1] for line in _TEXT.splitlines() if line.startswith("|")]
HERE = sorted(
    {
        code.replace("\\|", "|")
        for row in _ROWS
        if row[0].strip() not in ("there", "---")
        for code in re.findall(r"`([^`]+)`", row[1])
    }
)


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    data = catalogue.responses().assign(n=6, w=1.0)
    options: dict[str, Any] = {"method": "importance", "draws": 100, "seed": 1, "progress": False}
    precision = pd.DataFrame(np.linalg.inv(catalogue.ENV["K"]), catalogue.ENV["K"].index, catalogue.ENV["K"].index)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lgm.LgmWarning)
        fit = lgm.fit("y ~ x + kind + s(z, k=5) + (1|g)", data, **options)
        other = lgm.fit("y ~ x", data, **options)
    model = lgm.model("y ~ x + (1|g)", data)
    made = {"fit": fit, "other": other, "model": model, "data": data, "new": data.head(2), "C": precision}
    sklearn = pytest.importorskip("lgm.sklearn", exc_type=lgm.errors.MissingPackageError)
    return {**catalogue.ENV, **made, "lgm": lgm, "LatentGaussianRegressor": sklearn.LatentGaussianRegressor}


def test_every_row_says_something_that_runs() -> None:
    assert len(_ROWS) > 80 and len(HERE) > 60


@pytest.mark.filterwarnings("ignore::lgm.LgmWarning")
@pytest.mark.parametrize("code", HERE)
def test_what_stands_here_runs(code: str, names: dict[str, Any]) -> None:
    data = names["data"]
    env = {name: names[name] for name in ("graph", "K", "C")}
    if code.startswith("y ~"):
        lgm.model(code, data, env=env)
    elif re.match(r"\w+=", code):
        given = eval(f"dict({code})", names)
        if "method" in given:
            fit = lgm.model("y ~ x", data).fit(**given, draws=100, chains=1, seed=1, progress=False)
            assert fit.method == given["method"]
        else:
            lgm.model("y ~ x + (1|g)", data, **given)
    else:
        assert eval(code, names) is not None
    plt.close("all")
