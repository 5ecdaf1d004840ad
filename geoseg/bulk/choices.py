"""Everything that decides the bytes of a batch's outputs, apart from its scenes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import geoseg
from geoseg.core.thresholds import Threshold
from geoseg.errors import BatchError, BundleError
from geoseg.halo import settle
from geoseg.jobs import SceneJob
from geoseg.memory import DEFAULT_LIMIT
from geoseg.models.bundle import BUNDLED, Bundle, find_bundle, sha256
from geoseg.settings import Settings, resolve

Layout = Literal["whole", "chunks"]
VectorFormat = Literal["gpkg", "geojson", "fgb", "parquet"]

CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Model:
    """A bundle as other processes and machines find it.

    Attributes:
        name: of a bundle that ships with geoseg, or the absolute folder of another.
        sha256: of its card, which holds the sums of its files.
        level: the head at which a UNet++ is cut off; None for all of it.
    """

    name: str
    sha256: str
    level: int | None = None

    @classmethod
    def of(cls, given: str | Path, level: int | None = None) -> Model:
        """The model that the user means."""
        folder = find_bundle(given).folder
        name = folder.name if folder.parent == BUNDLED else str(folder.absolute())
        return cls(name, sha256(folder / "card.toml"), level)

    def bundle(self) -> Bundle:
        """The bundle.

        Raises:
            BundleError: when this machine has none, or another.
        """
        return _bundle(self)


@lru_cache(maxsize=4)
def _bundle(model: Model) -> Bundle:
    bundle = find_bundle(model.name)
    if (found := sha256(bundle.folder / "card.toml")) != model.sha256:
        raise BundleError(
            f"model {model.name} is not the one that was planned with (sha256 of its card {found[:12]}…, "
            f"wanted {model.sha256[:12]}…); copy the same bundle to every machine"
        )
    return bundle if model.level is None else bundle.at_level(model.level)


@dataclass(frozen=True, slots=True)
class Choices:
    """What is wanted of every scene of a batch.

    Attributes:
        model: the model.
        settings: how it is run.
        engine: what runs it.
        engine_options: further arguments of `load_engine`, e.g. batch_size.
        probabilities: whether to write them.
        polygons: the format of the vector files to write, None for none.
        probability_dtype: `uint8` or `float32`.
        bidx: band numbers to use; None to find them by name.
        nodata: a value that means no data, beside the files' own.
        bounds: left, bottom, right, top in the scenes' CRS; None for whole scenes.
        cutline: a vector file outside whose polygons nothing is predicted.
        options: COG creation options.
        chunk: about the side of a chunk, pixels.
        layout: `whole` joins chunks into one file a scene; `chunks` leaves them, with a VRT over them and
            GeoParquet partitioned by chunk.
        max_memory: bytes that each worker stays within. It decides no byte of the outputs.
        allow_remote: follow what the scenes' content points at, see `geo.reach`. Nor does this.
    """

    model: Model
    settings: Settings
    engine: str = "auto"
    engine_options: Mapping[str, Any] = field(default_factory=dict)
    probabilities: bool = False
    polygons: VectorFormat | None = None
    probability_dtype: Literal["uint8", "float32"] = "uint8"
    bidx: tuple[int, ...] | None = None
    nodata: float | None = None
    bounds: tuple[float, float, float, float] | None = None
    cutline: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    chunk: int = CHUNK
    layout: Layout = "whole"
    max_memory: int = DEFAULT_LIMIT
    allow_remote: bool = False

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("polygons", self.polygons, (None, *get_args(VectorFormat))),
            ("layout", self.layout, get_args(Layout)),
        ):
            if value not in allowed:
                known = ", ".join(str(one) for one in allowed if one)
                raise BatchError(f"{name} is one of {known}, got {value!r}; choose one of them")
        if self.layout == "chunks" and self.polygons not in (None, "parquet"):
            raise BatchError(f"polygons by chunk are GeoParquet, got {self.polygons}; choose parquet")
        if self.chunk < 1:
            raise BatchError(f"a chunk has a side of 1 px or more, got {self.chunk}; e.g. {CHUNK}")

    def identity(self) -> dict[str, Any]:
        """Flat names and JSON values of all that decides bytes; equal for equal outputs."""
        table = asdict(self)
        del table["max_memory"], table["allow_remote"]
        model, settings = table.pop("model"), table.pop("settings")
        flat = {"geoseg": geoseg.__version__, "model": model["name"], "model sha256": model["sha256"]}
        flat |= {"level": model["level"], **settings, **table}
        plain: dict[str, Any] = json.loads(json.dumps(flat, sort_keys=True))
        return plain

    @property
    def digest(self) -> str:
        """A hash of `identity`."""
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()[:16]

    def work(self, scene: str, mask: Path, probabilities: Path | None, polygons: Path | None) -> SceneJob:
        """The job of a scene with these outputs, which it may replace: the run folder is its own."""
        return SceneJob(
            scene, mask, probabilities, polygons, probability_dtype=self.probability_dtype, bidx=self.bidx,
            nodata=self.nodata, bounds=self.bounds, cutline=Path(self.cutline) if self.cutline else None,
            options=dict(self.options), max_memory=self.max_memory, overwrite=True,
            allow_remote=self.allow_remote,
        )  # fmt: skip


def choose(
    model: str | Path,
    example: str,
    *,
    level: int | None = None,
    stitch: Any = "blend",
    patch_size: int | None = None,
    overlap: int | None = None,
    median_blur: int | None = None,
    threshold: Threshold = None,
    res: Any = "model",
    tta: Any = "none",
    tolerance: float = 1e-3,
    engine: str = "auto",
    engine_options: Mapping[str, Any] | None = None,
    **wanted: Any,
) -> Choices:
    """Choices from the options of `geoseg predict`, without loading the network if that can be.

    Args:
        model: a bundle's name or folder.
        example: the scene on which `crop` measures the halo curve of a card that has none.
        level: as for `api.load`, like all up to `engine`.
        stitch: see there.
        patch_size: see there.
        overlap: see there.
        median_blur: see there.
        threshold: see there.
        res: see there.
        tta: see there.
        tolerance: see there.
        engine: see there.
        engine_options: further arguments of `load_engine`.
        **wanted: the other attributes of `Choices`.
    """
    named = Model.of(model, level)
    bundle = named.bundle()
    how = dict(stitch=stitch, patch_size=patch_size, overlap=overlap, median_kernel=median_blur,
               threshold=threshold, res=res, tta=tta)  # fmt: skip
    given = {name: value for name, value in (engine_options or {}).items() if value not in (None, "auto")}
    choices = Choices(named, resolve(bundle.card, **how), engine, given, **wanted)
    job = choices.work(example, Path("example.tif"), None, None)
    settings = settle(bundle, job, tolerance=tolerance, engine=engine, **how)
    settings.grid((1, 1))  # says now whether the numbers fit
    return replace(choices, settings=settings)
