"""Pickles that hold arrays of JAX and modules: JAX itself would give back float32 where x64 is not switched on."""

from __future__ import annotations

import importlib
import io
import pickle
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

from lgm.xla import own_settings

T = TypeVar("T")


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        return (importlib.import_module, (value.__name__,)) if isinstance(value, ModuleType) else NotImplemented


def dumps(value: Any) -> bytes:
    """A pickle in which modules stand by their names."""
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return buffer.getvalue()


def reduced(value: T) -> tuple[Callable[[type[T], bytes], T], tuple[type[T], bytes]]:
    """What ``__reduce__`` of an object with arrays of JAX in it returns."""
    return _restored, (type(value), dumps(vars(value)))


def _restored(kind: type[T], state: bytes) -> T:
    made = object.__new__(kind)
    with own_settings():
        vars(made).update(pickle.loads(state))
    return made
