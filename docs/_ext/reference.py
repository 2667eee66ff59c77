"""The pages on terms, families and priors, made from the code: names, arguments, mathematics, default priors, links."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import catalogue

import lgm

VIGNETTES = Path(__file__).parents[2] / "vignettes"
MOST_FIXED = 2  # fixed effects of a term that are shown


def prose(documented: Any) -> str:
    """A docstring up to its first section: the mathematics, without arguments."""
    text = inspect.cleandoc(documented if isinstance(documented, str) else documented.__doc__ or "")
    found = re.search(r"^\w[\w ]*\n-{3,}$", text, flags=re.M)
    return (text if found is None else text[: found.start()]).strip()


def table(header: Sequence[str], rows: Sequence[Sequence[str]], widths: str = "auto") -> str:
    """A list-table; cells are reStructuredText."""
    lines = [".. list-table::", f"   :header-rows: {int(bool(header))}", f"   :widths: {widths}", ""]
    for row in ([header] if header else []) + list(rows):
        for place, cell in enumerate(row):
            lines.append(f"   {'* -' if place == 0 else '  -'} {cell}")
    return "\n".join(lines)


def heading(text: str, underline: str, label: str = "") -> str:
    """A title, with a label to which others can link."""
    anchor = f".. _{label}:\n\n" if label else ""
    return f"{anchor}{text}\n{underline * len(text)}"


def pages_with(pattern: str) -> list[str]:
    """Links to the vignettes whose code matches."""
    found = []
    for path in sorted(VIGNETTES.glob("*.md")):
        code = "\n".join(re.findall(r"^```python\n(.*?)^```$", path.read_text(encoding="utf-8"), flags=re.M | re.S))
        if re.search(pattern, code):
            found.append(f":doc:`/vignettes/{path.stem}`")
    return found


def _used(pattern: str) -> str:
    links = pages_with(pattern)
    return f"Used in {', '.join(links)}." if links else ""


def _code(text: str) -> str:
    return f"``{text}``"


def modelled(formula: str, family: str = "gaussian") -> lgm.Model:
    """A model of the examples; its data are for its shapes only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lgm.LgmWarning)
        return lgm.model(formula, catalogue.responses(), family, env=catalogue.ENV)


# Terms ----------------------------------------------------------------------------------------------------------------


def signature(name: str) -> str:
    """How a term is called."""
    s = lgm.terms.TERMS[name].signature
    variables = [*s.variables, "..."] if s.many else list(s.variables) or ["x1", "x2", "..."]
    keywords = [f"{option}=" for option in (*s.options, *s.shown, *s.copying)]
    return f"{name}({', '.join([*variables, *s.others, *keywords])})"


def parameters(model: lgm.Model) -> list[list[str]]:
    """Name and default prior of what a term brings, on the scale of the example; residual and intercept aside."""
    shown, fixed = [], 0
    for name, prior in model.priors["prior"].items():
        if name in ("Intercept", "sigma"):
            continue
        is_fixed = name in model.design.fixed_names
        fixed += is_fixed
        if is_fixed and fixed > MOST_FIXED:
            continue
        shown.append([_code(str(name)), _code(str(prior)), "fixed effect" if is_fixed else ""])
    if fixed > MOST_FIXED:
        shown.append([f"... {fixed - MOST_FIXED} more", "", "fixed effects"])
    return shown


def term(name: str) -> str:
    """The section of one term."""
    call = catalogue.TERMS[name]
    model = modelled(f"y ~ {call}")
    [found] = model.design.terms
    said = catalogue.arguments(name)
    module = inspect.getmodule(lgm.terms.TERMS[name].build)
    parts = [
        heading(name, "-", f"term-{name}"),
        f"``{signature(name)}``",
        prose(module.__doc__ or "").split(":")[0].rstrip(".") + ".",
        prose(type(found)),
        table(("argument", "meaning"), [[_code(key), text] for key, text in said.items()]),
        f"``{call}`` has, for a response with the standard deviation one:",
        table(("parameter", "default prior", ""), parameters(model)),
        _used(rf"\b{name}\("),
    ]
    return "\n\n".join(part for part in parts if part)


def _examples(rows: Iterable[tuple[str, str, str]]) -> str:
    """Formula, meaning, hyperparameters with their defaults; every one is read against data."""
    shown = []
    for key, call, meaning in rows:
        found = [f"{name} {prior}" for name, prior, what in parameters(modelled(f"y ~ {call}")) if not what]
        shown.append([_code(key), _code(call), meaning, "; ".join(found)])
    return table(("name", "example", "meaning", "hyperparameters"), shown, "10 20 35 35")


