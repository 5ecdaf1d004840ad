"""In bfloat16 a network says nearly the same by the same weights; its delicate layers stay in float32."""

import numpy as np
import pytest
from keras import layers
from networks import NETWORKS, STRIDES, forward, ready

from geoseg.models.delicate import LARGEST_LATERAL, LAST_IN_FLOAT32
from geoseg.models.mixed import in_bfloat16

MOST = dict.fromkeys(NETWORKS, 0.02) | {"segnet": 0.1}  # rounding moves the place of a maximum there


@pytest.fixture(scope="module", params=NETWORKS)
def pair(request):
    """A network, its copy in bfloat16, and its name."""
    model = ready(request.param)
    return model, in_bfloat16(model), request.param


def test_it_says_nearly_the_same_in_float32(pair):
    model, copy, name = pair
    images = np.random.default_rng(1).integers(0, 256, (2, 2 * STRIDES[name], 2 * STRIDES[name], 3))
    exact, rounded = forward(model, images), forward(copy, images)
    assert rounded.dtype == np.float32
    assert 0 < np.abs(exact - rounded).mean() < MOST[name]


def test_the_weights_are_the_same_and_the_model_is_left_alone(pair):
    model, copy, _ = pair
    for ours, theirs in zip(model.weights, copy.weights, strict=True):
        assert theirs.dtype == "float32"
        np.testing.assert_array_equal(ours, theirs)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}


def test_decoders_compute_in_bfloat16_and_delicate_layers_in_float32(pair):
    _, copy, name = pair
    kinds = (layers.Conv2D, layers.Conv2DTranspose, layers.DepthwiseConv2D)
    found = {layer.name: layer.compute_dtype for layer in copy.layers if isinstance(layer, kinds)}
    wanted = ("Conv1", "expanded_conv", "block_1_", "block_5_", "stem", "stage_3_", LARGEST_LATERAL)
    early = {conv for conv in found if conv.startswith(wanted)}
    assert {found[conv] for conv in early} <= {"float32"}
    learnt = any(kind in name for kind in ("mobilenet", "efficientnet"))
    assert bool(early) == any(layer.name in LAST_IN_FLOAT32 for layer in copy.layers) == learnt
    encoder = ("Conv", "expanded_conv", "block_", "stem", "stage_", LARGEST_LATERAL)
    late = [conv for conv in found if not conv.startswith(encoder)]
    end = late.index("probabilities_logits") - 1 if early else len(late)
    assert {found[conv] for conv in late[:end]} == {"bfloat16"}
    assert {found[conv] for conv in late[end:]} <= {"float32"}
