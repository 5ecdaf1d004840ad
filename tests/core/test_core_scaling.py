import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from geoseg.core.scaling import Scaling, guess_scaling
from geoseg.errors import SceneError

COUNT = settings(deadline=None, max_examples=100)
FLOATS = st.floats(-1e6, 1e6, width=32)


def test_the_ends_go_to_0_and_255_and_all_beyond_is_cut_off():
    scaled = Scaling(100, 300)(np.array([-50, 100, 200, 300, 9000], np.int32))
    assert scaled.dtype == np.float32
    assert np.allclose(scaled, [0, 0, 127.5, 255, 255])


def test_neutral_becomes_mid_grey():
    for scaling in (Scaling(0, 255), Scaling(100, 300), Scaling(-1, 1)):
        assert scaling(np.array([scaling.neutral])) == pytest.approx(128, rel=1e-6)


@COUNT
@given(hnp.arrays(np.float32, 20, elements=FLOATS), st.floats(-1e5, 1e5), st.floats(1, 1e5))
def test_scaling_keeps_order_and_range(values, low, width):
    scaled = Scaling(low, low + width)(np.sort(values))
    assert (np.diff(scaled) >= 0).all()
    assert scaled.min() >= 0
    assert scaled.max() <= 255


def test_bytes_stay_bytes_under_the_identity():
    pixels = np.arange(256, dtype=np.uint8)
    assert Scaling().identity
    assert Scaling()(pixels) is pixels


def test_other_types_become_floats_of_the_same_value_under_the_identity():
    scaled = Scaling()(np.array([-4, 0, 17, 255, 4000], np.int16))
    assert scaled.dtype == np.float32
    assert scaled.tolist() == [0, 0, 17, 255, 255]


def test_bytes_are_stretched_too():
    scaled = Scaling(0, 51)(np.array([0, 10, 51, 255], np.uint8))
    assert scaled.dtype == np.float32
    assert np.allclose(scaled, [0, 50, 255, 255])


@pytest.mark.parametrize("ends", [(5, 5), (6, 5), (float("nan"), 5)])
def test_a_scale_that_does_not_rise_is_refused(ends):
    with pytest.raises(SceneError, match=f"below the upper, got {ends[0]} {ends[1]}"):
        Scaling(*ends)


def ramp(low, high, dtype):
    return np.linspace(low, high, 1001).astype(dtype)


@pytest.mark.parametrize(
    ("dtype", "sample", "wanted"),
    [
        ("uint8", ramp(0, 255, "uint8"), Scaling()),
        ("uint8", ramp(30, 40, "uint8"), Scaling()),
        ("uint16", ramp(0, 255, "uint16"), Scaling()),
        ("int16", ramp(3, 200, "int16"), Scaling()),
        ("float32", ramp(0, 255, "float32"), Scaling()),
        ("float32", ramp(0, 1, "float32"), Scaling(0, 1)),
        ("float64", ramp(0.1, 0.3, "float64"), Scaling(0, 1)),
        ("uint16", ramp(0, 1, "uint16"), Scaling()),
        ("uint16", ramp(0, 65535, "uint16"), Scaling(0, 65535)),
        ("uint16", ramp(900, 20000, "uint16"), Scaling(0, 65535)),
        ("uint16", ramp(0, 10000, "uint16"), Scaling(200, 9800)),
        ("uint16", ramp(0, 4000, "uint16"), Scaling(80, 3920)),
        ("int16", ramp(-1000, 1000, "int16"), Scaling(-960, 960)),
        ("int32", ramp(0, 60000, "int32"), Scaling(1200, 58800)),
        ("float32", ramp(-1, 1, "float32"), Scaling(-0.96, 0.96)),
        ("float32", ramp(0, 2000, "float32"), Scaling(40, 1960)),
    ],
)
def test_the_scaling_is_guessed_from_dtype_and_values(dtype, sample, wanted):
    guess = guess_scaling(dtype, sample)
    assert (guess.low, guess.high) == pytest.approx((wanted.low, wanted.high), abs=1e-5)


def test_a_few_outliers_do_not_stretch_the_scale():
    sample = np.append(ramp(0, 4000, "uint16"), np.full(10, 65535, np.uint16))
    assert guess_scaling("uint16", sample).high < 4200


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_an_empty_sample_leaves_values_as_they_are(dtype):
    assert guess_scaling(dtype, np.zeros(0, dtype)).identity


@pytest.mark.parametrize(("dtype", "value"), [
    ("uint8", 0), ("uint8", 255), ("uint16", 0), ("uint16", 500), ("uint16", 65535), ("int16", -9999),
    ("float32", 0), ("float32", 0.5), ("float32", -7.25), ("float32", 1e12), ("float32", -3.4e38),
    ("float64", 1e17),
])  # fmt: skip
def test_a_constant_scene_has_a_scaling_and_stays_constant_and_finite(dtype, value):
    sample = np.full(50, value, dtype)
    scaled = guess_scaling(dtype, sample)(sample)
    assert np.isfinite(scaled).all()
    assert np.ptp(scaled) == 0


@COUNT
@given(st.sampled_from(["uint8", "uint16", "int16", "int32", "float32"]), st.data())
def test_any_sample_has_a_scaling(dtype, data):
    elements = FLOATS if dtype == "float32" else None
    sample = data.draw(hnp.arrays(dtype, st.integers(1, 30), elements=elements))
    scaled = guess_scaling(dtype, sample)(sample)
    assert scaled.min() >= 0
    assert scaled.max() <= 255
