import os
import threading
import time

import pytest

from geoseg.core.prefetch import cores, prefetch, submitted


def wait_for(condition, seconds=5.0):
    """Poll until a condition holds."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def workers():
    return [thread for thread in threading.enumerate() if thread.name == "geoseg-prefetch"]


def counted(made, count=100):
    for k in range(count):
        made.append(k)
        yield k


def test_cores_are_those_that_the_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 6}, raising=False)
    assert cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1


@pytest.mark.parametrize("depth", [1, 2, 10])
def test_order_is_kept_and_nothing_is_lost(depth):
    with prefetch(range(500), depth) as items:
        assert list(items) == list(range(500))
    assert not workers()


def test_none_and_false_are_items_too():
    with prefetch([None, False, 0], 1) as items:
        assert list(items) == [None, False, 0]


def test_nothing_in_nothing_out():
    with prefetch([], 1) as items:
        assert list(items) == []


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_the_producer_runs_ahead_by_its_depth_and_no_further(depth):
    made = []
    with prefetch(counted(made), depth) as items:
        for taken in range(4):
            most = taken + depth + 1  # in the queue, and one in the producer's hand
            assert wait_for(lambda most=most: len(made) >= most)
            time.sleep(0.15)
            assert len(made) == most
            next(items)


def test_producer_and_consumer_work_at_the_same_time():
    here, there = threading.get_ident(), []

    def source():
        there.append(threading.get_ident())
        yield 1

    with prefetch(source(), 1) as items:
        assert list(items) == [1]
    assert there != [here]


def test_an_error_of_the_producer_is_raised_after_the_items_before_it():
    def source():
        yield from range(3)
        raise ValueError("the third row is damaged")

    with prefetch(source(), 1) as items:
        assert [next(items) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(ValueError, match="the third row is damaged"):
            next(items)
    assert not workers()


def test_an_early_exit_stops_the_producer():
    made = []
    with prefetch(counted(made, 10**9), 2) as items:
        assert next(items) == 0
    assert not workers()
    count = len(made)
    time.sleep(0.15)
    assert len(made) == count <= 5


def test_an_exit_before_the_first_item_stops_the_producer():
    with prefetch(counted([], 10**9), 1):
        pass
    assert not workers()


def test_an_error_of_the_consumer_passes_through_and_stops_the_producer():
    with pytest.raises(KeyError, match="mine"), prefetch(counted([], 10**9), 1) as items:
        next(items)
        raise KeyError("mine")
    assert not workers()


def test_stages_can_be_chained():
    with prefetch(range(200), 2) as first, prefetch((2 * k for k in first), 2) as second:
        assert list(second) == [2 * k for k in range(200)]
    assert not workers()


def pool_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("pool")]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_calls_run_side_by_side_and_results_come_in_order(threads):
    together = threading.Barrier(threads)

    def squared(item):
        together.wait(5)  # nobody gets past it alone
        return item * item

    with submitted(squared, range(20), threads, "pool") as results:
        assert [(item, result.result()) for item, result in results] == [(k, k * k) for k in range(20)]
    assert not pool_threads()


@pytest.mark.parametrize("threads", [1, 3])
def test_no_more_calls_are_begun_than_there_are_threads_and_one(threads):
    made = []
    with submitted(lambda item: item, counted(made), threads, "pool") as results:
        for taken in range(1, 5):
            next(results)
            assert len(made) == taken + threads
    assert not pool_threads()


def test_an_error_of_a_call_comes_with_its_result():
    with submitted(lambda item: 1 // item, [1, 0, 2], 2, "pool") as results:
        assert next(results)[1].result() == 1
        with pytest.raises(ZeroDivisionError):
            next(results)[1].result()
        assert next(results)[1].result() == 0
