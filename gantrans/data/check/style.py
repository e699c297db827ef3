"""The style of the contact sheet: light and dark, from 400 px on, without anything from outside."""

STYLE = """
:root {
  --ground: #f7f7f5; --card: #fff; --ink: #1b1d1f; --quiet: #5b6268; --line: #cfd3d6; --well: #e4e6e7;
  --good: #00694c; --warning: #8a5a00; --refused: #a82410; --note: #14507d; --bar: #0072b2;
  font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #17191b; --card: #202326; --ink: #eceded; --quiet: #a4abb1; --line: #3d4348; --well: #0e0f10;
    --good: #4fd0a5; --warning: #f0b94a; --refused: #ff8a76; --note: #7cc0f0; --bar: #62bdf5;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 80rem; padding: 1rem; background: var(--ground); color: var(--ink); }
h1 { font-size: 1.4rem; line-height: 1.25; margin: 0 0 .2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 0 0 .6rem; }
p { margin: 0 0 .4rem; max-width: 52rem; overflow-wrap: anywhere; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.2rem;
  margin-bottom: 1rem; }
.quiet { color: var(--quiet); }
.verdict { font-size: 1.1rem; font-weight: 600; }
.good { color: var(--good); } .warning { color: var(--warning); } .refused { color: var(--refused); }
.note { color: var(--note); } .accepted { color: var(--quiet); }
.finding { border-left: 5px solid; padding: .1rem 0 .1rem .8rem; margin-bottom: 1rem; }
.finding > * { color: var(--ink); }
.finding > h3 { margin: 0 0 .3rem; font-size: 1rem; color: inherit; }
dl { display: grid; grid-template-columns: 4.5rem minmax(0, 1fr); gap: .15rem .6rem; margin: 0;
  max-width: 58rem; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); gap: 1rem; }
.sides h3 { margin: 0 0 .2rem; font-size: 1rem; }
.sides svg { display: block; width: 100%; max-width: 26rem; height: auto; }
.sides rect { fill: var(--bar); } .sides line { stroke: var(--quiet); }
.sides text { fill: var(--quiet); font-size: 12px; }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(22rem, 100%), 1fr)); gap: .9rem; }
figure { margin: 0; min-width: 0; }
figure img { width: 100%; display: block; border-radius: 6px; background: var(--well);
  image-rendering: pixelated; }
figcaption { overflow-wrap: anywhere; line-height: 1.3; padding-top: .2rem; }
.marked img { outline: 3px solid var(--warning); outline-offset: 1px; }
code { font: .92em/1.4 ui-monospace, "DejaVu Sans Mono", monospace; }
@media (max-width: 480px) {
  body { padding: .5rem; } section { padding: .8rem; }
  dl { grid-template-columns: minmax(0, 1fr); } dt { margin-top: .2rem; }
}
"""
