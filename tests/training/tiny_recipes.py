"""A recipe that trains in a second, on pictures made here: bright squares on a dark ground."""

import cv2
import numpy as np
import tomli_w

CLASSES = [{"name": "roof", "color": "#e4572e"}, {"name": "tree", "color": "#2e9e4f"}]


def write_pictures(root, count=12, side=32):
    """`images/k.png` with red squares and green discs, `masks/k.png`: 1 roof, 2 tree, 9 unknown."""
    rng = np.random.default_rng(4)
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for k in range(count):
        mask = np.zeros((side, side), np.uint8)
        row, col = rng.integers(2, side // 2, 2)
        mask[row : row + 12, col : col + 12] = 1
        cv2.circle(mask, (int(rng.integers(4, side - 4)), side - 6), 4, 2, -1)
        colors = np.array([(60, 60, 60), (200, 80, 60), (40, 160, 50)], np.float32)
        pixels = np.clip(colors[mask] + rng.normal(0, 8, (side, side, 3)), 0, 255).astype(np.uint8)
        mask[0] = 9
        cv2.imwrite(str(root / f"images/{k}.png"), pixels[..., ::-1])
        cv2.imwrite(str(root / f"masks/{k}.png"), mask)


def write_recipe(folder, name="tiny", **changes):
    """A TOML file beside its pictures; `changes` replace whole tables or add keys to them."""
    if not (folder / "images").is_dir():
        write_pictures(folder)
    table = {
        "name": name,
        "source": "tests",
        "classes": CLASSES,
        "data": [{
            "name": "shapes", "images": "images/*.png", "masks": "masks/{stem}.png",
            "split": {"by": "\\d+$", "val": ["0", "1", "2"], "test": ["3", "4"]},
            "labels": {"0": "background", "1": "roof", "2": "tree", "9": "ignore"},
        }],
        "patches": {"size": 32},
        "network": {"architecture": "unet", "options": {"width": 4, "depth": 1, "dropout": 0.1}},
        "fit": {"epochs": 3, "batch_size": 4, "learning_rate": 0.01, "precision": "float32", "workers": 1},
    }  # fmt: skip
    for key, value in changes.items():
        if isinstance(value, dict) and key in table:
            table[key] = table[key] | value
        else:
            table[key] = value
    path = folder / f"{name}.toml"
    path.write_text(tomli_w.dumps(table))
    return path
