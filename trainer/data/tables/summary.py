"""What was inferred of a table, as lines for a terminal."""

from collections.abc import Mapping

from trainer.data.tables.types import Census, shortened

_WIDTH = 80
_MOST_ROWS = 36
_MOST_NAME = 28


def summary(types: Mapping[str, str], censuses: Mapping[str, Census], rows: int) -> str:
    """A table of columns, types, missing and distinct cells and an example of each.

    Args:
      types: of each column by its name, in order.
      censuses: of their cells.
      rows: of the training split.

    Returns:
      Lines of at most 80 characters, at most 40 of them.
    """
    table = [("column", "type", "missing", "distinct", "example")]
    for name in list(types)[:_MOST_ROWS]:
        census = censuses[name]
        table.append(
            (
                shortened(name, _MOST_NAME),
                types[name],
                str(census.missing),
                census.distinct,
                shortened(census.example),
            )
        )
    widths = [max(len(row[column]) for row in table) for column in range(4)]
    lines = [f"columns of the {rows} training rows:"]
    for name, kind, missing, distinct, example in table:
        line = (
            f"  {name:{widths[0]}}  {kind:{widths[1]}}  {missing:>{widths[2]}}  "
            f"{distinct:>{widths[3]}}  {example}"
        ).rstrip()
        lines.append(line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…")
    if len(types) > _MOST_ROWS:
        lines.append(f"  and {len(types) - _MOST_ROWS} more")
    return "\n".join(lines)
