"""What the records of the core have in common."""

import dataclasses
import importlib
import pkgutil

import pytest

import geoseg.core


def records():
    """Every dataclass of `geoseg.core`."""
    for found in pkgutil.iter_modules(geoseg.core.__path__):
        module = importlib.import_module(f"geoseg.core.{found.name}")
        for kind in vars(module).values():
            if (
                isinstance(kind, type)
                and dataclasses.is_dataclass(kind)
                and kind.__module__ == module.__name__
            ):
                yield kind


@pytest.mark.parametrize("kind", list(records()), ids=lambda kind: kind.__name__)
def test_records_cannot_be_changed_and_take_no_other_attributes(kind):
    assert kind.__dataclass_params__.frozen
    assert "__slots__" in vars(kind)


@pytest.mark.parametrize("kind", list(records()), ids=lambda kind: kind.__name__)
def test_records_with_arrays_are_compared_by_identity_and_others_by_value(kind):
    """Arrays are neither equal nor unequal as a whole, and have no hash."""
    arrays = any(
        word in str(field.type) for field in dataclasses.fields(kind) for word in ("NDArray", "Valid")
    )
    lists = kind.__name__ == "Batch"  # of patches
    assert (kind.__eq__ is object.__eq__) == (arrays or lists)
