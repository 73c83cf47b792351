"""A matplotlib figure as the bytes of a small file: a PNG with a palette, or a JPEG where it shows photographs."""

import io

DPI = 150  # of saved figures; shown at two thirds of that, so that text has the notebook's size
SEEN, SPARED = 6, 0.012  # levels of 256, share of pixels: where more is off, 256 colours are not enough
QUALITY = 85  # of a JPEG


def encoded(figure) -> tuple[bytes, str, tuple[int, int]]:
    """Draws and closes a Figure: its bytes, "png" or "jpeg", and (width, height) to show it at, in pixels.

    A drawing gets a palette of 256 colours, a third of the bytes, where that shows in hardly any pixel. Sheets of
    photographs keep their colours, in a JPEG where that is less than two thirds of the PNG.
    """
    import matplotlib.pyplot as plt
    from PIL import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    png = buffer.getvalue()
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    size = tuple(side * 2 // 3 for side in picture.size)
    small = with_palette(picture)
    if small is not None:
        return min(png, small, key=len), "png", size
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=QUALITY, optimize=True, dpi=(DPI, DPI))
    return (buffer.getvalue(), "jpeg", size) if 1.5 * buffer.tell() < len(png) else (png, "png", size)


def with_palette(picture) -> bytes | None:
    """PNG of a PIL picture in 256 colours of its own; None where more than SPARED of its pixels would be off."""
    from PIL import Image, ImageChops

    small = picture.quantize(256, dither=Image.Dither.NONE)
    off = ImageChops.difference(picture, small.convert("RGB")).convert("L").histogram()
    if sum(off[SEEN:]) > SPARED * sum(off):
        return None
    buffer = io.BytesIO()
    small.save(buffer, format="PNG", optimize=True, dpi=(DPI, DPI))
    return buffer.getvalue()


def of(thing):
    """The matplotlib Figure that an Axes, an array or list of Axes, a SubFigure or a seaborn grid belongs to."""
    from matplotlib.figure import Figure

    given = thing
    while not isinstance(thing, Figure):
        if hasattr(thing, "flat"):
            thing = next(iter(thing.flat))
        elif isinstance(thing, list | tuple) and thing:
            thing = thing[0]
        elif getattr(thing, "figure", None) is not None and thing.figure is not thing:
            thing = thing.figure
        else:
            raise ValueError(
                f"a {type(given).__name__} is no figure; give a matplotlib Figure, its Axes or a seaborn grid"
            )
    return thing
