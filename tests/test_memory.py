"""The plan of a run within its memory: how many calls at once, how many stripes, or a clear refusal."""

from dataclasses import dataclass, replace
from itertools import pairwise

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geoseg.memory as memory
from geoseg.core.window import Window
from geoseg.errors import GridError
from geoseg.models.activations import live_values
from geoseg.models.bundle import find_bundle
from geoseg.settings import resolve

GIB = 2**30
BUNDLE = find_bundle("buildings-trees")
AREA = Window(0, 0, 5000, 8704)  # narrower than a stripe


@dataclass
class Processor:
    """What is asked of an engine before it is called."""

    name: str = "tensorflow (CPU)"
    precision: str = "float32"
    classes: int = 2
    batch_size: int = 1
    streams: int = 4


def plan(patch=2048, limit=64 * GIB, engine=None, bundle=BUNDLE, area=AREA):
    settings = resolve(BUNDLE.card, stitch="exact", patch_size=patch)
    return memory.share(area, settings, engine or Processor(), bundle, limit)


def least(streams, **changes):
    """What it takes to have that many calls at once."""
    return plan(engine=Processor(streams=streams, **changes)).bytes


def test_large_patches_count_what_the_network_holds_at_once():
    values = live_values(BUNDLE.file("model.onnx"), BUNDLE.card.stride)
    more = (2048**2 - memory.BATCH_PIXELS) * 4 * values * memory.KERAS_WORK_SPACE
    assert least(3) - least(2) == pytest.approx(more, abs=1)
    assert least(3, precision="bfloat16") - least(2, precision="bfloat16") == pytest.approx(more / 2, abs=1)


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_as_many_calls_run_at_once_as_there_is_room_for(calls):
    engine = Processor()
    assert plan(limit=least(calls), engine=engine).engine.streams == calls
    assert plan(limit=least(calls + 1) - 1, engine=engine).engine.streams == calls
    assert engine.streams == 4  # another run may have more room


def test_too_little_for_one_call_is_one_line_with_a_number_that_suffices():
    with pytest.raises(GridError, match=r"2\.00 GiB is too little for patches of 2048 px; give .*G or more"):
        plan(limit=2 * GIB)
    with pytest.raises(GridError) as caught:
        plan(limit=least(1) - 1)
    wanted = float(str(caught.value).split("give ")[1].split("G")[0])
    assert plan(limit=int(wanted * GIB)).engine.streams == 1


def test_exact_mode_on_the_quickest_engine_needs_less_than_the_usual_limit():
    got = plan(
        limit=2 * GIB, engine=Processor("openvino (CPU, bfloat16)", "bfloat16"), area=Window(0, 0, 900, 900)
    )
    assert got.engine.streams == 1


def test_usual_patches_run_as_ever():
    engine = Processor()
    for patch in (256, 512):
        blend = resolve(BUNDLE.card, patch_size=patch, overlap=64)
        got = memory.share(AREA, blend, replace(engine, batch_size=2**18 // patch**2), BUNDLE)
        assert got.engine.streams == 4 and got.stripes == [AREA]


def test_a_gpu_has_memory_of_its_own():
    engine = Processor(name="tensorflow (GPU)")
    assert plan(limit=2 * GIB, engine=engine).engine is engine


def test_a_network_without_a_graph_counts_as_a_large_one():
    unknown = replace(BUNDLE, card=replace(BUNDLE.card, files={}))
    assert plan(bundle=unknown, engine=Processor(streams=1)).bytes > plan(engine=Processor(streams=1)).bytes


@hypothesis.settings(deadline=None)
@given(st.integers(0, 12 * GIB), st.sampled_from([1024, 2048, 4096]), st.integers(1, 40_000))
def test_every_plan_keeps_within_its_limit_and_covers_the_area(limit, patch, width):
    area = Window(3, 5, 700, width)
    try:
        got = plan(patch, limit, area=area)
    except GridError:
        narrow = replace(area, width=min(width, memory.STRIPE))
        assert plan(patch, engine=Processor(streams=1), area=narrow).bytes > limit
        return
    assert got.bytes <= limit
    assert got.stripes[0].col == 5 and got.stripes[-1].stop_col == 5 + width
    assert all(one.stop_col == other.col for one, other in pairwise(got.stripes))