def terms() -> str:
    """The page on terms."""
    groups = _examples((key, call, meaning) for key, (call, meaning) in catalogue.BARS.items())
    more = _examples((call, call, meaning) for call, meaning in catalogue.MORE_BARS.items())
    bases = _examples((key, call, meaning) for key, (call, meaning) in catalogue.BASES.items())
    sections = [
        heading("Terms", "="),
        "Made from the code: every term that a formula may hold, what its arguments mean, which parameters it has, "
        "and which priors these have by default. Default priors are multiples of a yardstick, which for a Gaussian "
        "response is its standard deviation; in the examples that is one. Fixed effects are those of formulaic: ``x``, "
        "``C(x)``, ``poly(x, 2)``, ``a*b``, ``offset(e)``.",
        heading("Groups", "-", "term-groups"),
        "Effects that vary by level of a group, ``(effects | group)``, with a covariance class before the parenthesis "
        "where it is not the unstructured one.",
        groups,
        more,
        _used(r"\|"),
        *(term(name) for name in sorted(lgm.terms.TERMS)),
        heading("Bases of smooths", "-", "term-bases"),
        "What ``bs=`` names in ``s(...)``.",
        bases,
    ]
    return "\n\n".join(sections) + "\n"


# Families -------------------------------------------------------------------------------------------------------------


def family(name: str) -> str:
    """The section of one family."""
    kind = lgm.families.FAMILIES[name]
    response, accepted = catalogue.RESPONSES[name]
    model = modelled(f"{response} ~ 1", name)
    own = [
        [_code(str(parameter)), _code(str(prior))]
        for parameter, prior in model.priors["prior"].items()
        if parameter not in model.design.fixed_names
    ]
    exact = model.design.family.conjugate
    engine = (
        "Effects are integrated out exactly."
        if exact
        else "Effects are integrated out by weights about Laplace's approximation"
        + (", whose search the compiled kernel does." if model.design.family.kernel else ".")
    )
    facts = [
        ["family", " or ".join(_code(f'"{each}"') for each in (name, *kind.aliases))],
        ["response", accepted],
        ["links", ", ".join(map(_code, kind.links)) + ("; the first is the default" if len(kind.links) > 1 else "")],
    ]
    if not exact:
        facts.append(["log-concave", "in the linear predictor" if kind.log_concave else "not everywhere"])
    parts = [
        heading(name, "-", f"family-{name}"),
        prose(kind),
        table((), facts),
        engine,
        table(("parameter", "default prior"), own) if own else "No parameters of its own.",
        _used(rf"family[\"']?\s*[=:]\s*[\"']{re.escape(name)}[\"']"),
    ]
    return "\n\n".join(part for part in parts if part)


def families() -> str:
    """The page on families."""
    sections = [
        heading("Families", "="),
        "Made from the code. ``mu`` is the expected response, or the probability; ``eta`` the linear predictor. Where "
        "a default prior depends on the responses, it is that of a small example. A family of your own is "
        ":doc:`one function </vignettes/a_term_in_one_file>`.",
        *map(family, lgm.families.FAMILIES),
    ]
    return "\n\n".join(sections) + "\n"


# Priors ---------------------------------------------------------------------------------------------------------------


def prior(name: str) -> str:
    """The section of one prior."""
    function = catalogue.priors()[name]
    use, example = catalogue.PRIORS[name]
    printed = eval(f"lgm.priors.{example}", {"lgm": lgm})
    parts = [
        heading(name, "-", f"prior-{name}"),
        f"``{name}{inspect.signature(function).replace(return_annotation=inspect.Signature.empty)}``".replace("'", ""),
        prose(function),
        f"For {use}. ``lgm.priors.{example}`` is printed as ``{printed}``. In full: `lgm.priors.{name}`.",
        _used(rf"priors\.{name}\("),
    ]
    return "\n\n".join(part for part in parts if part)


def priors() -> str:
    """The page on priors."""
    sections = [
        heading("Priors", "="),
        "Made from the code. ``priors={...}`` takes them by the name of a parameter as it is printed, such as "
        '``"sd(Days|Subject)"``, or by class: ``"sd"``, ``"corr"``, ``"rho"``, ``"phi"``, ``"range"``, ``"fixed"``. '
        "Any distribution of NumPyro on the right range serves as well. Every fit prints the priors that it used.",
        *map(prior, catalogue.priors()),
    ]
    return "\n\n".join(sections) + "\n"


PAGES = {"terms": terms, "families": families, "priors": priors}


def write(folder: Path) -> None:
    """All pages; those that would stay the same are left alone."""
    folder.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        text, target = make(), folder / f"{name}.rst"
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, Any]:
    """Written before Sphinx looks for pages."""
    app.connect("builder-inited", lambda app: write(Path(app.srcdir) / "reference"))
    return {"parallel_read_safe": True}
