from typing import Any

import numpy as np
import numpy.typing as npt

def predict_cost(
    indptr: npt.NDArray[np.int64],
    indices: npt.NDArray[np.int64],
    order: npt.NDArray[np.int32],
    negative: npt.NDArray[np.int32],
) -> dict[str, Any]: ...
def register_analysis(
    key: str,
    indptr: npt.NDArray[np.int64],
    indices: npt.NDArray[np.int64],
    order: npt.NDArray[np.int32],
    negative: npt.NDArray[np.int32],
) -> dict[str, Any]: ...
def register_arrow(
    key: str,
    indptr: npt.NDArray[np.int64],
    indices: npt.NDArray[np.int64],
    head: npt.NDArray[np.int32],
    size: int,
    border: npt.NDArray[np.int32],
) -> None: ...
def minimum_degree(indptr: npt.NDArray[np.int64], indices: npt.NDArray[np.int32]) -> list[int]: ...
def use_blas(blas: dict[str, Any], lapack: dict[str, Any], get_threads: int, set_threads: int) -> None: ...
def handlers() -> dict[str, Any]: ...
def likelihood(
    name: str,
    eta: npt.NDArray[np.float64],
    value: npt.NDArray[np.float64],
    trials: npt.NDArray[np.float64],
    weights: npt.NDArray[np.float64],
    own: npt.NDArray[np.float64],
) -> list[tuple[float, float, float, float]]: ...
def set_max_threads(threads: int) -> None: ...
def max_threads() -> int: ...
