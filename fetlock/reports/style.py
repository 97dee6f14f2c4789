"""How a report looks: on a phone, on a wide screen, on paper, in the light and in the dark."""

CSS = """
:root { --ink: #17191c; --soft: #565c64; --pale: #a6abb2; --grid: #e4e6e9; --paper: #ffffff; --card: #f5f6f8;
  --good: #00704f; --bad: #b84300; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ink: #e9ebee; --soft: #a9b0b8; --pale: #757c85; --grid: #33383e; --paper: #16181b;
  --card: #202327; --good: #3ecf9f; --bad: #ff8f4d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem 1rem 3rem; max-width: 68rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.7rem; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 2.2rem 0 .6rem; font-size: 1.15rem; border-bottom: 1px solid var(--grid); padding-bottom: .25rem; }
p { margin: .3rem 0 .6rem; max-width: 48rem; } .soft, figcaption { color: var(--soft); font-size: .88rem; }
.good { color: var(--good); } .bad { color: var(--bad); } .good, .bad { font-weight: 600; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(7.4rem, 1fr)); gap: .6rem; margin: 1rem 0; }
.card { background: var(--card); border-radius: .6rem; padding: .6rem .8rem; }
.card b { display: block; font-size: 1.45rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr)); gap: .8rem; }
.film { max-width: 34rem; }
figure { margin: 0 0 .6rem; break-inside: avoid; min-width: 0; } .wide { overflow-x: auto; } .wide svg { min-width: 38rem; }
svg { display: block; width: 100%; height: auto; } svg text { fill: var(--ink); }
video { display: block; width: 100%; border-radius: .5rem; background: var(--card); }
.films { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .6rem; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .28rem .8rem .28rem 0; border-bottom: 1px solid var(--grid); vertical-align: top;
  overflow-wrap: anywhere; }
th { font-weight: 500; color: var(--soft); } th:first-child { min-width: 7rem; } .right { text-align: right; }
details { margin-top: .8rem; } summary { cursor: pointer; color: var(--soft); }
pre { background: var(--card); border-radius: .5rem; padding: .8rem; overflow-x: auto; font-size: .8rem; }
footer { margin-top: 2.5rem; }
@media print { :root { --ink: #000; --soft: #444; --pale: #999; --grid: #ddd; --paper: #fff; --card: #f3f3f3;
  --good: #00704f; --bad: #b84300; }
  body { max-width: none; padding: 0; font-size: 11px; } h2 { break-after: avoid; } details, video, .films { display: none; }
  .grid { grid-template-columns: 1fr 1fr; } .wide { overflow: visible; } .wide svg { min-width: 0; } }
""".strip()
