"""Pictures of a training."""

import cv2
import numpy as np

from geoseg.report.curves import draw_curves
from geoseg.report.sheets import SIDE, Example, draw_sheet


def test_curves_of_any_history(tmp_path):
    record = {"loss": 1.0, "val_loss": 0.9, "val_accuracy": 0.5, "val_iou": 0.4, "val_iou_roof": 0.4}
    for name, history in (("one", [record]), ("gap", [record, {"loss": 0.5, "val_loss": 0.6}, record])):
        draw_curves(history, 0, tmp_path / f"{name}.png")
        assert cv2.imread(str(tmp_path / f"{name}.png")).std() > 5


def test_a_sheet_shows_image_truth_and_probability_in_their_places(tmp_path):
    pixels = np.full((32, 32, 3), (10, 200, 30), np.uint8)
    truth = np.zeros((32, 32, 1), np.uint8)
    truth[:16], truth[28:] = 1, 255
    probabilities = np.zeros((32, 32, 1), np.float32)
    probabilities[:, :16] = 1
    examples = [Example(f"place {k}", pixels, truth, probabilities) for k in range(4)]
    draw_sheet(examples, ["roof"], ["#ff0000"], False, tmp_path / "sheet.png")
    sheet = cv2.imread(str(tmp_path / "sheet.png"))[..., ::-1]
    assert (sheet[100, SIDE // 2] == (10, 200, 30)).all()
    middle = SIDE + 4 + SIDE // 2
    assert sheet[40, middle, 0] > 130  # roof over the image
    assert (sheet[130, middle] == (10, 200, 30)).all()
    assert len(set(sheet[16 + SIDE - 5, middle].tolist())) == 1  # grey: ignored
    assert (sheet[100, 2 * SIDE + 20] == (255, 0, 0)).all()
    assert (sheet[100, 3 * SIDE - 10] == 0).all()


def test_one_band_and_many_exclusive_classes(tmp_path):
    rng = np.random.default_rng(0)
    truth = np.eye(12, dtype=np.uint8)[rng.integers(0, 12, (16, 16))]
    given = rng.dirichlet(np.ones(12), (16, 16)).astype(np.float32)
    example = Example("night", rng.integers(0, 255, (16, 16, 1), dtype=np.uint8), truth, given)
    colors = [f"#{k * 20:02x}80{255 - k * 20:02x}" for k in range(12)]
    draw_sheet([example], [f"class {k}" for k in range(12)], colors, True, tmp_path / "sheet.png")
    assert cv2.imread(str(tmp_path / "sheet.png")).std() > 5
