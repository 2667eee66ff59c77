"""The examples of the README run, and print what it shows."""

import re

import pytest
from helpers import CHECKOUT

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, flags=re.M | re.S)


def _agree(found: str, shown: str) -> None:
    """The same lines in the same order; posterior means may differ by a fraction of their sd, other draws by more."""
    pairs = list(zip(found.strip().splitlines(), shown.strip().splitlines(), strict=True))
    for left, right in pairs:
        assert left.split()[:1] == right.split()[:1]
    rows = [(left.split(), right.split()) for left, right in pairs if re.search(r"\d\.\d{3}$", left)]
    assert rows
    for found_words, shown_words in rows:
        (mean, sd), shown_mean = map(float, found_words[1:3]), float(shown_words[1])
        assert mean == pytest.approx(shown_mean, abs=0.3 * sd)


def test_the_readme(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    printed = ""
    for language, block in BLOCKS:
        if language == "python":
            exec(compile(block, "README.md", "exec"), names)
            printed = capsys.readouterr().out
        elif language == "text":
            _agree(printed, block)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["people.png", "posterior.png", "sleep.lgm"]


def test_the_readme_names_both_commands_and_leaves_no_gap() -> None:
    for word in ("make demo", "make test", "BSD 3-Clause", "fit.plot_term", "@"):
        assert (word in README) != (word == "@")


def test_local_links_of_the_readme_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    for link in links:
        assert (CHECKOUT / link).exists()
