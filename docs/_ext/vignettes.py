"""Pages of the site from ``vignettes/``: every one is a notebook in plain text, which MyST-NB runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jupytext

SOURCE = Path(__file__).parents[2] / "vignettes"


def write(folder: Path) -> None:
    """The vignettes in the form that MyST-NB reads; files that would stay the same are left alone."""
    folder.mkdir(exist_ok=True)
    wanted = set()
    for path in sorted(SOURCE.glob("*.md")):
        notebook = jupytext.read(path)
        # Of one version for all: no version of jupytext makes a page new.
        notebook.metadata.pop("jupytext", None)
        target = folder / path.name
        text = jupytext.writes(notebook, fmt="md:myst")
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")
        wanted.add(target)
    for stale in set(folder.glob("*.md")) - wanted:
        stale.unlink()


def setup(app: Any) -> dict[str, Any]:
    """Written before Sphinx looks for pages."""
    app.connect("builder-inited", lambda app: write(Path(app.srcdir) / "vignettes"))
    return {"parallel_read_safe": True}
