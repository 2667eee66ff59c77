"""Programs that are compiled ahead: once, for the shapes that were told, and with errors that are not lost."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compilations import compilations

from lgm.inference import compile
from lgm.inference.compile import Plan, begin, compiled, floats, wholes
from lgm.xla import own_settings


def test_a_call_finds_what_was_begun() -> None:
    traced = []

    @compiled(shapes=lambda post, how: (floats(post), wholes(post, how)))
    def total(how: int, x: jax.Array, counts: jax.Array) -> jax.Array:
        traced.append(how)
        return how * x + jnp.sum(counts, axis=1)

    begin(3, [Plan(total, 2), Plan(total, 2), Plan(total, 5)])
    assert traced == [2, 5]
    with jax.enable_x64(True):
        assert total(2, np.ones(3), np.ones((3, 2), dtype=np.int64)).tolist() == [4.0] * 3
        with compilations() as names:
            total(2, np.zeros(3), np.zeros((3, 2), dtype=np.int64))
        assert names == [] and traced == [2, 5]
        assert total(2, np.ones(4), np.ones((4, 2), dtype=np.int64)).shape == (4,)  # nobody told of this one
    assert traced == [2, 5, 2]


def test_shapes_of_the_result_come_first() -> None:
    double = compiled(shapes=lambda post, how: (floats(post),))(lambda how, x: (x, jnp.outer(x, x)))
    with jax.enable_x64(True):
        one, two = double.ahead(4, None)
    assert (one.shape, two.shape, two.dtype) == ((4,), (4, 4), np.float64)


def test_errors_are_raised_and_the_next_call_tries_again() -> None:
    broken = [True]

    @compiled(shapes=lambda post, how: (floats(post),))
    def fails(how: None, x: jax.Array) -> jax.Array:
        if broken[0]:
            raise ValueError("as told")
        return x

    with pytest.raises(ValueError, match="as told"):
        begin(2, [Plan(fails, None)])
    with own_settings():
        with pytest.raises(ValueError, match="as told"):
            fails(None, np.ones(2))
        broken[0] = False
        assert fails(None, np.ones(2)).tolist() == [1.0, 1.0]


def test_two_threads_share_one_program() -> None:
    traced = []

    @compiled(shapes=lambda post, how: (floats(post),))
    def shared(how: None, x: jax.Array) -> jax.Array:
        traced.append(1)
        return x + 1.0

    threads = [threading.Thread(target=shared, args=(None, np.ones(2, dtype=np.float32))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert traced == [1]


def test_programs_used_longest_ago_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """And compiled again when they are needed again."""
    monkeypatch.setattr(compile, "KEPT", 2)
    traced = []

    @compiled(shapes=lambda post, how: (floats(post),))
    def kept(how: None, x: jax.Array) -> jax.Array:
        traced.append(x.shape[0])
        return 2.0 * x

    for size in (1, 2, 1, 3, 1, 2):
        assert kept(None, np.ones(size, dtype=np.float32)).tolist() == [2.0] * size
    assert traced == [1, 2, 3, 2]


def test_first_arguments_may_be_given_before() -> None:
    """Of any structure; what is compiled for them is what a call with all arguments uses."""
    traced = []

    @compiled(shapes=lambda post, how: ())
    def total(how: int, first: dict[str, jax.Array], x: jax.Array, more: list[jax.Array]) -> jax.Array:
        traced.append(how)
        return how * first["a"] + first["b"] * x + sum(more)

    ones = np.ones(2, dtype=np.float32)
    given = total.bound(2, {"b": 3 * ones, "a": ones})
    for x in (0.0, 4.0):
        assert given(x * ones, [ones, ones]).tolist() == [4.0 + 3.0 * x] * 2
        assert total(2, {"a": ones, "b": 3 * ones}, x * ones, [ones, ones]).tolist() == [4.0 + 3.0 * x] * 2
    assert traced == [2]
    with pytest.raises(TypeError):
        given(np.ones(3, dtype=np.float32), [ones, ones])


def test_memory_is_given_away_argument_by_argument() -> None:
    """Of the leaves of the donated one, and of no other."""

    @compiled(shapes=lambda post, how: (), donate=(1,))
    def moved(how: None, by: tuple[jax.Array, jax.Array], state: dict[str, jax.Array]) -> dict[str, jax.Array]:
        return {name: value + by[0] * by[1] for name, value in state.items()}

    by, state = (jnp.ones(3), jnp.ones(3)), {"x": jnp.zeros(3), "y": jnp.ones(3)}
    after = moved(None, by, state)
    assert {name: value.tolist() for name, value in after.items()} == {"x": [1.0] * 3, "y": [2.0] * 3}
    assert all(value.is_deleted() for value in state.values())
    assert not any(value.is_deleted() for value in by)


def test_jit_keeps_as_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile, "KEPT", 1)
    traced = []

    def square(x: jax.Array) -> jax.Array:
        traced.append(x.shape[0])
        return x**2

    fast = compile.jit(square)
    for size in (2, 2, 3, 2):
        assert fast(np.full(size, 3.0, dtype=np.float32)).tolist() == [9.0] * size
    assert traced == [2, 3, 2]
