"""Options of the compiler: this jaxlib knows them all, and which it gets depends on the size of the arguments alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lgm.errors import LgmError
from lgm.inference.compile import jit
from lgm.xla import LOOPS, MANY, QUICK, own_settings, suited


@pytest.mark.parametrize("options", [QUICK, LOOPS], ids=["quick", "loops"])
def test_every_option_is_known(options: dict) -> None:
    for name, value in options.items():
        jax.jit(lambda x: jnp.sum(jnp.exp(x)), compiler_options={name: value}).lower(np.ones(3)).compile()


def test_an_unknown_option_is_an_error() -> None:
    """So that the test before this one can fail."""
    with pytest.raises(Exception, match="No such compile option"):
        jax.jit(jnp.exp, compiler_options={"xla_cpu_no_such_option": 1}).lower(np.ones(3)).compile()


def test_large_arguments_keep_the_level_alone() -> None:
    assert suited(LOOPS, [(MANY,), (), (2, MANY // 2)]) == LOOPS
    assert suited(LOOPS, [(), (MANY + 1,)]) == {"xla_backend_optimization_level": 1}
    assert suited(QUICK, [(2, MANY)]) == {"xla_backend_optimization_level": 0}


@pytest.mark.parametrize("size", [MANY, MANY + 1])
def test_either_way_the_numbers_are_the_same(size: int) -> None:
    x = np.linspace(-2.0, 2.0, size)
    with jax.enable_x64(True):
        total, terms = jit(lambda x: (jnp.sum(jnp.exp(x) * jnp.sin(x)), jnp.exp(x) * jnp.sin(x)))(x)
    np.testing.assert_allclose(terms, np.exp(x) * np.sin(x), rtol=1e-13, atol=1e-15)
    assert float(total) == pytest.approx(np.sum(np.exp(x) * np.sin(x)), rel=1e-12)


def test_own_settings_end_with_the_block() -> None:
    before = jnp.ones(1).dtype
    with own_settings():
        assert jnp.ones(1).dtype == jnp.float64
    assert jnp.ones(1).dtype == before


@pytest.mark.parametrize("default", ["cpu", "gpu"])
def test_where_another_device_is_the_default_the_cpu_is_asked_for(
    default: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[jax.Device] = []

    @contextmanager
    def default_device(device: jax.Device) -> Iterator[None]:
        asked.append(device)
        yield

    monkeypatch.setattr(jax, "default_backend", lambda: default)
    monkeypatch.setattr(jax, "default_device", default_device)
    with own_settings():
        assert asked == [jax.devices("cpu")[0]] * (default == "gpu")


def test_without_the_cpu_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(backend: str) -> list[jax.Device]:
        raise RuntimeError(f"Unknown backend {backend}")

    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "local_devices", none)
    with pytest.raises(LgmError, match="JAX_PLATFORMS"), own_settings():
        pass
