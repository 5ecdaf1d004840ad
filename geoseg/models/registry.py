"""The architectures by name, for recipes and model cards.

An architecture is a module of this folder, `NAME.py`, that has a function `build_NAME`; that is all there
is to adding one.
"""

import inspect
import pkgutil
from collections.abc import Callable
from importlib import import_module

import keras

from geoseg import models
from geoseg.errors import ModelError

Builder = Callable[..., keras.Model]


def architectures() -> dict[str, Builder]:
    """What `build` knows, in alphabetical order."""
    names = sorted(module.name for module in pkgutil.iter_modules(models.__path__))
    builders = {
        name: getattr(import_module(f"{models.__name__}.{name}"), f"build_{name}", None) for name in names
    }
    return {name: builder for name, builder in builders.items() if builder is not None}


def build(architecture: str, **arguments: object) -> keras.Model:
    """Build a network by the name of its architecture.

    Args:
        architecture: one of `architectures()`.
        arguments: keyword arguments of that architecture's `build_…` function.

    Raises:
        ModelError: no such architecture, or an argument that it does not take or cannot use.
    """
    known = architectures()
    if architecture not in known:
        raise ModelError(f"unknown architecture {architecture!r}; choose one of: {', '.join(known)}")
    takes = inspect.signature(known[architecture]).parameters
    if unknown := sorted(set(arguments) - set(takes)):
        raise ModelError(f"{architecture} takes no argument {unknown[0]!r}; it takes: {', '.join(takes)}")
    return known[architecture](**arguments)
