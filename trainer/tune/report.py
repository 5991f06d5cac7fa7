"""The report of a search: a self-contained HTML page."""

from collections import Counter
from html import escape

from trainer.io import files
from trainer.tune import figures
from trainer.tune.importance import importance
from trainer.tune.outcome import TrialStatus
from trainer.tune.space import to_text
from trainer.tune.study import Study
from trainer.tune.trial import Trial, ranked

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2733; max-width: 1000px;
  margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; margin-bottom: 0.2em; } h2 { font-size: 1.1em; margin-top: 2em; }
p.note { color: #5a6876; margin-top: 0; }
code, td { font-family: ui-monospace, monospace; font-size: 13px; }
pre { background: #f3f5f8; padding: 0.8em; overflow-x: auto; }
svg { width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: #1c2733; }
svg .halo { paint-order: stroke; stroke: white; stroke-width: 3px; }
svg .grid { stroke: #e3e8ee; } svg .axis { stroke: #5a6876; } svg .bar { fill: hsl(215 60% 45%); }
svg .best { fill: none; stroke: #d9822b; stroke-width: 2; } svg .trial { fill: none; }
svg .trial:hover { stroke: #d9822b; opacity: 1; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 0.25em 0.8em 0.25em 0; border-bottom: 1px solid #e3e8ee;
  vertical-align: top; white-space: nowrap; }
td.reason { white-space: normal; min-width: 16em; } tr.first td { font-weight: 600; }
tr.failed td, tr.refused td { color: #a33; }
"""


def write(study: Study) -> None:
    """Writes the report of a search; it may still be running."""
    files.write_text(study.layout.report, page(study))


def ranking(study: Study) -> list[Trial]:
    """Returns the finished trials, best first, then stopped, failed, refused and open ones."""
    order = (
        *(TrialStatus.STOPPED, TrialStatus.FAILED, TrialStatus.REFUSED),
        *(TrialStatus.RUNNING, TrialStatus.WAITING),
    )
    sign = -1 if study.search.objective.direction == "max" else 1
    others = [trial for trial in study.trials.values() if trial.status is not TrialStatus.FINISHED]
    others.sort(key=lambda trial: (order.index(trial.status), sign * (trial.score or 0.0)))
    return [*ranked(study.trials.values(), study.search.objective), *others]


def page(study: Study) -> str:
    """Returns the HTML of the report."""
    scored = [trial for trial in study.trials.values() if trial.score is not None]
    scored.sort(key=lambda trial: trial.ended)
    objective = study.search.objective
    sections = [_heading(study)]
    if scored:
        length = max(trial.fraction for trial in scored)
        longest = [trial for trial in scored if trial.fraction == length]
        sections += [
            "<h2>Best score so far</h2>",
            figures.best_so_far(longest, objective),
            "<h2>Hyperparameters and scores</h2>",
            '<p class="note">One line per trial; darker lines are better. Hover for details.</p>',
            figures.parallel_coordinates(scored, study.search.space, objective),
        ]
        importances = importance(scored, study.search.space)
        if importances:
            sections += [
                "<h2>Importance of hyperparameters</h2>",
                '<p class="note">Permutation importance in a random forest that predicts the '
                f"rank of a trial; a rough estimate from {len(scored)} trials.</p>",
                figures.importance_bars(importances),
            ]
    sections += ["<h2>Trials</h2>", _table(study)]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Search in {escape(study.layout.root.name)}</title><style>{_STYLE}</style>"
        f"{''.join(sections)}</html>\n"
    )


def _heading(study: Study) -> str:
    search = study.search
    counts = Counter(trial.status for trial in study.trials.values())
    counted = ", ".join(f"{number} {status}" for status, number in counts.items())
    text_parts = [
        f"<h1>Search in {escape(study.layout.root.name)}</h1>",
        f'<p class="note">{escape(search.objective.name)}, '
        f"{'higher' if search.objective.direction == 'max' else 'lower'} is better; "
        f"{type(search.oracle).__name__} oracle, seed {search.seed}"
        f"{f', mean of {search.executions} seeds' if search.executions > 1 else ''}; "
        f"trials: {counted or 'none yet'}.</p>",
    ]
    best = study.best
    if best is not None:
        root = escape(str(study.layout.root))
        text_parts.append(
            f"<p>The best trial is {best.id} with {escape(search.objective.name)} "
            f"<b>{best.score:.5g}</b>:</p><pre>trainer train --config={root}/best/config.json "
            f"--workdir={root}/best/run</pre>"
        )
    return "".join(text_parts)


def _table(study: Study) -> str:
    paths = [dimension.path for dimension in study.search.space]
    head = ["trial", "status", study.search.objective.name, "seconds", *paths, ""]
    rows = [f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr>"]
    for number, trial in enumerate(ranking(study)):
        is_best = not number and trial.status is TrialStatus.FINISHED
        row_class = f"{trial.status} first" if is_best else str(trial.status)
        parent = f"resumes {trial.parent}. " if trial.parent else ""
        if trial.baseline:
            parent = "the configuration as given. "
        cells = [
            trial.id,
            str(trial.status),
            "" if trial.score is None else f"{trial.score:.5g}",
            f"{trial.ended - trial.started:.0f}" if trial.ended else "",
            *(_shown(trial, path) for path in paths),
        ]
        row = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        reason = f'<td class="reason">{escape(parent + trial.reason)}</td>'
        rows.append(f'<tr class="{row_class}">{row}{reason}</tr>')
    return f'<div class="wide"><table>{"".join(rows)}</table></div>'


def _shown(trial: Trial, path: str) -> str:
    value = trial.values.get(path)
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else to_text(value)
