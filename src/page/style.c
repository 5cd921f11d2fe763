/* style.c - how reports look; see html.h. */
#include "page/html.h"

/* Both themes: colours that are told apart without red and green, and at 3:1
   at least against their ground. */
const char oc__page_svg_css[] =
    ":root{--ground:#fff;--ink:#1c2733;--soft:#5b6b7b;--line:#dfe5eb;"
    "--train:#7b93ad;--val:#0b62c4;--rate:#8a5a00;--good:#0b62c4;"
    "--gap:#d9480f}"
    "@media(prefers-color-scheme:dark){:root{--ground:#10161d;--ink:#e6edf3;"
    "--soft:#9aa9b8;--line:#2a3541;--train:#71869c;--val:#5cb3ff;"
    "--rate:#f0b64a;--good:#5cb3ff;--gap:#ff9466}}"
    "@media print{:root{--ground:#fff;--ink:#000;--soft:#444;--line:#ccc;"
    "--train:#7b93ad;--val:#0b62c4;--rate:#8a5a00;--good:#0b62c4;"
    "--gap:#d9480f}}"
    "svg text{font:12px system-ui,sans-serif;fill:var(--soft);"
    "font-variant-numeric:tabular-nums}"
    "svg .name{font-weight:600;fill:var(--ink);font-size:14px}"
    "svg .fact{fill:var(--ink)}"
    "svg .grid{stroke:var(--line);stroke-width:1}"
    "svg .train{stroke:var(--train)}svg .val{stroke:var(--val)}"
    "svg .rate{stroke:var(--rate)}"
    "svg text.train{fill:var(--train);stroke:none}"
    "svg text.val{fill:var(--val);stroke:none;font-weight:600}"
    "svg text.rate{fill:var(--rate);stroke:none}"
    "svg .curve{fill:none;stroke-width:2;stroke-linejoin:round;"
    "stroke-linecap:round}"
    "svg circle.val{fill:var(--ground);stroke-width:2}"
    "svg .best{stroke:var(--soft);stroke-dasharray:3 4}"
    "svg .bar{fill:var(--good)}svg .over{fill:var(--gap)}"
    "svg .even{stroke:var(--soft);stroke-dasharray:4 4;fill:none}";

const char oc__page_css[] =
    "*{box-sizing:border-box}html{color-scheme:light dark}"
    "body{margin:0;background:var(--ground);color:var(--ink);"
    "font:16px/1.5 system-ui,-apple-system,\"Segoe UI\",sans-serif}"
    "main{max-width:1120px;margin:0 auto;padding:40px 24px 80px}"
    "h1{font-size:30px;line-height:1.2;margin:0;letter-spacing:-.01em;"
    "overflow-wrap:anywhere}"
    "h2{font-size:19px;margin:48px 0 4px}"
    ".sub,.note{color:var(--soft);margin:4px 0 0}.note{font-size:14px}"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(124px,"
    "1fr));border:1px solid var(--line);"
    "border-radius:10px;overflow:hidden;margin:28px 0 0}"
    ".tiles div{box-shadow:1px 1px 0 var(--line);padding:14px 18px}"
    ".tiles dt{color:var(--soft);font-size:13px}"
    ".tiles dd{margin:0;font-size:25px;font-weight:600;"
    "font-variant-numeric:tabular-nums}"
    ".charts{display:grid;grid-template-columns:repeat(auto-fit,"
    "minmax(min(100%,440px),1fr));gap:16px 24px;margin-top:12px}"
    "svg{width:100%;height:auto;display:block}"
    ".charts .all{grid-column:1/-1}"
    "@media(max-width:640px){"
    "th,td{padding:5px 7px}.wide .bar,.wide thead th:last-child{display:none}"
    ".recipe.wide thead th:last-child{display:table-cell}}"
    ".scroll{overflow-x:auto;margin-top:12px}"
    "table{border-collapse:collapse;font-size:14px;"
    "font-variant-numeric:tabular-nums}"
    "th,td{padding:5px 12px;text-align:right;white-space:nowrap}"
    "th{font-weight:600}thead th{color:var(--soft);font-weight:500;"
    "border-bottom:1px solid var(--line)}"
    "tbody th,th:first-child{text-align:left}.wide{width:100%}"
    ".wide tbody tr+tr>*{border-top:1px solid var(--line)}"
    ".bar{width:34%;min-width:120px}.bar i{display:block;height:8px;"
    "border-radius:4px;background:var(--good);min-width:2px;"
    "print-color-adjust:exact;-webkit-print-color-adjust:exact}"
    ":root{--faint:#f4f6f8}@media(prefers-color-scheme:dark)"
    "{:root{--faint:#18202a}}@media print{:root{--faint:#f4f6f8}}"
    ".recipe th{vertical-align:top}.recipe td{text-align:left;"
    "white-space:normal}.recipe td+td{color:var(--soft)}"
    "pre{background:var(--faint);border:1px solid var(--line);"
    "border-radius:8px;padding:12px 16px;overflow-x:auto;font-size:14px;"
    "white-space:pre-wrap;overflow-wrap:anywhere}"
    "footer{margin-top:64px;color:var(--soft);font-size:13px}"
    "@media print{main{padding:0;max-width:none}h2{break-after:avoid}"
    "table,svg{break-inside:avoid}.scroll{overflow:visible}}";

void oc__page_begin(oc__page *p, const char *title, const char *subtitle,
                    const char *css, int running) {
    oc__page_text(p, "<!DOCTYPE html>\n<html lang=\"en\"><head>"
                     "<meta charset=\"utf-8\"><meta name=\"viewport\" "
                     "content=\"width=device-width,initial-scale=1\">");
    if (running)
        oc__page_text(p, "<meta http-equiv=\"refresh\" content=\"10\">");
    oc__page_text(p, "<title>");
    oc__page_escaped(p, title);
    oc__page_text(p, "</title><style>");
    oc__page_text(p, oc__page_svg_css);
    oc__page_text(p, oc__page_css);
    if (css) oc__page_text(p, css);
    oc__page_text(p, "</style></head>\n<body><main><h1>");
    oc__page_escaped(p, title);
    oc__page_text(p, running ? " \xe2\x80\x93 running</h1>" : "</h1>");
    if (subtitle) {
        oc__page_text(p, "<p class=\"sub\">");
        oc__page_escaped(p, subtitle);
        oc__page_text(p, "</p>\n");
    }
}

void oc__page_end(oc__page *p) {
    oc__page_print(p,
                   "<footer>Made by ocelli %s.</footer></main></body>"
                   "</html>\n",
                   oc_version());
}
