// dom.js - making and finding elements, without markup in strings.

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [
  ...root.querySelectorAll(selector),
];

/** el("td", {class: "number"}, "12", child): null children are left out. */
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined)
      node.setAttribute(key, value);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
}

/** A bar for a share of 0 to 1; the number beside it is for everybody. */
export function meter(share, color) {
  const fill = el("span", { class: "fill" });
  fill.style.inlineSize = `${100 * Math.min(1, Math.max(0, share))}%`;
  if (color) fill.style.background = color;
  return el("span", { class: "meter", "aria-hidden": "true" }, fill);
}

export const percent = (x) =>
  `${(100 * x).toLocaleString("en", {
    maximumFractionDigits: x < 0.1 ? 1 : 0,
  })} %`;

export const ms = (x) =>
  x >= 1000
    ? `${(x / 1000).toFixed(1)} s`
    : `${x.toFixed(x < 10 ? 1 : 0)} ms`;

/** Fills a table: head of texts, rows of cells (the first is its header). */
export function fillTable(table, caption, head, rows) {
  $("caption", table).textContent = caption;
  $("thead", table).replaceChildren(
    el("tr", {}, ...head.map((h) => el("th", { scope: "col" }, h))),
  );
  $("tbody", table).replaceChildren(
    ...rows.map((cells) =>
      el(
        "tr",
        {},
        ...cells.map((cell, i) => {
          const parts = Array.isArray(cell) ? cell : [cell];
          return i
            ? el("td", { class: "number" }, ...parts)
            : el("th", { scope: "row" }, ...parts);
        }),
      ),
    ),
  );
}

/** Gives a file to whoever sits before the page. */
export function download(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60e3);
}
