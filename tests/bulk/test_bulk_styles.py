"""A batch leaves the same styles for QGIS as `predict`, whichever way its scenes were made."""

import pytest
from bulk_scenes import network, scenes  # noqa: F401

import geoseg


@pytest.mark.parametrize("options", [dict(), dict(layout="chunks"), dict(polygons="fgb")], ids=str)
def test_masks_and_polygons_have_styles(scenes, network, tmp_path, options):  # noqa: F811
    geoseg.batch(scenes, tmp_path / "out", model=network, **dict(chunk=96, polygons=True) | options)
    geoseg.predict(
        scenes / "large.tif", tmp_path / "m.tif", polygons=tmp_path / "p.gpkg", model=network, quicklook=False
    )
    out = tmp_path / "out"
    styles = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.qml"))
    assert styles == [f"{name}_{kind}.qml" for name in ("coarse", "large", "sub/small") for kind in
                      ("mask", "polygons")]  # fmt: skip
    for kind in ("mask", "polygons"):
        expected = (tmp_path / f"{kind[0]}.qml").read_bytes()
        assert (out / f"large_{kind}.qml").read_bytes() == expected
    assert not list(out.rglob("*.png"))
