"""Formulas that nobody would write: pieces in any order, odd calls, good formulas that are damaged, repetitions."""

from __future__ import annotations

from random import Random

from formulaic.transforms import TRANSFORMS

NAMES = [
    "y",
    "x",
    "z",
    "g",
    "h",
    "t",
    "t2",
    "`a b`",
    "class",
    "yield",
    "nº",
    "µg",
    "é",
    "e\u0301",
    "𠀀",
    "_",
    "__",
    "None",
]
NUMBERS = ["0", "1", "2", "00", "1e3", "0.5", "1j", "²", "½", "9" * 50]
SYMBOLS = [
    "~",
    "+",
    "-",
    "*",
    "/",
    ":",
    "^",
    "**",
    "|",
    "||",
    "%in%",
    "%",
    "@",
    "!",
    "&",
    "<",
    "==",
    ":=",
    "$",
    "?",
    ";",
]
BRACKETS = ["(", ")", "[", "]", "{", "}", "`", "``", "'", '"', "\\", "#", ",", "=", ".", ".."]
SPACES = [" ", "  ", "\n", "\t", "\r", "\0", "\u0301", "\u200b", "\ud800", "😀"]
FUNCTIONS = ["log", "np", "np.log", "I", "C", "poly", "bs", "scale", "hashed", "contr", "Q", "x.mean", "np.log.at"]
TERMS = [
    "s",
    "rw1",
    "ar1",
    "seasonal",
    "icar",
    "bym2",
    "offset",
    "(1|g)",
    "(x||g/h)",
    "s(t, k=5)",
    "rw1(t2)",
    "offset(z)",
]
PYTHON = [
    "lambda",
    "lambda x: x",
    "if",
    "else",
    "for",
    "in",
    "not",
    "*x",
    "**x",
    "k=",
    "levels=",
    "f'{x}'",
    "b'a'",
    "...",
]
PIECES = [*NAMES, *NUMBERS, *SYMBOLS, *BRACKETS, *SPACES, *FUNCTIONS, *TERMS, *PYTHON]
GOOD = [
    "y ~ x*z + (1 + x|g/h) + s(t, k=5) - 1",
    "log(y) ~ C(g, contr.treatment('b')) + poly(x, 2) + rw1(t2)",
    "y ~ (x + z)**2 + offset(log(y)) + ar1(t2)",
    "y ~ np.log(x) + {x + z}:`a b` + (0 + x||g)",
    "np.sqrt(y) ~ scale(x) %in% g + seasonal(t2, 4)",
    "y ~ bs(x, df=5) + cr(z, df=4) + lag(x) + hashed(g, levels=3)",
]


def formula(random: Random) -> str:
    """One of them."""
    kind = random.random()
    if kind < 0.4:
        text = "".join(random.choice(PIECES) + random.choice(["", " ", ""]) for _ in range(random.randint(1, 12)))
        return random.choice([text, f"y ~ {text}", f"y ~ {text}", f"{text} ~ x"])
    if kind < 0.45:
        text = "".join(random.choice(PIECES) for _ in range(random.randint(1, 3)))
        return f"y ~ x {random.choice(SYMBOLS)} {text * random.choice([10, 100, 1000])}"
    if kind < 0.65:
        summands = [_summand(random, 2) for _ in range(random.randint(1, 4))]
        return f"{_summand(random, 1)} ~ {random.choice([' + ', '*', ':', ' - ', '/']).join(summands)}"
    text = random.choice(GOOD)
    for _ in range(random.randint(1, 4)):
        at, width = random.randrange(len(text) + 1), random.randint(1, 4)
        change = random.choice(["", "", random.choice(PIECES), random.choice(PIECES), text[at : at + width]])
        text = text[:at] + change + text[at + (0 if change else width) :]
    return text


def _summand(random: Random, depth: int) -> str:
    """A name, a number or Python; a call of almost anything with almost any arguments."""
    if not depth or random.random() < 0.4:
        return random.choice(
            ["y", "x", "z", "g", "t2", "`a b`", "2", "0", "{x > 0}", "'b'", "[1, 2]", "None", "{x, [1]}"]
        )
    called = random.choice(
        [*TRANSFORMS, "np.sqrt", "s", "rw1", "rw2", "ar1", "seasonal", "offset", "I", "x.clip", "abs"]
    )
    given = [_summand(random, depth - 1) for _ in range(random.randint(0, 3))]
    keyword = random.choice(["", "", "", ", k=3", ", df=4", ", levels=['a', 'b']", ", raw=True", ", bs='cr'", ", by=g"])
    return f"{called}({', '.join(given)}{keyword})"
