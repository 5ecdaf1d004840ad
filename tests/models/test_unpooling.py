import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from geoseg.errors import ModelError
from geoseg.models import MaxPoolingWithIndices, MaxUnpooling

# Few values, so that ties are common.
halves = array_shapes(min_dims=4, max_dims=4, max_side=4)
images = halves.flatmap(
    lambda n: arrays("float32", (n[0], 2 * n[1], 2 * n[2], n[3]), elements=st.integers(-3, 3).map(float))
)


def reference(image):
    """Maxima, their flat positions inside each window, and the unpooled image, one window at a time."""
    batch, height, width, channels = image.shape
    values = np.empty((batch, height // 2, width // 2, channels), image.dtype)
    where = np.empty(values.shape, "int32")
    unpooled = np.zeros_like(image)
    for b, i, j, c in np.ndindex(values.shape):
        window = image[b, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
        where[b, i, j, c] = window.argmax()
        values[b, i, j, c] = window.max()
        unpooled[b, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c].flat[window.argmax()] = window.max()
    return values, where, unpooled


@settings(max_examples=50, deadline=None)
@given(images)
def test_equals_the_definition(image):
    pooled = MaxPoolingWithIndices()(image)
    results = [*pooled, MaxUnpooling()(list(pooled))]
    for result, expected in zip(results, reference(image), strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(result), expected)


def test_pooling_what_was_unpooled_gives_the_same_maxima_where_they_are_positive():
    image = np.random.default_rng(0).uniform(1, 2, (2, 8, 6, 3)).astype("float32")
    values, where = MaxPoolingWithIndices()(image)
    again, where_again = MaxPoolingWithIndices()(MaxUnpooling()([values, where]))
    np.testing.assert_array_equal(again, values)
    np.testing.assert_array_equal(where_again, where)


@pytest.mark.parametrize("size", [(8, 6), (None, None)])
def test_known_and_unknown_sizes_trace_and_predict(size):
    inputs = keras.Input((*size, 3))
    values, where = MaxPoolingWithIndices()(inputs)
    model = keras.Model(inputs, MaxUnpooling()([values, where]))
    assert where.dtype == "int32"
    assert model.output_shape == (None, *size, 3)
    for height, width in [(8, 6)] if size[0] else [(8, 6), (4, 2), (2, 10)]:
        image = np.random.default_rng(0).normal(size=(2, height, width, 3)).astype("float32")
        np.testing.assert_array_equal(model.predict(image, verbose=0), reference(image)[2])


def test_odd_sizes_are_refused():
    with pytest.raises(ModelError, match="needs even sizes, got 7 by 8"):
        MaxPoolingWithIndices()(keras.Input((7, 8, 3)))
