"""Pushing rows to functions that pull them: order, errors in both directions, nothing left running."""

import threading
import time

import numpy as np
import pytest
from affine import Affine

from geoseg.core.mask import quantize
from geoseg.geo.geobox import GeoBox
from geoseg.vector.source_classes import ClassBand
from geoseg.vector.source_stream import StreamSource, pushing


def threads():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("geoseg-trace")]


def test_every_taker_gets_every_item_in_order():
    with pushing([list, sum, lambda items: [-item for item in items]]) as (push, results):
        for item in range(50):
            push(item)
        assert list(results()) == [list(range(50)), sum(range(50)), [-item for item in range(50)]]
    assert not threads()


@pytest.mark.parametrize("takers", [[], [list]])
def test_no_items_and_no_takers(takers):
    with pushing(takers) as (_, results):
        assert list(results()) == [[] for _ in takers]


def test_pushing_waits_for_slow_takers():
    pulled, gate = [], threading.Event()

    def slow(items):
        for item in items:
            gate.wait(10)
            pulled.append(item)

    def release():
        time.sleep(0.3)
        assert not pulled
        gate.set()

    with pushing([slow]) as (push, results):
        threading.Thread(target=release).start()
        for item in range(5):
            push(item)
            assert item - len(pulled) <= 2
        list(results())
    assert pulled == list(range(5))


def failing(at):
    def taker(items):
        for item in items:
            if item == at:
                raise ZeroDivisionError(f"at {at}")

    return taker


def test_an_error_of_a_taker_is_raised_at_a_push():
    with pytest.raises(ZeroDivisionError, match="at 3"), pushing([list, failing(3)]) as (push, _):
        for item in range(1000):
            push(item)
    assert item < 10
    assert not threads()


def test_an_error_after_the_last_item_is_raised_with_the_result():
    with pytest.raises(ZeroDivisionError), pushing([failing(3)]) as (push, results):
        for item in range(4):
            push(item)
        list(results())
    assert not threads()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_error_of_the_pusher_stops_the_takers(error):
    ended = []

    def taker(items):
        ended.append(list(items))

    with pytest.raises(error), pushing([taker, taker]) as (push, _):
        push(1)
        raise error
    assert not ended
    assert not threads()


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("threshold", [0.4, None])
def test_strips_of_rows_that_pass_by(dtype, threshold):
    rng = np.random.default_rng(4)
    chances, valid = rng.random((40, 30, 3), np.float32), rng.random((40, 30)) > 0.2
    codes = quantize(chances, valid)
    pixels = codes if dtype == "uint8" else np.where(valid[..., None], chances, np.float32("nan"))
    given = pixels.copy()
    one = ClassBand("tree", 2, 2, threshold=threshold)
    source = StreamSource(
        scene="a",
        model=None,
        geobox=GeoBox((40, 30), Affine.identity()),
        bands=(one,),
        coded=dtype == "uint8",
    )

    def rows():
        yield from (pixels[row : row + 7] for row in range(0, 40, 7))
        pytest.fail("there are no more rows to wait for")

    strips = list(source.strips(one, rows()))
    labels, read, known, _ = map(np.concatenate, zip(*strips, strict=True))
    values = codes if dtype == "uint8" else chances
    limit = 102 if dtype == "uint8" else np.float32(0.4)
    inside = values[..., 1] >= limit if threshold else values.argmax(-1) == 1
    assert np.array_equal(known, valid)
    assert np.array_equal(labels, np.where(inside & valid, 2, 0))
    assert np.abs(read.astype(int) - codes[..., 1]).max() <= (dtype == "float32")
    assert np.array_equal(pixels, given, equal_nan=dtype == "float32")
