"""Images as files and as sheets of many: what the explorer and its page show."""

import io

import numpy as np

THUMB = 64  # pixels; larger images are scaled down to this in a page


def thumbs(pictures: np.ndarray, side: int = THUMB) -> np.ndarray:
    """uint8 (n, 3, H, W) as it is, or brought to (n, 3, side, side) where it is larger."""
    if max(pictures.shape[2:]) <= side:
        return pictures
    from PIL import Image

    small = [Image.fromarray(np.ascontiguousarray(p.transpose(1, 2, 0))).resize((side, side)) for p in pictures]
    return np.stack([np.asarray(p).transpose(2, 0, 1) for p in small])


def encoded(picture: np.ndarray, kind: str = "png") -> bytes:
    """uint8 (H, W, 3) as "png", as lossless "webp", or as "webp90", which loses a little."""
    from PIL import Image

    buffer = io.BytesIO()
    options = {"png": {"compress_level": 1}, "webp": {"lossless": True, "quality": 60}, "webp90": {"quality": 90}}
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, kind.removesuffix("90"), **options[kind])
    return buffer.getvalue()


def sprite(pictures: np.ndarray, columns: int) -> np.ndarray:
    """uint8 (rows * H, columns * W, 3): the pictures line by line, black where there are none."""
    n, _, height, width = pictures.shape
    rows = -(-n // columns)
    grid = np.zeros((rows * columns, height, width, 3), np.uint8)
    grid[:n] = pictures.transpose(0, 2, 3, 1)
    return grid.reshape(rows, columns, height, width, 3).swapaxes(1, 2).reshape(rows * height, columns * width, 3)
