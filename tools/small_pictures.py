"""Pictures of 256 colours: a chart in half the bytes, and with the same look."""

from __future__ import annotations

from PIL import Image


def make_small(picture: Image.Image) -> Image.Image:
    """Return a picture with a palette in place of 16 million colours."""
    # Of 256 colours those that are rare count, too: a line, a mark. Dots between two colours of the
    # palette (dithering) would be seen on large areas of one colour.
    palette = picture.quantize(256, Image.Quantize.MAXCOVERAGE)
    small = picture.quantize(palette=palette, dither=Image.Dither.NONE)
    # The paper is white, not the mean of all that is nearly white.
    colours = small.getpalette()
    paper = 3 * small.getpixel((0, 0))
    colours[paper : paper + 3] = picture.getpixel((0, 0))
    small.putpalette(colours)
    return small
