"""Outputs appear whole or not at all."""

import errno
import os
import stat

import pytest

from geoseg.errors import OutputError
from geoseg.staging import check_absent, discard, staged, staged_folder

FAILURES = [ValueError("no"), KeyboardInterrupt(), SystemExit(1)]


def names(folder):
    """Everything in a folder, hidden names too."""
    return sorted(path.name for path in folder.iterdir())


def texts(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def beside(path, ending):
    return path.with_name(path.name + ending)


def test_files_are_renamed_together_when_all_is_well(tmp_path):
    with staged(tmp_path / "a.tif", tmp_path / "b.tif") as (a, b):
        a.write_text("A")
        b.write_text("B")
        assert {a.parent, b.parent} == {tmp_path}
        assert not (tmp_path / "a.tif").exists()
        assert all(name.startswith(".") for name in names(tmp_path))
    assert texts(tmp_path) == {"a.tif": "A", "b.tif": "B"}


def test_targets_in_two_folders(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with staged(tmp_path / "one" / "x.tif", tmp_path / "two" / "x.tif") as (a, b):
        a.write_text("A")
        b.write_text("B")
    assert texts(tmp_path / "one") == {"x.tif": "A"}
    assert texts(tmp_path / "two") == {"x.tif": "B"}


@pytest.mark.parametrize("name", ["a.tif", "a[1].tif", "a*b?.tif", "å é.tif", "no_ending", ".hidden.tif"])
def test_side_files_follow_whatever_the_name(tmp_path, name):
    with staged(tmp_path / name) as (draft,):
        draft.write_text("A")
        beside(draft, ".aux.xml").write_text("X")
        beside(draft, ".msk").write_text("M")
    assert texts(tmp_path) == {name: "A", name + ".aux.xml": "X", name + ".msk": "M"}


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_a_failure_leaves_nothing(tmp_path, failure):
    with pytest.raises(type(failure)), staged(tmp_path / "a[1].tif", tmp_path / "b.tif") as (a, b):
        a.write_text("half")
        beside(a, ".aux.xml").write_text("half")
        b.write_text("half")
        raise failure
    assert names(tmp_path) == []


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_a_failure_leaves_what_was_there_before(tmp_path, failure):
    (tmp_path / "a.tif").write_text("old")
    with pytest.raises(type(failure)), staged(tmp_path / "a.tif", overwrite=True) as (draft,):
        draft.write_text("half")
        raise failure
    assert texts(tmp_path) == {"a.tif": "old"}


def test_an_output_that_was_not_written_fails_all_of_them(tmp_path):
    with (
        pytest.raises(OutputError, match=r"nothing was written for .*b\.tif"),
        staged(tmp_path / "a.tif", tmp_path / "b.tif") as (a, _),
    ):
        a.write_text("A")
    assert names(tmp_path) == []


def test_an_existing_file_is_refused_before_any_work(tmp_path):
    (tmp_path / "b.tif").write_text("old")
    with (
        pytest.raises(OutputError, match=r"b\.tif exists already; .*--overwrite"),
        staged(tmp_path / "a.tif", tmp_path / "b.tif"),
    ):
        pytest.fail("the block was entered")
    assert texts(tmp_path) == {"b.tif": "old"}


def test_overwrite_replaces_a_file(tmp_path):
    (tmp_path / "a.tif").write_text("old")
    with staged(tmp_path / "a.tif", overwrite=True) as (draft,):
        draft.write_text("new")
        assert (tmp_path / "a.tif").read_text() == "old"
    assert texts(tmp_path) == {"a.tif": "new"}


@pytest.mark.parametrize("other", ["a.tif", "./a.tif", "sub/../a.tif"])
def test_one_name_given_twice_is_refused(tmp_path, other):
    (tmp_path / "sub").mkdir()
    twin = tmp_path.joinpath(*other.split("/"))
    with (
        pytest.raises(OutputError, match=r"two outputs have one name, .*a\.tif"),
        staged(tmp_path / "a.tif", twin),
    ):
        pytest.fail("the block was entered")


def test_a_missing_folder_is_named(tmp_path):
    with (
        pytest.raises(OutputError, match=r"no folder .*absent .*make it first"),
        staged(tmp_path / "absent" / "a.tif"),
    ):
        pytest.fail("the block was entered")
    assert names(tmp_path) == []


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_in_place_of_a_file_is_refused(tmp_path, overwrite):
    (tmp_path / "a.tif").mkdir()
    with pytest.raises(OutputError, match=r"a\.tif"):
        check_absent([tmp_path / "a.tif"], overwrite)


def test_other_files_of_the_folder_are_left_alone(tmp_path):
    (tmp_path / "a.tif.aux.xml.bak").write_text("mine")
    (tmp_path / ".geoseg-000-a.tif").write_text("another run's")
    with staged(tmp_path / "a.tif") as (draft,):
        draft.write_text("A")
    assert len(names(tmp_path)) == 3


def test_a_folder_appears_whole(tmp_path):
    with staged_folder(tmp_path / "deep" / "run") as draft:
        (draft / "a.txt").write_text("A")
        assert not (tmp_path / "deep" / "run").exists()
    assert texts(tmp_path / "deep" / "run") == {"a.txt": "A"}
    assert names(tmp_path / "deep") == ["run"]


def test_a_folder_can_be_read_by_those_whom_the_umask_allows(tmp_path):
    before = os.umask(0o027)
    try:
        with staged_folder(tmp_path / "run"):
            pass
        assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o750
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize("there", [False, True])
def test_a_failed_folder_leaves_what_was_there_before(tmp_path, failure, there):
    if there:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "a.txt").write_text("old")
    with pytest.raises(type(failure)), staged_folder(tmp_path / "run", overwrite=True) as draft:
        (draft / "a.txt").write_text("half")
        raise failure
    assert names(tmp_path) == ["run"] * there
    assert not there or texts(tmp_path / "run") == {"a.txt": "old"}


def test_a_folder_with_files_is_refused_without_overwrite(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a.txt").write_text("old")
    with (
        pytest.raises(OutputError, match=r"run is not empty; .*--overwrite"),
        staged_folder(tmp_path / "run"),
    ):
        pytest.fail("the block was entered")
    assert texts(tmp_path / "run") == {"a.txt": "old"}


def test_an_empty_folder_is_used(tmp_path):
    (tmp_path / "run").mkdir()
    with staged_folder(tmp_path / "run") as draft:
        (draft / "a.txt").write_text("A")
    assert texts(tmp_path / "run") == {"a.txt": "A"}


def test_overwrite_replaces_a_folder_and_all_in_it(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "old.txt").write_text("old")
    with staged_folder(tmp_path / "run", overwrite=True) as draft:
        (draft / "a.txt").write_text("A")
    assert texts(tmp_path / "run") == {"a.txt": "A"}
    assert names(tmp_path) == ["run"]


def test_a_file_in_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(OutputError, match="run is a file"), staged_folder(tmp_path / "run", overwrite=True):
        pytest.fail("the block was entered")
    with pytest.raises(OutputError, match="cannot write to"), staged_folder(tmp_path / "run" / "below"):
        pytest.fail("the block was entered")
    assert texts(tmp_path) == {"run": "mine"}


def test_of_two_that_began_together_the_first_to_end_wins_and_the_other_is_refused(tmp_path):
    targets = tmp_path / "a.tif", tmp_path / "b.tif"
    with pytest.raises(OutputError, match=r"a\.tif exists already"), staged(*targets) as slow:
        with staged(*targets) as quick:
            for draft in quick:
                draft.write_text("quick")
                beside(draft, ".aux.xml").write_text("quick")
        for draft in slow:
            draft.write_text("slow")
            beside(draft, ".aux.xml").write_text("slow")
    assert set(texts(tmp_path).values()) == {"quick"}
    assert names(tmp_path) == ["a.tif", "a.tif.aux.xml", "b.tif", "b.tif.aux.xml"]


def test_of_two_folders_that_were_begun_together_the_first_to_end_wins(tmp_path):
    target = tmp_path / "out"
    with pytest.raises(OutputError, match="is not empty"), staged_folder(target) as slow:
        with staged_folder(target) as quick:
            (quick / "x").write_text("quick")
        (slow / "x").write_text("slow")
    assert texts(target) == {"x": "quick"}
    assert names(tmp_path) == ["out"]


def test_what_is_unfinished_can_be_discarded_from_outside_its_block(tmp_path):
    with staged(tmp_path / "a[1].tif") as (draft,), staged_folder(tmp_path / "b[2]") as folder:
        draft.write_text("half")
        (folder / "x").write_text("half")
        discard()
        assert names(tmp_path) == []
        draft.write_text("whole")
        folder.mkdir()
    assert names(tmp_path) == ["a[1].tif", "b[2]"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_disk_without_room_is_named_with_the_outputs(tmp_path, number):
    full = OSError(number, os.strerror(number))
    with (
        pytest.raises(OutputError, match=rf"cannot write .*a\.tif: {os.strerror(number)}; make room"),
        staged(tmp_path / "a.tif") as (draft,),
    ):
        draft.write_text("half")
        raise full
    assert names(tmp_path) == []


def test_other_errors_of_the_system_are_left_to_whoever_knows_what_they_mean(tmp_path):
    with pytest.raises(FileNotFoundError), staged(tmp_path / "a.tif"):
        (tmp_path / "absent").read_text()
