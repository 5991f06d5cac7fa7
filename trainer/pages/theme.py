"""The style sheet of a page, and the script that draws its charts.

A chart names its colors as `var(--name)`. The script replaces these with the values of the style
sheet, and draws again when the system changes between light and dark.
"""

# Distinct without color vision (Okabe and Ito, 2008), with the contrast that each background needs.
_LIGHT = ("#0072b2", "#c04f00", "#00795a", "#a8477f", "#8a6d00", "#3d4fa8", "#5b5b5b", "#1787b8")
_DARK = ("#56a8e8", "#ff9147", "#3ccf9f", "#e08fc0", "#e0c040", "#93a2ff", "#b5b5b5", "#7cd0ff")
SERIES = len(_LIGHT)


def _palette(colors: tuple[str, ...]) -> str:
    return "".join(
        f"--series-{number}: {color}; --band-{number}: {color}33; "
        for number, color in enumerate(colors)
    )


STYLE = f"""
:root {{ color-scheme: light dark; --paper: #ffffff; --panel: #f5f7f9; --text: #1c2733;
  --muted: #55626f; --line: #d8dfe6; --heat-low: #f5f7f9; --heat-high: #0072b2; --warn: #a33a00;
  {_palette(_LIGHT)} }}
@media (prefers-color-scheme: dark) {{ :root {{ --paper: #14181d; --panel: #1d232a;
  --text: #e4e9ee; --muted: #a3afba; --line: #39434d; --heat-low: #1d232a; --heat-high: #2f8fd6;
  --warn: #ffae80; {_palette(_DARK)} }} }}
"""
STYLE += """
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--paper);
  max-width: 68rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .6rem; padding-top: .8rem;
  border-top: 1px solid var(--line); }
p { margin: .4rem 0; max-width: 46rem; } .note { color: var(--muted); }
.warning { color: var(--warn); }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin-top: .8rem; font-size: .9rem; }
a { color: var(--series-0); }
code, pre { font: .85rem/1.5 ui-monospace, monospace; }
pre { background: var(--panel); padding: .7rem .9rem; overflow-x: auto; border-radius: 6px; }
.table { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; }
caption, figcaption { text-align: left; font-weight: 600; font-size: .95rem; padding: .3rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem 1.2rem .3rem 0;
  border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; }
th { color: var(--muted); font-weight: 600; } .number { text-align: right; }
td { max-width: 28rem; } td { white-space: nowrap; }
td.long { white-space: normal; min-width: 16rem; }
summary { cursor: pointer; padding: .4rem 0; }
tr.strong td { font-weight: 700; } tr.bad td { color: var(--warn); }
.grid { display: grid; gap: 1rem 1.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
figure { margin: .8rem 0; min-width: 0; } .plot { width: 100%; overflow: hidden; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; } .pictures figure { margin: 0; }
.pictures figcaption { font-weight: 400; font-size: .8rem; line-height: 1.35; max-width: 10rem; }
img, video { max-width: 100%; height: auto; background: var(--panel); border-radius: 4px; }
.pictures img { width: 8rem; } img.small { image-rendering: pixelated; }
"""

SCRIPT = """
'use strict';
const charts = [...document.querySelectorAll('.plot')].map(place => ({
  place, figure: JSON.parse(document.getElementById(place.id + '-data').textContent) }));
function colored(value, style) {
  if (typeof value === 'string') {
    const name = /^var\\((--[\\w-]+)\\)$/.exec(value);
    return name ? style.getPropertyValue(name[1]).trim() || value : value;
  }
  if (Array.isArray(value)) return value.map(item => colored(item, style));
  if (value === null || typeof value !== 'object') return value;
  const items = Object.entries(value).map(([key, item]) => [key, colored(item, style)]);
  return Object.fromEntries(items);
}
function draw() {
  const style = getComputedStyle(document.documentElement);
  for (const { place, figure } of charts) {
    const { data, layout } = colored(figure, style);
    Plotly.react(place, data, layout, { displayModeBar: false, responsive: true });
  }
}
draw();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
"""
