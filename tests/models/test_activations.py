"""What a network holds at once, against sums made by hand."""

from itertools import pairwise

import keras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import ModelError
from geoseg.models.activations import live_values
from geoseg.models.bundle import find_bundle
from geoseg.models.export import to_onnx


def chain(widths):
    x = keras.Input((None, None, 3))
    y = x
    for width in widths:
        y = keras.layers.Conv2D(width, 3, padding="same")(y)
    return keras.Model(x, y)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_a_chain_holds_what_a_layer_reads_and_what_it_writes(widths):
    steps = [3, 3, *widths, widths[-1]]  # input and output are transposed copies
    assert live_values(to_onnx(chain(widths)), 1) == max(map(sum, pairwise(steps)))


def test_a_skip_is_held_until_it_is_used():
    x = keras.Input((None, None, 3))
    skip = keras.layers.Conv2D(5, 3, padding="same")(x)
    deep = keras.layers.MaxPooling2D()(skip)
    deep = keras.layers.Conv2D(400, 3, padding="same")(deep)
    deep = keras.layers.UpSampling2D(interpolation="nearest")(keras.layers.Conv2D(7, 1)(deep))
    model = keras.Model(x, keras.layers.Conv2D(1, 1)(keras.layers.Concatenate()([skip, deep])))
    # while 400 quarter-size channels are read and 7 are written
    assert live_values(to_onnx(model), 2) == 5 + 400 / 4 + 7 / 4


def test_weights_do_not_count():
    model = chain([8, 8])
    assert live_values(to_onnx(model, half=True), 1) == live_values(to_onnx(model), 1) == 16


def test_the_shipped_network_holds_what_its_widest_join_takes():
    bundle = find_bundle("buildings-trees")
    values = live_values(bundle.file("model.onnx"), bundle.card.stride)
    assert values == live_values(bundle.file("model.onnx"), 4 * bundle.card.stride)
    assert 40 < values < 100


def test_a_graph_without_shapes_is_refused():
    model = to_onnx(chain([4]))
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_param = "bands"
    with pytest.raises(ModelError, match="no shape"):
        live_values(model, 1)
