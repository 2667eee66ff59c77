"""The search for garbage is put off, and then as the user had it."""

import gc
from collections.abc import Iterator

import pytest
from helpers import run_fresh

from lgm.collecting import put_off


@pytest.fixture(params=[True, False])
def before(request: pytest.FixtureRequest) -> Iterator[bool]:
    outside = gc.isenabled()
    (gc.enable if request.param else gc.disable)()
    yield request.param
    (gc.enable if outside else gc.disable)()


def test_it_is_as_before(before: bool) -> None:
    with put_off():
        assert not gc.isenabled()
        with put_off():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled() is before


def test_it_is_as_before_after_an_error(before: bool) -> None:
    with pytest.raises(ZeroDivisionError), put_off():
        raise ZeroDivisionError
    assert gc.isenabled() is before


@pytest.mark.parametrize("code", ["", "gc.disable(); "])
def test_import_puts_it_off_and_no_longer(code: str) -> None:
    """All objects are gone through once after a quarter more of them: never, where none is looked at meanwhile."""
    assert run_fresh(f"import gc; {code}import lgm; print(gc.isenabled(), gc.get_stats()[2]['collections'])") == (
        f"{not code} 0"
    )
