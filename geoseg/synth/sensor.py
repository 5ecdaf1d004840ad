"""What a camera, the air and a compressor do to a scene."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from geoseg.errors import SceneError

Pixels = npt.NDArray[np.uint8]
Image = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sensor:
    """Camera, air and compression.

    Attributes:
        blur_px: deviation of the point spread function, output pixels, 0..5.
        sharpen: strength of the unsharp mask after it, 0..2.
        noise: deviation of the noise, grey levels, 0..50.
        gain: red, green, blue factors, 0.2..3.
        contrast: factor around mid grey, 0.2..3.
        haze: share of airlight mixed in, 0..0.9.
        vignette: loss of light in the corners, 0..0.9.
        jpeg_quality: 1..100, or None for no compression artefacts.

    Raises:
        SceneError: if a value is out of its range.
    """

    blur_px: float = 0.55
    sharpen: float = 0.3
    noise: float = 3.0
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    contrast: float = 1.0
    haze: float = 0.05
    vignette: float = 0.05
    jpeg_quality: int | None = 88

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:
                raise SceneError(f"{name} is {value}; choose a value from {low:g} to {high:g}")
        if len(self.gain) != 3 or not all(0.2 <= value <= 3 for value in self.gain):
            raise SceneError(f"gain is {self.gain}; give three factors (red, green, blue) from 0.2 to 3")
        if self.jpeg_quality is not None and not 1 <= self.jpeg_quality <= 100:
            raise SceneError(
                f"jpeg_quality is {self.jpeg_quality}; choose 1 to 100, or None for no artefacts"
            )

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Sensor":
        """A sensor on an ordinary day."""
        red, green, blue = (1 + rng.normal(0, 0.02, 3)) * rng.uniform(0.95, 1.15)
        return cls(
            blur_px=rng.uniform(0.35, 0.75),
            sharpen=rng.uniform(0, 0.7),
            noise=rng.uniform(1.5, 4.5),
            gain=(float(red), float(green), float(blue)),
            contrast=rng.uniform(0.9, 1.2),
            haze=rng.uniform(0.0, 0.12),
            vignette=rng.uniform(0.0, 0.12),
            jpeg_quality=int(rng.integers(78, 95)),
        )

    @property
    def margin(self) -> int:
        """Output pixels beyond a band that `focus` needs."""
        return int(np.ceil(4 * self.blur_px)) + 6

    def focus(self, fine: Image, factor: int) -> Image:
        """Blur and reduce a super-sampled image.

        Args:
            fine: (factor·h, factor·w, 3) float32.
            factor: super-sampling; its pixels are averaged.

        Returns:
            (h, w, 3) float32.
        """
        sigma = max(self.blur_px, 1e-3) * factor
        blurred = cv2.GaussianBlur(fine, (0, 0), sigma) if self.blur_px > 0 else fine
        size = (fine.shape[1] // factor, fine.shape[0] // factor)
        image: Image = cv2.resize(blurred, size, interpolation=cv2.INTER_AREA)
        if not self.sharpen:
            return image
        soft: Image = cv2.GaussianBlur(image, (0, 0), 1.0)
        return image + np.float32(self.sharpen) * (image - soft)

    def expose(self, image: Image, top: int, height: int, rng: np.random.Generator) -> Pixels:
        """Turn light into numbers.

        Args:
            image: (h, w, 3) float32, 0..255, a band of the scene.
            top: first row of the band.
            height: rows of the whole scene.
            rng: source of the noise; must see the bands from top to bottom.

        Returns:
            (h, w, 3) uint8, 1..255: 0 is left free for missing data.
        """
        rows, width = image.shape[:2]
        y = ((np.arange(rows, dtype=np.float32) + top + 0.5) / height * 2 - 1)[:, None, None]
        x = ((np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1)[None, :, None]
        light = image * (1 - self.vignette * (x * x + y * y) / 2)
        light = light * (1 - self.haze) + self.haze * np.array([186, 194, 204], np.float32)
        light = (light * np.array(self.gain, np.float32) - 110) * self.contrast + 110
        # brighter pixels collect more light and with it more shot noise
        grain = self.noise * np.sqrt(np.clip(light, 20, 255) / 128)
        light += grain * rng.standard_normal(light.shape, dtype=np.float32)
        pixels: Pixels = np.clip(np.rint(light), 1, 255).astype(np.uint8)
        return pixels

    def compress(self, pixels: Pixels) -> Pixels:
        """Add JPEG artefacts to (h, w, 3) uint8 RGB; values stay 1..255."""
        if self.jpeg_quality is None:
            return pixels
        _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self.jpeg_quality])
        decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
        return np.maximum(decoded[..., ::-1], np.uint8(1))


_RANGES = (
    ("blur_px", 0.0, 5.0),
    ("sharpen", 0.0, 2.0),
    ("noise", 0.0, 50.0),
    ("contrast", 0.2, 3.0),
    ("haze", 0.0, 0.9),
    ("vignette", 0.0, 0.9),
)
