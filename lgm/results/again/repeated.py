"""Many fits one after the other: a bar, no warnings of single ones, and Ctrl-C keeps what there is."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from lgm.errors import LgmWarning
from lgm.inference.interrupt import interruptible
from lgm.results.progress import bar


def repeated(step: Callable[[], int], n: int, what: str, *, progress: bool) -> bool:
    """Go on until there are n results or Ctrl-C is pressed; whether it was before they were there.

    Parameters
    ----------
    step : callable
        Does one piece of work, and returns how many results there are. KeyboardInterrupt ends the work.
    n : int
    what : str
        What a result is, in words.
    progress : bool
    """
    done = 0
    with bar(n, f"{what}s", progress=progress) as shown:
        try:
            with interruptible(what) as pressed, warnings.catch_warnings():
                warnings.simplefilter("ignore", LgmWarning)
                while done < n and not pressed:
                    done = step()
                    shown.update(done - shown.n)
        except KeyboardInterrupt:
            return True
    return done < n
