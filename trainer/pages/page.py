"""A self-contained HTML page: it opens from disk, and loads nothing from a network."""

import base64
import dataclasses
import io
import itertools
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.offline
from numpy.typing import NDArray
from PIL import Image

from trainer.pages.charts import Chart
from trainer.pages.theme import SCRIPT, STYLE

# Nothing is loaded from anywhere else.
_POLICY = (
    "default-src 'none'; img-src data: blob:; media-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'"
)
# CSS pixels of the longer side: twice the width at which a picture is shown, for fine screens.
_LARGEST_PICTURE = 256
_SMALL_PICTURE = 64
# Characters that a cell of a table has in one line.
_LONG_CELL = 40


class Html(str):
    """Markup in which the text of users is escaped."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Parts side by side where there is space.

    Attributes:
      parts: in reading order.
      kind: class of the style sheet: `grid` for charts, `pictures`.
    """

    parts: Sequence["Part"]
    kind: str = "grid"


Part = Html | Chart | Group


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading and what is below it."""

    title: str
    parts: Sequence[Part]


def page(title: str, lead: Sequence[Part], sections: Sequence[Section]) -> str:
    """The HTML of a page.

    Args:
      title: of the page.
      lead: between the title and the list of sections.
      sections: in order; those without parts are left out.
    """
    shown = [section for section in sections if section.parts]
    numbers = itertools.count()
    links = [f'<a href="#s{n}">{escape(each.title)}</a>' for n, each in enumerate(shown)]
    body = [f"<h1>{escape(title)}</h1>", *(_render(part, numbers) for part in lead)]
    if len(shown) > 2:
        body.append(f'<nav aria-label="Sections">{"".join(links)}</nav>')
    for n, each in enumerate(shown):
        content = "".join(_render(part, numbers) for part in each.parts)
        body.append(f'<section id="s{n}"><h2>{escape(each.title)}</h2>{content}</section>')
    has_charts = next(numbers) > 0
    scripts = (plotly.offline.get_plotlyjs(), SCRIPT) if has_charts else ()
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        # Otherwise the browser asks a server for an icon.
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        f"<main>{''.join(body)}</main>"
        f"{''.join(f'<script>{script}</script>' for script in scripts)}</body></html>\n"
    )


def text(content: object, kind: str = "") -> Html:
    """A paragraph; `kind` is a class of the style sheet: note or warning."""
    return Html(f"<p{_class(kind)}>{escape(str(content))}</p>")


def code(content: str) -> Html:
    """Lines of a shell or a file."""
    return Html(f"<pre><code>{escape(content)}</code></pre>")


def details(summary: str, content: Html) -> Html:
    """Content that is shown on demand."""
    return Html(f"<details><summary>{escape(summary)}</summary>{content}</details>")


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[object]],
    caption: str = "",
    kinds: Sequence[str] = (),
) -> Html:
    """A table that scrolls inside its own box; numbers are aligned to the right.

    Args:
      head: names of the columns.
      rows: cells, shown as `shown` does.
      caption: above the table.
      kinds: class of each row: "", strong or bad; empty: none.
    """
    columns = list(zip(*rows, strict=True)) or [()] * len(head)
    titles = "".join(
        f'<th scope="col"{_class(_cell_class(*column))}>{escape(name)}</th>'
        for name, column in zip(head, columns, strict=True)
    )
    lines = []
    for row, kind in zip(rows, kinds or [""] * len(rows), strict=True):
        cells = "".join(
            f"<td{_class(_cell_class(cell))}>{escape(shown(cell))}</td>" for cell in row
        )
        lines.append(f"<tr{_class(kind)}>{cells}</tr>")
    name = f"<caption>{escape(caption)}</caption>" if caption else ""
    # A box that scrolls must be reachable without a pointer.
    return Html(
        f'<div class="table" tabindex="0"><table>{name}<thead><tr>{titles}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def shown(value: object) -> str:
    """A cell as text: floats with five significant digits, sequences with commas."""
    if isinstance(value, float | np.floating):
        return f"{value:.5g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value))
    return "" if value is None else str(value)


def picture(pixels: NDArray[np.uint8], name: str, caption: Sequence[str] = ()) -> Html:
    """An image `[H, W, C]` of one, three or four channels, reduced to what a page shows.

    Args:
      pixels: of the image; of other numbers of channels the first one is shown.
      name: for screen readers.
      caption: lines below it.
    """
    channels = pixels.shape[-1]
    image = Image.fromarray(pixels if channels in (3, 4) else pixels[..., 0])
    image.thumbnail((_LARGEST_PICTURE, _LARGEST_PICTURE))
    content = io.BytesIO()
    image.save(content, "PNG")
    kind = "small" if max(image.size) <= _SMALL_PICTURE else ""
    lines = "<br>".join(map(escape, caption))
    below = f"<figcaption>{lines}</figcaption>" if lines else ""
    return Html(
        f'<figure><img{_class(kind)} width="{image.width}" height="{image.height}" '
        f'src="{data_uri(content.getvalue(), "image/png")}" alt="{escape(name)}">{below}</figure>'
    )


def film(content: bytes, media_type: str, name: str, caption: str) -> Html:
    """A GIF, or a video that loops without sound."""
    source = f'src="{data_uri(content, media_type)}"'
    if media_type.startswith("image/"):
        shown_film = f'<img {source} alt="{escape(name)}">'
    else:
        label = f'aria-label="{escape(name)}"'
        shown_film = f"<video {source} {label} controls autoplay muted loop playsinline></video>"
    return Html(f"<figure>{shown_film}<figcaption>{escape(caption)}</figcaption></figure>")


def data_uri(content: bytes, media_type: str) -> str:
    """The address of content that is part of the page."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _render(part: Part, numbers: Iterator[int]) -> str:
    if isinstance(part, Group):
        content = "".join(_render(each, numbers) for each in part.parts)
        return f'<div class="{part.kind}">{content}</div>'
    if isinstance(part, Html):
        return part
    name = f"chart-{next(numbers)}"
    return (
        f"<figure><figcaption>{escape(part.title)}</figcaption>"
        f'<div class="plot" id="{name}" role="img" aria-label="{escape(part.name)}" '
        f'style="height: {part.height}px"></div>'
        f'<script type="application/json" id="{name}-data">{part.to_json()}</script></figure>'
    )


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _cell_class(*cells: Any) -> str:
    """The class of a cell, or of a column's heading."""
    if len(cells) == 1 and isinstance(cells[0], str):
        return "long" if len(cells[0]) > _LONG_CELL else ""
    present = [cell for cell in cells if cell is not None]
    is_number = present and all(isinstance(cell, int | float | np.number) for cell in present)
    return "number" if is_number else ""
