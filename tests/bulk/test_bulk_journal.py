"""What was written is read again, whatever happened to the writer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.bulk.journal import open_journal, read_journals
from geoseg.bulk.work import Report
from geoseg.errors import BatchError


def report(number, status="done"):
    return Report(f"a@{number},0", f"key{number}", "chunk", "a", status, pixels={"tree": number}, seconds=0.5)


def write(path, *reports):
    with open_journal(path) as journal:
        for one in reports:
            journal.append(one)


def test_reports_come_back_as_they_were(tmp_path):
    write(tmp_path / "j", report(1), report(2, "empty"), report(3, "failed"))
    found = read_journals([tmp_path / "j"])
    assert list(found.values()) == [report(1), report(2, "empty"), report(3, "failed")]


def test_a_success_stays_one_and_a_failure_may_be_mended(tmp_path):
    write(tmp_path / "a", report(1, "failed"), report(2))
    write(tmp_path / "b", report(1), report(2, "failed"))
    found = read_journals([tmp_path / "a", tmp_path / "b"])
    assert [found["key1"].status, found["key2"].status] == ["done", "done"]


@given(st.data())
def test_a_journal_torn_anywhere_loses_its_last_line_at_most_and_goes_on(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("torn") / "journal.jsonl"
    write(path, report(1), report(2))
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    kept = data.draw(st.integers(first, len(whole)))
    path.write_bytes(whole[:kept])
    write(path, report(3))
    found = read_journals([path])
    assert {"key1", "key3"} <= found.keys()
    assert ("key2" in found) == (kept >= len(whole) - 1)


def test_lines_of_another_make_are_left_out(tmp_path):
    path = tmp_path / "j"
    path.write_text('{"key": "x", "colour": "red"}\n[1]\nnonsense\n\n')
    write(path, report(1))
    assert list(read_journals([path])) == ["key1"]


def test_two_runs_do_not_share_a_journal(tmp_path):
    with (
        open_journal(tmp_path / "j"),
        pytest.raises(BatchError, match="another run is at work"),
        open_journal(tmp_path / "j"),
    ):
        pass
    write(tmp_path / "j", report(1))
