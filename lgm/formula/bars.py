"""Read group effects: ``(x | g)``, ``cs(0 + f | g)``, ``(1 | g, cov=K)``, ``(1 | gr(g, by=f))``, ``(1 | mm(a, b))``."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from lgm.formula.grammar import formulaic_terms
from lgm.formula.python import Expression
from lgm.formula.sides import Bar, Effects, Keyword, joined, listed_names
from lgm.formula.tokens import MAX_DEPTH, Kind, Problem, Span, Token, hull, spaced_text, tokenize, without_backticks
from lgm.words import suggest

BAR = "effects, one bar, and a group, in parentheses: `(1 | g)`, `(1 + x | g)`, or `(x || g)` without correlations."
# Covariance classes, and what each is called where its variances are equal or not.
CLASSES = ("us", "diag", "homdiag", "cs", "homcs", "toep", "homtoep", "ar1", "hetar1", "ou")
_EQUAL = {"diag": "homdiag", "cs": "homcs", "toep": "homtoep", "ar1": "ar1", "ou": "ou"}
_FREE = {"us": "us", "diag": "diag", "cs": "cs", "toep": "toep", "ar1": "hetar1"}

_GROUP = "columns or Python calls joined by `:` or `/`, such as `g`, `a:b` or `a/b`; one bar for each grouping."
_OPTIONS = "after the group, `cov=K` or `precision=Q`, and `by=f`, as in `(1 | g, cov=K)`."
_MEMBERS = (
    "two columns or more, and their weights if they are not equal: `mm(a, b, weights=cbind(w1, w2))`. Those of a row "
    "are divided by their sum, unless scale=False."
)


def opened(tokens: Sequence[Token]) -> list[Token]:
    """The same tokens with calls of covariance classes that have a bar inside taken apart, names before brackets."""
    found: list[Token] = []
    for token in tokens:
        name, bracket, _ = token.text.partition("(")
        if token.kind is not Kind.PYTHON or token.quoted or not bracket or name not in CLASSES or "|" not in token.text:
            found.append(token)
            continue
        start = token.span.start + len(name)
        inner = [
            replace(each, span=Span(each.span.start + start, each.span.stop + start), depth=each.depth + token.depth)
            for each in tokenize(token.text[len(name) :])
        ]
        if not any(each.is_operator("|", "||") and each.depth == token.depth + 1 for each in inner):
            found.append(token)
            continue
        found.extend([Token(Kind.NAME, name, Span(token.span.start, start), token.depth), *inner])
    return found


def names_class(tokens: Sequence[Token]) -> bool:
    """Whether tokens begin with the name of a covariance class before a bracket."""
    return len(tokens) > 1 and tokens[0].kind is Kind.NAME and tokens[1].text == "(" and tokens[0].text in CLASSES


def read_effects(tokens: Sequence[Token], operands: Mapping[Token, Expression], span: Span | None = None) -> Effects:
    """Let formulaic read what is not lifted out."""
    called = {t: t.body if t.kind is Kind.NAME else operands[t].text for t in tokens if t in operands}
    formula = formulaic_terms(tokens, called)
    read = {called[token]: operands[token] for token in reversed(called)}  # of equal ones, the first
    used = dict.fromkeys(factor.expr for term in formula for factor in term.factors)
    wildcard = next((t.span for t in tokens if t.kind is Kind.VALUE and t.text == "."), None)
    factors = {name: read[name] for name in used if name in read}
    return Effects(spaced_text(tokens) or "1", span or hull(tokens), formula, factors, wildcard)


def read_bars(tokens: Sequence[Token], operands: Mapping[Token, Expression]) -> Iterator[Bar]:
    """The bars that a group effect stands for: one for each level of a nested grouping."""
    structure = tokens[0].text if names_class(tokens) else ""
    inside = tokens[2 if structure else 1 : -1]
    first, *others = [i for i, token in enumerate(inside) if token.is_operator("|", "||")]
    bar, before, rest = inside[first], inside[:first], inside[first + 1 :]
    if others:
        raise Problem("This is a second bar in one group effect.", inside[others[0]].span, BAR)
    if not before or not rest:
        raise Problem(f"Nothing stands {'after' if before else 'before'} this bar.", bar.span, BAR)
    for token in before:
        if token.kind is Kind.VALUE and token.text == ".":
            raise Problem("`.` cannot stand for columns in a group effect.", token.span, "the names of the columns.")
    if structure and bar.text == "||":
        raise Problem(
            f"`||` says that effects are independent, and `{structure}()` says how they are not.", bar.span, BAR
        )
    effects = read_effects(before, operands)
    if not effects.formula:
        raise Problem("No effect remains before the bar.", hull(before), BAR)
    group, options = _options(rest, operands)
    structure, options = _homogeneous(structure, options)
    grouping = _read(group, options, operands)
    said = "".join(f", {option.name}={option.value.text}" for option in grouping.options)
    for factors in grouping.factors:
        shown = f"mm({listed_names(factors)})" if grouping.pooled else joined(factors)
        text = f"{structure}({effects.text} {bar.text} {shown}{said})"
        yield Bar(
            effects=effects,
            group=factors,
            correlated=bar.text == "|",
            span=hull(tokens),
            text=text,
            structure=structure or "us",
            options=grouping.options,
            weights=grouping.weights,
            pooled=grouping.pooled,
            scaled=grouping.scaled,
        )


def _read(group: Sequence[Token], options: Sequence[Keyword], operands: Mapping[Token, Expression]) -> _Grouping:
    """What stands after the bar, as it is or in a call of ``gr()`` or ``mm()``."""
    called = _called(group, operands)
    if called is None:
        found = _Grouping(tuple(_groups(group, operands)), tuple(options), (), False)
    elif called.name == "gr":
        if len(called.args) != 1:
            raise Problem("`gr()` takes one grouping factor.", called.span, "`gr(g)`, `gr(g, cov=K)` or `gr(g, by=f)`.")
        found = _Grouping((called.args,), (*called.keywords, *options), (), False)
    else:
        if len(called.args) < 2:
            raise Problem("`mm()` is for levels of several columns.", called.span, _MEMBERS)
        left = tuple(option for option in (*called.keywords, *options) if option.name not in ("weights", "scale"))
        found = _Grouping((called.args,), left, _weights(called), True, _scaled(called))
    _require_sound(found, hull(group))
    return found


class _Grouping(NamedTuple):
    """Groupings, what is said of them, and weights of members if they are pooled."""

    factors: tuple[tuple[Expression, ...], ...]
    options: tuple[Keyword, ...]
    weights: tuple[Expression, ...]
    pooled: bool
    scaled: bool = True


def _require_sound(grouping: _Grouping, span: Span) -> None:
    known = ("cov", "precision", "by")
    names = [option.name for option in grouping.options]
    for option in grouping.options:
        if option.name not in known:
            hint = suggest(option.name, known)
            raise Problem(f"A group has no option `{option.name}`.{hint}", option.span, _OPTIONS)
    if len(set(names)) < len(names):
        raise Problem("An option of this group is given twice.", span, _OPTIONS)
    if {"cov", "precision"} <= set(names):
        raise Problem("`cov=` and `precision=` say the same.", span, "one of them.")
    if {"cov", "precision"} & set(names) and len(grouping.factors) > 1:
        raise Problem("A relationship matrix is of one grouping.", span, "`(1 | a, cov=K) + (1 | a:b)`.")


def told_apart(bars: Sequence[Bar]) -> tuple[Bar, ...]:
    """The same; a group with a relationship matrix is called by it too if there is another of its name."""
    names = [bar.group_name for bar in bars]
    matrices = [bar.option("cov") or bar.option("precision") for bar in bars]
    return tuple(
        replace(bar, mark=f"[{matrix.text}]") if matrix is not None and names.count(name) > 1 else bar
        for bar, matrix, name in zip(bars, matrices, names, strict=True)
    )


def _options(tokens: Sequence[Token], operands: Mapping[Token, Expression]) -> tuple[list[Token], list[Keyword]]:
    """The grouping, and what is said of it after commas."""
    depth = min(token.depth for token in tokens)
    parts: list[list[Token]] = [[]]
    for token in tokens:
        if token.is_operator(",") and token.depth == depth:
            parts.append([])
        else:
            parts[-1].append(token)
    group, *said = parts
    if not group:
        raise Problem("No group stands after the bar.", hull(tokens), BAR)
    options = []
    for part in said:
        if len(part) != 3 or part[0].kind is not Kind.NAME or not part[1].is_operator("=") or part[2] not in operands:
            raise Problem("This is not an option of a group.", hull(part or tokens), _OPTIONS)
        options.append(Keyword(part[0].text, operands[part[2]], hull(part)))
    return group, options


def _homogeneous(structure: str, options: Sequence[Keyword]) -> tuple[str, list[Keyword]]:
    """The class that ``hom=`` of lme4 makes of another, and the other options."""
    left = [option for option in options if option.name != "hom"]
    for option in options:
        if option.name == "hom":
            value = without_backticks(option.value.text)  # as names, these are no Python
            table = {"true": _EQUAL, "false": _FREE}.get(value.casefold(), {})
            if structure not in table:
                raise Problem(
                    f"`hom={value}` is not for {f'`{structure}()`' if structure else 'this bar'}.",
                    option.span,
                    f"hom=True in {', '.join(_EQUAL)}; hom=False in {', '.join(_FREE)}.",
                )
            structure = table[structure]
    return structure, left


class _Grouped:
    """A call of ``gr()`` or ``mm()`` in the place of a group."""

    def __init__(self, expression: Expression, node: ast.Call) -> None:
        self.name = expression.text_of(node.func)
        self.args = tuple(expression.part(arg) for arg in node.args)
        self.keywords = tuple(
            Keyword(str(given.arg), expression.part(given.value), expression.span_of(given)) for given in node.keywords
        )
        self.span = expression.span_of(node)


def _called(group: Sequence[Token], operands: Mapping[Token, Expression]) -> _Grouped | None:
    expression = operands.get(group[0]) if len(group) == 1 else None
    tree = None if expression is None else expression.tree
    if expression is None or not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
        return None
    return _Grouped(expression, tree) if tree.func.id in ("gr", "mm") else None


def _weights(called: _Grouped) -> tuple[Expression, ...]:
    """Weights of the members of ``mm()``: none, or one for each."""
    given = next((keyword for keyword in called.keywords if keyword.name == "weights"), None)
    if given is None:
        return ()
    match given.value.tree:
        case ast.Call(func=ast.Name(id="cbind"), args=nodes) | ast.List(elts=nodes) | ast.Tuple(elts=nodes):
            weights = tuple(given.value.part(node) for node in nodes)
        case _:
            raise Problem("These weights cannot be read.", given.span, _MEMBERS)
    if len(weights) != len(called.args):
        raise Problem(f"`mm()` has {len(weights)} weights for {len(called.args)} columns.", given.span, _MEMBERS)
    return weights


def _scaled(called: _Grouped) -> bool:
    given = next((keyword for keyword in called.keywords if keyword.name == "scale"), None)
    value = "true" if given is None else given.value.text.casefold()
    if given is not None and value not in ("true", "false"):
        raise Problem(
            "`scale` says whether the weights of a row are divided by their sum.", given.span, "True or False."
        )
    return value == "true"


def _groups(tokens: Sequence[Token], operands: Mapping[Token, Expression]) -> Iterator[tuple[Expression, ...]]:
    """Expand the grouping ``a/b:c`` into ``a`` and ``a:b:c``."""
    factors: list[Expression] = []
    for i, token in enumerate(tokens):
        last, is_factor = i == len(tokens) - 1, token in operands
        if not (is_factor if i % 2 == 0 else token.is_operator(":", "/") and not last):
            raise Problem("The grouping cannot be read from here on.", hull(tokens[i:]), _GROUP)
        if is_factor:
            factor = operands[token] if token.kind is Kind.NAME else replace(operands[token], text=token.text)
            if factor.text in [other.text for other in factors]:
                raise Problem(f"`{token.body}` appears twice in this grouping.", token.span, _GROUP)
            factors.append(factor)
            if len(factors) > MAX_DEPTH:
                raise Problem(f"This grouping has more than {MAX_DEPTH} factors.", hull(tokens), _GROUP)
        if last or token.text == "/":
            yield tuple(factors)
