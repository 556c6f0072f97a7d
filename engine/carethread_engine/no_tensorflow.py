"""Starts Rasa without loading TensorFlow, which Rasa imports even where no component of the model uses it.

It saves eight seconds and some 300 MB at every start. What stands in for it can be imported, subclassed and named in
a type, as Rasa's own TensorFlow components do when they are imported, and says so the moment anything is computed.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

# The packages that Rasa imports for its TensorFlow components.
ABSENT = ("tensorflow", "tensorflow_addons", "tensorflow_hub", "tensorflow_text", "keras", "jax", "jaxlib")

# Rasa's components that compute with TensorFlow: a pipeline that names one gets the real thing.
NEEDS_TENSORFLOW = (
    "DIETClassifier",
    "ResponseSelector",
    "ConveRTFeaturizer",
    "LanguageModelFeaturizer",
    "TEDPolicy",
    "UnexpecTEDIntentPolicy",
)


class TensorFlowIsAbsent(RuntimeError):
    """Something computes with TensorFlow although config.yml names no component that does."""


class _Absent(type):
    """A class for every name that is asked for; each attribute of it is another."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return _absent(f"{cls.__qualname__}.{name}")

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls.__module__ != __name__:
            raise TensorFlowIsAbsent(f"{cls.__qualname__} needs TensorFlow; name its component in config.yml")
        # Used as a decorator, bare or with arguments, while a module is imported.
        if len(args) == 1 and not kwargs and callable(args[0]):
            return args[0]
        return _absent(f"{cls.__qualname__}()")

    def __getitem__(cls, item: Any) -> Any:
        return cls

    def __or__(cls, other: Any) -> Any:
        return cls

    __ror__ = __or__

    def __iter__(cls) -> Any:
        return iter(())


def _absent(name: str) -> _Absent:
    return _Absent(name, (), {"__module__": __name__})


class _AbsentModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return _absent(name)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] not in ABSENT:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _AbsentModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        module.__version__ = "0"  # type: ignore[attr-defined]


def leave_out_tensorflow(config: Path) -> bool:
    """Before the first import of Rasa: leave TensorFlow out unless `config` (config.yml) needs it. True if left out."""
    if "tensorflow" in sys.modules or needed_by(components(config)):
        return False
    sys.meta_path.insert(0, _Finder())
    return True


def components(config: Path) -> list[str]:
    """The names of the pipeline's components and of the policies."""
    content = yaml.safe_load(config.read_text(encoding="utf-8")) or {}
    entries: Iterable[Any] = [*(content.get("pipeline") or ()), *(content.get("policies") or ())]
    return [str(entry["name"] if isinstance(entry, dict) else entry) for entry in entries]


def needed_by(names: Sequence[str]) -> bool:
    return any(name.rpartition(".")[2] in NEEDS_TENSORFLOW for name in names)
