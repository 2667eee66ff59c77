"""Registration of the compiled kernel: with SciPy's BLAS below it and with XLA above it."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import jax
import scipy.linalg.cython_blas
import scipy.linalg.cython_lapack

import lgm.linalg._library as kernel

__all__ = ["kernel"]

_BLAS = ("dgemm", "dsymm", "dsyrk", "dtrsm", "dtrmm")
_LAPACK = ("dpotrf", "dtrtri", "dlauum", "dstev")
_CALLS = (
    "factor_solve",
    "factor_solve_invert",
    "find_mode",
    "find_mode_and_pairs",
    "find_mode_and_slopes",
    "iterate",
    "iterate_each",
    "iterate_variances",
    "leaf_centres",
    "leaf_draws",
    "leaf_heights",
    "leaf_integrals",
    "log_likelihoods",
    "multiply",
    "outer",
    "rows_gram",
    "rows_quadratic",
    "rows_times",
    "rows_transposed_times",
    "selected_inverse_tangent",
    "stored_multiply",
    "stored_outer",
)
# Pairs of functions that tell and set the number of threads, in the libraries that SciPy is built with.
_THREAD_FUNCTIONS = [
    (f"{prefix}openblas_get_num_threads{suffix}", f"{prefix}openblas_set_num_threads{suffix}")
    for prefix in ("scipy_", "")
    for suffix in ("", "64_")
]


def _thread_control() -> tuple[int, int]:
    """Addresses of the functions that tell and set the threads of SciPy's BLAS; zeros if it has none that we know."""
    try:
        library = ctypes.CDLL(scipy.linalg.cython_blas.__file__)  # a lookup here goes through what it links
    except OSError:
        return 0, 0
    for getter, setter in _THREAD_FUNCTIONS:
        if hasattr(library, getter) and hasattr(library, setter):
            addresses = [ctypes.cast(getattr(library, name), ctypes.c_void_p).value for name in (getter, setter)]
            return addresses[0] or 0, addresses[1] or 0
    return 0, 0


_name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", ctypes.pythonapi))
_address_in = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def _routine(capsules: Mapping[str, Any], name: str) -> tuple[int, bool | None]:
    """Address of a routine, and whether its integers have 64 bits instead of 32; None if that is not said.

    SciPy's capsules carry the C signature of a routine as their name, which tells the width of its integers, unless
    these go by the name of a type that stands for either.
    """
    signature = _name_of(capsules[name])
    if signature is None:
        raise RuntimeError(f"SciPy's routine {name} does not tell its signature")
    known = {b", int *": False, b"int64": True, b"blas_int": None}
    for kind, wide in known.items():
        if kind in signature:
            return _address_in(capsules[name], signature), wide
    raise RuntimeError(
        f"cannot tell the integer width of SciPy's BLAS from the signature '{signature.decode()}' of {name}; lgm knows "
        "int, int64_t and blas_int"
    )


def _use_blas(blas: Mapping[str, Any], lapack: Mapping[str, Any], get_threads: int, set_threads: int) -> None:
    found = [_routine(blas, name) for name in _BLAS] + [_routine(lapack, name) for name in _LAPACK]
    addresses = [address for address, _ in found]
    wide = bool(kernel.writes_wide_info(addresses[len(_BLAS) + _LAPACK.index("dpotrf")]))
    if any(said not in (None, wide) for _, said in found):
        raise RuntimeError("SciPy's BLAS and LAPACK differ in the width of their integers")
    kernel.use_blas((ctypes.c_void_p * len(addresses))(*addresses), wide, get_threads or None, set_threads or None)


_use_blas(scipy.linalg.cython_blas.__pyx_capi__, scipy.linalg.cython_lapack.__pyx_capi__, *_thread_control())
for _name in _CALLS:
    _target = f"lgm_{_name}"
    jax.ffi.register_ffi_target(_target, jax.ffi.pycapsule(getattr(kernel.library, _target)), platform="cpu")
