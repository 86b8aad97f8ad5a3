"""How reports look: one style sheet, light and dark by the reader's setting, from 320 px upwards."""

STYLE = """
:root{color-scheme:light dark;--ink:#1c1e21;--paper:#fbfbfa;--card:#fff;--quiet:#5f6670;--line:#e1e3e6;
--good:#1f8a57;--bad:#c8553d;--accent:#2f5fd0;--heat:47 95 208}
@media(prefers-color-scheme:dark){
:root{--ink:#e8e9eb;--paper:#14161a;--card:#1c1f24;--quiet:#9aa3b0;--line:#31363e;--good:#4fbf87;--bad:#e0806a;
--accent:#7ea2f5;--heat:90 130 230}}*{box-sizing:border-box}
body{margin:0;font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
main{max-width:72rem;margin:0 auto;padding:1.5rem 1rem 4rem}h1,h2,.quiet{overflow-wrap:anywhere}
h1{font-size:1.7rem;margin:0}h2{font-size:1.25rem;margin:2.6rem 0 .5rem}h3{font-size:1rem;margin:1.4rem 0 .4rem}
.quiet,small{color:var(--quiet)}.quiet{margin:.2rem 0 .8rem}nav{display:flex;flex-wrap:wrap;gap:.3rem 1.1rem}
nav a{color:var(--accent);text-decoration:none}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,9.5rem),1fr));gap:.7rem;margin:1.2rem 0}
.card{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.7rem 1rem;
overflow-wrap:anywhere}.card b{display:block;font-size:1.55rem;font-variant-numeric:tabular-nums}
.card span,.card small{display:block}.scroll{overflow-x:auto}.scroll+.scroll,.scroll+.quiet{margin-top:1.2rem}
h4{font-size:.95rem;margin:1rem 0 .3rem}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;
font-size:.95rem}th,td{text-align:left;padding:.35rem .5rem;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--quiet);font-weight:500;white-space:nowrap}.number{text-align:right;white-space:nowrap}
th.group{text-align:center;border-left:1px solid var(--line)}
td.text{text-align:left;white-space:normal;overflow-wrap:anywhere}.recipe{columns:22rem;column-gap:2rem}
.recipe>.scroll{break-inside:avoid;margin:0 0 1.2rem}.recipe td{overflow-wrap:anywhere;width:50%}
.bar{min-width:5rem;height:.75rem;margin-top:.35rem;background:var(--line);border-radius:.4rem;overflow:hidden}
.bar div{height:100%}.good{background:var(--good)}.bad{background:var(--bad)}.plain{background:var(--accent)}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20rem),1fr));gap:.8rem}figure{margin:0}
.chart{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.6rem .7rem}
.chart figcaption{color:var(--ink)}.chart svg{width:100%;height:auto;display:block}
.chart text{font-size:12px;fill:var(--quiet)}.chart .value{fill:var(--ink);font-weight:600}.grid{stroke:var(--line)}
.line{fill:none;stroke:var(--accent);stroke-width:2;stroke-linejoin:round}.end{fill:var(--accent)}
.query{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.8rem 1rem;margin:.7rem 0}
q{font-size:1.05rem;overflow-wrap:anywhere}.found{display:flex;flex-wrap:wrap;gap:.6rem;margin-top:.6rem}
.found figure{width:7.4rem}
.found img,.asked img{width:100%;aspect-ratio:1;object-fit:contain;display:block;background:var(--paper);
border-radius:.4rem;border:3px solid transparent}.found .right img{border-color:var(--good)}
.found .missed img{border:3px dashed var(--bad)}
figcaption{font-size:.85rem;color:var(--quiet);overflow-wrap:anywhere}
.found .right figcaption,.right>b{color:var(--good);font-weight:600}.found .missed figcaption{color:var(--bad)}
.asked{display:flex;gap:1rem}.asked>figure{flex:0 0 7.4rem}.asked>div{min-width:0;overflow-wrap:anywhere}
.asked ol{margin:0;padding-left:1.4rem}.asked p{margin:.3rem 0 0}
.none{color:var(--quiet);padding:2rem 0;text-align:center}
.drawn{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,15rem),1fr));gap:.8rem;margin:.7rem 0}
.drawn>figure{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.7rem;min-width:0}
.drawn img,.scene img,.maps img{width:100%;height:auto;display:block;border-radius:.4rem}
.drawn figcaption{margin-top:.5rem}.drawn figcaption p{margin:0 0 .2rem}
.drawn q,.drawn figcaption p>b{color:var(--ink);font-size:.95rem}.drawn ul{list-style:none;margin:0;padding:0}
.drawn li{display:flex;gap:.4rem;justify-content:space-between}.drawn li span+span{white-space:nowrap}
.verdict{font-weight:600}.yes,.yes>b{color:var(--good)}.no,.no>b{color:var(--bad)}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;color:var(--quiet);margin:.2rem 0 .8rem}
.legend i{display:inline-block;width:1rem;height:.8rem;border:3px solid;outline:1px solid #202020;outline-offset:0;
margin-right:.4rem;vertical-align:-.05rem;background:#8886}
.aligned{display:grid;grid-template-columns:minmax(0,15rem) minmax(0,1fr);gap:1rem;margin-top:.6rem}
.heat{width:auto}
.heat th{white-space:normal;min-width:3.4rem;max-width:9rem;vertical-align:bottom;overflow-wrap:anywhere}
.heat td{text-align:right;background:rgb(var(--heat)/calc(var(--part)*.55))}
.maps{display:flex;flex-wrap:wrap;gap:.6rem}.maps figure{width:8.5rem;flex:none}.maps figcaption{margin-top:.2rem}
details{margin-top:.8rem}summary{cursor:pointer;color:var(--accent);overflow-wrap:anywhere}
@media(max-width:32rem){.asked{flex-direction:column;gap:.4rem}.asked>figure{flex:none;width:9rem}
.aligned{grid-template-columns:minmax(0,1fr)}.maps{flex-wrap:nowrap;overflow-x:auto}
.found figure{width:calc(33.3% - .4rem)}.drawn{grid-template-columns:repeat(2,minmax(0,1fr));gap:.6rem}
.drawn>figure{padding:.5rem}.query{padding:.6rem .7rem}h1{font-size:1.4rem}th,td{padding:.3rem .4rem}
.card{padding:.6rem .7rem}.cards{grid-template-columns:repeat(2,minmax(0,1fr))}}
"""
