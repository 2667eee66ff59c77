"""Types of arrays."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Numbers: TypeAlias = Any  # leaves of a pytree: NumPy's when it is made, JAX's in compiled code
