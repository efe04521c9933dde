#include "train/report/style.hpp"

namespace rw::report {

// Colours of lines: distinct to all common kinds of colour vision and at least 3:1 against their ground; text at least
// 4.5:1. On paper the light ones hold.
const std::string_view kStyle = R"(
:root {
  color-scheme: light dark;
  --ground: #ffffff; --panel: #f5f6f8; --text: #1c1f23; --quiet: #59616b; --rule: #dde1e6; --grid: #e6e9ed;
  --c0: #0060a8; --c1: #c4501b; --c2: #00805a; --c3: #ad3f7a; --c4: #1c1f23; --c5: #8a6a00;
  --good: #00734f; --neutral: #0060a8; --warning: #8a6a00; --bad: #b3261e; --accent: #fff3c4;
  --faint: .45;
  --h0: #f5f6f8; --h1: #e0edf9; --h2: #c6dff5; --h3: #a9cff0; --h4: #8abeea; --h5: #68ace4;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ground: #14171a; --panel: #1d2125; --text: #e6e8ea; --quiet: #a1a9b3; --rule: #343a41; --grid: #2a3036;
    --c0: #5fb0f2; --c1: #ff8d57; --c2: #37c894; --c3: #ee8bbf; --c4: #e6e8ea; --c5: #dfb63a;
    --good: #37c894; --neutral: #5fb0f2; --warning: #dfb63a; --bad: #ff8a80; --accent: #453b12;
    --faint: .65;
    --h0: #1d2125; --h1: #172e42; --h2: #123a5b; --h3: #0d4674; --h4: #07528d; --h5: #005da5;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
main { max-width: 1120px; margin: 0 auto; padding: 24px 20px 48px; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 40px 0 12px; padding-bottom: 4px; border-bottom: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 20px 0 8px; overflow-wrap: anywhere; }
p { margin: 8px 0; max-width: 75ch; overflow-wrap: anywhere; }
.quiet, figcaption span, .about { color: var(--quiet); font-size: .9rem; }
code, pre { font: .875rem/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
pre {
  background: var(--panel); border: 1px solid var(--rule); border-radius: 6px; padding: 12px 14px; margin: 8px 0;
  white-space: pre-wrap; overflow-wrap: anywhere;
}
.verdict { border-left: 4px solid var(--neutral); background: var(--panel); padding: 8px 16px; margin: 16px 0; }
.verdict h3 { margin-top: 4px; }
.verdict p { margin: 4px 0; max-width: none; }
.verdict strong { color: var(--neutral); }
.verdict.good { border-color: var(--good); } .verdict.good strong { color: var(--good); }
.verdict.warning { border-color: var(--warning); } .verdict.warning strong { color: var(--warning); }
.verdict.bad { border-color: var(--bad); } .verdict.bad strong { color: var(--bad); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: 4px 12px 4px 4px; border-bottom: 1px solid var(--rule); }
thead th { color: var(--quiet); font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 400; color: var(--quiet); white-space: nowrap; }
td { min-width: 5em; }
.number { text-align: right; }
td.number { white-space: nowrap; }
.accent { background: var(--accent); }
td.accent { font-weight: 600; }
.heat td, .heat th { padding: 6px 10px; text-align: right; white-space: nowrap; }
.heat td { min-width: 4.5em; border: 2px solid var(--ground); }
.h0 { background: var(--h0); } .h1 { background: var(--h1); } .h2 { background: var(--h2); }
.h3 { background: var(--h3); } .h4 { background: var(--h4); } .h5 { background: var(--h5); }
details { margin: 8px 0; }
summary { cursor: pointer; color: var(--quiet); padding: 4px 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 430px), 1fr)); gap: 28px 32px; }
figure { margin: 0; min-width: 0; break-inside: avoid; }
figcaption { font-weight: 600; }
figcaption span { font-weight: 400; }
figure svg { display: block; width: 100%; height: auto; }
figure svg:not(.plot) { overflow: visible; }
.legend { list-style: none; margin: 2px 0 6px; padding: 0; display: flex; flex-wrap: wrap; gap: 0 16px; }
.legend li { font-size: .85rem; overflow-wrap: anywhere; }
.legend svg { display: inline-block; width: 22px; height: 12px; margin-right: 6px; vertical-align: -1px; }
.legend b { font-weight: 600; font-variant-numeric: tabular-nums; }
svg text { fill: var(--quiet); font-size: 13px; font-family: inherit; font-variant-numeric: tabular-nums; }
.grid path { stroke: var(--grid); stroke-width: 1; vector-effect: non-scaling-stroke; fill: none; }
polyline, .legend path {
  fill: none; stroke-width: 1.75; vector-effect: non-scaling-stroke; stroke-linejoin: round; stroke-linecap: round;
}
polyline.faint { stroke-width: 1; stroke-opacity: var(--faint); }
.legend path.faint { stroke-width: 1; stroke-opacity: .8; }
.c0 { stroke: var(--c0); } circle.c0 { fill: var(--c0); }
.c1 { stroke: var(--c1); } circle.c1 { fill: var(--c1); }
.c2 { stroke: var(--c2); } circle.c2 { fill: var(--c2); }
.c3 { stroke: var(--c3); } circle.c3 { fill: var(--c3); }
.c4 { stroke: var(--c4); } circle.c4 { fill: var(--c4); }
.c5 { stroke: var(--c5); } circle.c5 { fill: var(--c5); }
.dash1 { stroke-dasharray: 6 4; } .dash2 { stroke-dasharray: 2 4; } .dash3 { stroke-dasharray: 9 3 2 3; }
.pick { position: absolute; opacity: 0; pointer-events: none; }
.picks { display: flex; flex-wrap: wrap; gap: 8px 20px; margin: 0 0 16px; }
.picks div { display: flex; flex-wrap: wrap; align-items: center; gap: 4px; }
.picks span { color: var(--quiet); font-size: .9rem; margin-right: 4px; }
.picks label {
  border: 1px solid var(--rule); border-radius: 6px; padding: 2px 10px; font-size: .9rem; cursor: pointer;
}
#x-step:checked ~ .picks label[for=x-step], #x-tokens:checked ~ .picks label[for=x-tokens],
#x-time:checked ~ .picks label[for=x-time], #y-linear:checked ~ .picks label[for=y-linear],
#y-log:checked ~ .picks label[for=y-log] { background: var(--text); border-color: var(--text); color: var(--ground); }
#x-step:focus-visible ~ .picks label[for=x-step], #x-tokens:focus-visible ~ .picks label[for=x-tokens],
#x-time:focus-visible ~ .picks label[for=x-time], #y-linear:focus-visible ~ .picks label[for=y-linear],
#y-log:focus-visible ~ .picks label[for=y-log] { outline: 2px solid var(--c0); outline-offset: 2px; }
#x-step:checked ~ .charts :is(.by-tokens, .by-time), #x-tokens:checked ~ .charts :is(.by-step, .by-time),
#x-time:checked ~ .charts :is(.by-step, .by-tokens), #y-linear:checked ~ .charts .log,
#y-log:checked ~ .charts .linear { display: none; }
@media (max-width: 600px) {
  main { padding: 16px 14px 40px; }
  svg text { font-size: 15px; }
  table { font-size: .78rem; }
  th, td { padding: 4px 5px 4px 3px; }
  thead th { white-space: normal; vertical-align: bottom; }
  td { min-width: 4em; overflow-wrap: anywhere; }
  .number { min-width: 0; padding-left: 0; }
}
@media print {
  @page { margin: 14mm; }
  body { font-size: 10.5pt; }
  svg text { font-size: 15px; }
  main { max-width: none; padding: 0; }
  .picks { display: none; }
  .charts { grid-template-columns: 1fr 1fr; gap: 14px 20px; }
  h2 { break-after: avoid; margin-top: 20px; }
  .verdict, pre, .heat td, .legend path, circle { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  tr { break-inside: avoid; }
}
)";

}  // namespace rw::report
