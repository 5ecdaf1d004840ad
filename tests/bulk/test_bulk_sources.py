"""From what the user calls a source to named scenes."""

from pathlib import Path

import pytest

from geoseg.bulk.sources import Source, expand
from geoseg.errors import BatchError


@pytest.fixture
def files(tmp_path):
    """A function that makes empty files below the test's folder."""

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return make


def named(sources):
    return [source.name for source in sources]


def test_a_file_is_a_scene_by_its_absolute_path(files, monkeypatch):
    monkeypatch.chdir(files("a.b.tif"))
    assert expand(["a.b.tif"]) == [Source("a.b", str(Path("a.b.tif").absolute()))]


def test_a_folder_gives_its_rasters_with_their_sub_folders_in_order(files):
    folder = files(
        "z.tif", "a/z.TIF", "a/b/c.jp2", "a/z.tif.aux.xml", "notes.txt", ".hidden/x.tif", "a/.y.tif"
    )
    assert named(expand([folder])) == ["z", "a/z", "a/b/c"]


def test_the_folder_of_the_outputs_is_not_searched(files):
    folder = files("a.tif", "out/a_mask.tif", "out/sub/b.tif")
    assert named(expand([folder], without=folder / "out")) == ["a"]
    assert named(expand([folder])) == ["a", "out/a_mask", "out/sub/b"]


def test_globs_find_files_and_folders_in_order(files):
    folder = files("b1.tif", "a1.tif", "a2.png", "c/d/e.tif")
    assert named(expand([f"{folder}/a*.*"])) == ["a1", "a2"]
    assert named(expand([f"{folder}/**/*.tif"])) == ["a1", "b1", "e"]
    assert named(expand([f"{folder}/c*"])) == ["d/e"]


def test_a_list_is_read_from_its_own_folder(files):
    folder = files("x/a.tif", "x/b.tif", "x/c/d.tif")
    (folder / "x" / "list.txt").write_text("# remark\n a.tif \n\nc\nhttps://host/e/f.tif\n")
    assert named(expand([folder / "x" / "list.txt"], allow_remote=True)) == ["a", "d", "f"]


@pytest.mark.parametrize("entry", [
    "https://host/e/f.tif", "s3://bucket/f.tif", "/vsicurl/http://host/f.tif", "WMS:http://host/wms",
    "https://host/{z}/{x}/{y}.png",
])  # fmt: skip
def test_an_address_in_a_list_is_not_asked_for(files, entry):
    folder = files("a.tif")
    (folder / "list.txt").write_text(f"a.tif\n{entry}\n")
    with pytest.raises(BatchError, match="which is no file; --allow-remote"):
        expand([folder / "list.txt"])


@pytest.mark.parametrize(
    "text", ["id,path\n1,a.tif\n2,b.tif\n", "a.tif,1\nb.tif,2\n", "\ufeffScene\na.tif\nb.tif\n"]
)
def test_a_csv_is_read_by_its_header_or_its_first_column(files, text):
    folder = files("a.tif", "b.tif")
    (folder / "list.csv").write_text(text, encoding="utf-8")
    assert named(expand([folder / "list.csv"])) == ["a", "b"]


@pytest.mark.parametrize(("given", "dataset", "name"), [
    ("https://host/x/city.tif?token=1", "/vsicurl/https://host/x/city.tif?token=1", "city"),
    ("s3://bucket/x/city.tif", "/vsis3/bucket/x/city.tif", "city"),
    ("/vsizip/a.zip/city.tif", "/vsizip/a.zip/city.tif", "city"),
    ("GPKG:tiles.gpkg:layer one", "GPKG:tiles.gpkg:layer one", "GPKG_tiles"),
])  # fmt: skip
def test_what_lies_elsewhere_becomes_a_name_of_gdals(given, dataset, name):
    assert expand([given]) == [Source(name, dataset)]


@pytest.mark.parametrize(("sources", "words"), [
    (["a.tif", "x/a.png"], "a.tif and .*x/a.png would have outputs of one name"),
    (["a.tif", "x/A.tif"], "outputs of one name"),
    (["a.tif", "a.*"], "a.tif is given twice"),
    (["missing.tif"], "nothing at .*missing.tif"),
    (["*.jp2"], "nothing at .*jp2"),
    (["empty"], "no raster in the folder .*empty"),
    ([], "name no scene"),
])  # fmt: skip
def test_what_cannot_be_is_refused_by_name(files, sources, words, monkeypatch):
    monkeypatch.chdir(files("a.tif", "x/a.png", "x/A.tif", "empty/notes.md"))
    with pytest.raises(BatchError, match=words):
        expand(sources)
