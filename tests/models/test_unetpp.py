import numpy as np
import pytest
from networks import MOBILENET, forward, randomized

from geoseg.errors import ModelError
from geoseg.models import build_unet, build_unetpp, prune


@pytest.fixture(scope="module")
def supervised():
    return randomized(build_unetpp(width=2, classes=2, deep_supervision=True))


def test_nodes_are_those_of_the_paper(supervised):
    names = {layer.name for layer in supervised.layers}
    nodes = {(i, j) for i in range(5) for j in range(5) if f"x_{i}_{j}" in names}
    assert nodes == {(i, j) for i in range(5) for j in range(5 - i)}


def test_each_node_joins_its_row_and_the_one_below(supervised):
    for i, j in [(0, 1), (0, 4), (1, 3), (3, 1)]:
        joined = supervised.get_layer(f"x_{i}_{j}_join").input
        sources = [tensor._keras_history.operation.name for tensor in joined]
        assert sources == [*(f"x_{i}_{k}" for k in range(j)), f"x_{i}_{j}_up"]
        below = supervised.get_layer(f"x_{i}_{j}_up").input._keras_history.operation.name
        assert below == f"x_{i + 1}_{j - 1}"


def test_deep_supervision_has_one_head_per_level(supervised):
    assert supervised.output_names == ["L1", "L2", "L3", "L4"]
    results = supervised(np.zeros((1, 16, 32, 3)), training=False)
    assert [tuple(result.shape) for result in results] == [(1, 16, 32, 2)] * 4


def test_pruning_keeps_the_answer_and_drops_layers(supervised):
    image = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3))
    heads = supervised(image.astype("float32"), training=False)
    pruned = [prune(supervised, level) for level in (1, 2, 3, 4)]
    for model, expected in zip(pruned, heads, strict=True):
        np.testing.assert_allclose(forward(model, image), expected, atol=1e-6)
    sizes = [model.count_params() for model in (*pruned, supervised)]
    assert sizes == sorted(set(sizes))
    assert "x_2_0" not in {layer.name for layer in pruned[0].layers}
    assert pruned[2].get_layer("x_0_1_conv") is supervised.get_layer("x_0_1_conv")


def test_pruning_works_with_a_mobilenet_encoder():
    model = build_unetpp(**MOBILENET, deep_supervision=True)
    assert model.output_names == ["L1", "L2", "L3", "L4", "L5"]
    light = prune(model, 2)
    assert light.count_params() < model.count_params() / 5
    assert forward(light, np.zeros((1, 4, 8, 3))).shape == (1, 4, 8, 1)


def test_pruning_explains_what_is_missing(supervised):
    with pytest.raises(ModelError, match="unetpp has no head L5; its heads are L1, L2, L3, L4"):
        prune(supervised, 5)
    with pytest.raises(ModelError, match="unetpp has no head L1; build it with deep_supervision=True"):
        prune(build_unetpp(width=1, depth=1), 1)


def test_one_level_is_a_plain_unet():
    assert build_unetpp(width=2, depth=1).count_params() == build_unet(width=2, depth=1).count_params()
