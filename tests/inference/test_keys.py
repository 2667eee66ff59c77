"""Keys of random numbers: reproducible, unrelated, and made without compiling anything."""

import itertools

import jax
import numpy as np
import pytest
from compilations import compilations

from lgm.inference.keys import key, keys, normals

SEEDS = [(1,), (2,), (1, 1), (1, 2), (2, 1), (1, 1, 1), (2**31,), (2**63,), (2**70, 3)]


def _words(keys: jax.Array) -> np.ndarray:
    return np.asarray(jax.random.key_data(keys))


def test_the_same_seeds_give_the_same_key() -> None:
    for seeds in SEEDS:
        np.testing.assert_array_equal(_words(key(*seeds)), _words(key(*seeds)))


def test_other_seeds_give_other_keys() -> None:
    for one, two in itertools.combinations(SEEDS, 2):
        assert (_words(key(*one)) != _words(key(*two))).any(), (one, two)


def test_bits_are_those_of_numpy_on_every_machine() -> None:
    np.testing.assert_array_equal(_words(key(1, 2)), np.random.SeedSequence([1, 2]).generate_state(2))
    assert _words(key(1)).dtype == np.uint32


@pytest.mark.parametrize("shape", [(), (3,), (2, 4)])
def test_one_key_for_every_place(shape: tuple[int, ...]) -> None:
    keys = key(5, shape=shape)
    assert keys.shape == shape
    assert jax.dtypes.issubdtype(keys.dtype, jax.dtypes.prng_key)
    flat = _words(keys).reshape(-1, 2)
    assert len(np.unique(flat, axis=0)) == max(1, np.prod(shape, dtype=int))


def test_draws_of_neighbouring_seeds_and_places_are_uncorrelated() -> None:
    n = 20_000
    draw = jax.vmap(lambda k: jax.random.normal(k, (n,)))
    drawn = np.concatenate([draw(key(seed, shape=(3,))) for seed in range(3)])
    correlations = np.corrcoef(drawn)[np.triu_indices(9, 1)]
    assert np.abs(correlations).max() < 4.5 / np.sqrt(n)  # 36 of them


def test_nothing_is_compiled() -> None:
    with compilations() as names:
        key(7, 8, shape=(3, 5))
    assert names == []


def test_normals_by_number() -> None:
    found = normals(3, 1, numbers=np.array([5, 0, 2]), size=1000)
    np.testing.assert_array_equal(found[[1, 0]], normals(3, 1, numbers=np.array([0, 5]), size=1000))
    assert np.unique(np.concatenate([found, normals(4, 1, numbers=np.array([5, 0, 2]), size=1000)])).size == 6000
    assert abs(found.mean()) < 5 / np.sqrt(3000) and abs(found.std() - 1) < 5 / np.sqrt(6000)
    correlations = np.asarray(np.corrcoef(found))[np.tril_indices(3, -1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(1000)


def test_keys_one_by_one_are_those_of_an_array() -> None:
    with compilations() as names:
        found = keys(7, 3, size=4)
    assert names == []
    np.testing.assert_array_equal([_words(each) for each in found], _words(key(7, 3, shape=(4,))))
