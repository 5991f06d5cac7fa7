"""Drawing of environments without a display."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

WIDTH, HEIGHT = 480, 320
# Pictures are drawn larger by this factor and averaged, which smooths edges.
_OVERSAMPLING = 2

BLACK = (20, 20, 20)
GREY = (150, 150, 150)
BLUE = (50, 100, 190)
ORANGE = (225, 130, 40)
GREEN = (40, 150, 80)

Point = tuple[float, float]


class Canvas:
    """A white picture of 480 by 320 pixels showing a part of the plane, with y upwards."""

    def __init__(self, centre: Point, width: float):
        """Shows `width` units of length around `centre`."""
        self._scale = _OVERSAMPLING * WIDTH / width
        self._centre = centre
        size = (_OVERSAMPLING * WIDTH, _OVERSAMPLING * HEIGHT)
        self._image = Image.new("RGB", size, "white")
        self._draw = ImageDraw.Draw(self._image)

    def _pixel(self, point: Point) -> Point:
        return (
            self._image.width / 2 + (point[0] - self._centre[0]) * self._scale,
            self._image.height / 2 - (point[1] - self._centre[1]) * self._scale,
        )

    def line(self, points: list[Point], thickness: float, colour: tuple[int, int, int]) -> None:
        """Joins the points; `thickness` in units of length."""
        self._draw.line(
            [self._pixel(point) for point in points],
            colour,
            max(1, round(thickness * self._scale)),
            joint="curve",
        )

    def disc(self, centre: Point, radius: float, colour: tuple[int, int, int]) -> None:
        """Fills a circle; `radius` in units of length."""
        x, y = self._pixel(centre)
        r = radius * self._scale
        self._draw.ellipse((x - r, y - r, x + r, y + r), colour)

    def box(self, centre: Point, width: float, height: float, colour: tuple[int, int, int]) -> None:
        """Fills an upright rectangle; sides in units of length."""
        x, y = self._pixel(centre)
        w, h = width / 2 * self._scale, height / 2 * self._scale
        self._draw.rectangle((x - w, y - h, x + w, y + h), colour)

    def pixels(self) -> NDArray[np.uint8]:
        """The picture, `[320, 480, 3]` uint8."""
        return np.asarray(self._image.reduce(_OVERSAMPLING))


def draw_each(state: object, draw: Callable[[NDArray[np.float64]], Canvas]) -> NDArray[np.uint8]:
    """Draws every row of a state `[B, S]`: `[B, 320, 480, 3]` uint8."""
    return np.stack([draw(row).pixels() for row in np.asarray(state, np.float64)])
