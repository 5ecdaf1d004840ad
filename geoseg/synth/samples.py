"""The scenes in ``sample_data/``, remade exactly by ``python -m geoseg.synth sample_data``."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from geoseg.errors import OutputError
from geoseg.synth.scene import SceneSpec, synthesize
from geoseg.synth.sensor import Sensor
from geoseg.synth.write import write_scene


@dataclass(frozen=True)
class Sample:
    """A scene to draw and the place where it lies: x, y of its first corner in EPSG:32611, m."""

    spec: SceneSpec
    origin: tuple[float, float]
    lossless: bool = False


SAMPLES: dict[str, Sample] = {
    "suburb": Sample(SceneSpec(seed=12, height=1000, width=1000), (452310.0, 3771240.0)),
    "town": Sample(
        SceneSpec(
            seed=22,
            height=797,
            width=1153,
            pixel_size_m=0.4,
            style="town",
            swath=True,
            # little noise and no second compression, so that the lossless file stays small
            sensor=Sensor(blur_px=0.75, sharpen=0.0, noise=0.6, contrast=1.05, haze=0.04, jpeg_quality=None),
        ),
        (455120.0, 3768890.0),
        lossless=True,
    ),
}


def write_samples(folder: Path) -> Iterator[Path]:
    """Draw the samples into ``folder``, replacing older ones; yields each file once it is written.

    Raises:
        OutputError: if the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}; choose another one") from error
    for name, sample in SAMPLES.items():
        scene = synthesize(sample.spec)
        path = folder / f"{name}.tif"
        yield from write_scene(
            scene, path, origin=sample.origin, lossless=sample.lossless, mask=False, overwrite=True
        )
