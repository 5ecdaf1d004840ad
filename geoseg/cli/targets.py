"""Which files each scene of `geoseg predict` is written to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from geoseg.errors import OutputError

FILE_ENDINGS = (".html", ".tif", ".tiff", ".geojson", ".geojsonl", ".gpkg", ".fgb", ".parquet")


def jobs_of(
    scenes: Sequence[str],
    output: Path | None,
    probabilities: Path | None,
    polygons: Path | None,
    quicklook: bool,
    styles: bool,
    **common: Any,
) -> list[Any]:
    """One job a scene; files in folders are named after the scenes."""
    from geoseg.jobs import SceneJob, mask_of, quicklook_of

    many = len(scenes) > 1
    masks = [target_of(scene, output, "_mask.tif", many) or mask_of(scene) for scene in scenes]
    return [
        SceneJob(
            scene,
            mask,
            target_of(scene, probabilities, "_probabilities.tif", many),
            target_of(scene, polygons, "_polygons.gpkg", many),
            quicklook=quicklook_of(mask) if quicklook else None,
            styled=styles,
            **common,
        )
        for scene, mask in zip(scenes, masks, strict=True)
    ]


def target_of(scene: str, given: Path | None, ending: str, many: bool) -> Path | None:
    """A file as it is given; in a folder, the scene's name with `ending`."""
    if given is None or not (many or given.is_dir()):
        return given
    if given.suffix.lower() in FILE_ENDINGS:
        raise OutputError(f"{given} is one file for many scenes; give a folder")
    return given / f"{Path(scene).stem}{ending}"


def make_ready(jobs: list[Any], pages: list[Path | None], dry_run: bool) -> None:
    """Find clashes before any work is done; make the folders that were asked for."""
    from geoseg.staging import check_absent

    targets = [target for job in jobs for target in (*job.outputs, *job.beside)] + list(filter(None, pages))
    twice = next((target for target in targets if targets.count(target) > 1), None)
    if twice is not None:
        raise OutputError(f"two scenes would both write {twice}; predict them into folders of their own")
    if dry_run:
        return
    for target in targets:
        if len(jobs) > 1:
            target.parent.mkdir(parents=True, exist_ok=True)
    check_absent(targets, jobs[0].overwrite)
