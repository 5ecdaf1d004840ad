"""Points as weak labels."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from geoseg.errors import RecipeError
from geoseg.training.codes import IGNORE
from geoseg.training.points import read_points, seeded


def test_points_are_read_by_image(tmp_path):
    (tmp_path / "p.csv").write_text("image,x,y\na.tif,3.7,9\nb.tif,1,2\na.tif,0,4\n")
    points = read_points(tmp_path / "p.csv")
    assert {name: rows.tolist() for name, rows in points.items()} == {"a": [[4, 0], [9, 3]], "b": [[2, 1]]}


@pytest.mark.parametrize("text", ["image,x\na,1\n", "image,x,y\na,one,2\n", None])
def test_another_table_is_one_clear_line(tmp_path, text):
    if text:
        (tmp_path / "p.csv").write_text(text)
    with pytest.raises(RecipeError, match=r"p\.csv is no table of points .*columns are image, x and y"):
        read_points(tmp_path / "p.csv")


def test_discs_fill_in_what_was_not_known_and_nothing_else():
    rng = np.random.default_rng(1)
    states = rng.choice(np.array([0, 1, IGNORE], np.uint8), (40, 50, 2))
    places = np.array([[0, 0], [20, 30], [39, 49], [21, 33]])
    found = seeded(states, places, 1, 3)
    far = np.ones((40, 50), bool)
    far[tuple(places.T)] = False
    near = distance_transform_edt(far) <= 3
    assert np.array_equal(found[..., 0], states[..., 0])
    assert np.array_equal(found[..., 1][~near], states[..., 1][~near])
    wanted = np.where(states[..., 1] == IGNORE, 1, states[..., 1])
    assert np.array_equal(found[..., 1][near], wanted[near])
    assert (states[..., 1][near] == IGNORE).any()
