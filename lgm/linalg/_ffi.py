"""Registration of the compiled kernel: with SciPy's BLAS below it and with XLA above it."""

import ctypes

import jax
import scipy.linalg.cython_blas
import scipy.linalg.cython_lapack

try:
    import lgm.linalg._kernel_ext as kernel
except ModuleNotFoundError as error:
    raise ImportError(
        "lgm's compiled kernel is not beside its Python files: this looks like a checkout that was not installed. "
        "Run `pip install .` in it (a C++17 compiler is needed) and start Python elsewhere"
    ) from error

__all__ = ["kernel"]

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


kernel.use_blas(scipy.linalg.cython_blas.__pyx_capi__, scipy.linalg.cython_lapack.__pyx_capi__, *_thread_control())
for _name, _handler in kernel.handlers().items():
    jax.ffi.register_ffi_target(_name, _handler, platform="cpu")
