// words.js - sentences of what a detector found.  Never more than that: how
// many, where, and that it is unsure where it is.

const irregular = {
  person: "people", mouse: "mice", knife: "knives", sheep: "sheep",
  scissors: "scissors", skis: "skis", broccoli: "broccoli", man: "men",
  woman: "women", child: "children",
};
const numbers = ["no", "one", "two", "three", "four", "five", "six", "seven",
  "eight", "nine", "ten", "eleven", "twelve"];

/** What may hurt somebody who walks; said first, at once. */
const dangers = new Set(["car", "bus", "truck", "motorcycle", "motorbike",
  "bicycle", "train", "tram", "traffic light", "stop sign", "dog", "horse",
  "bear", "knife", "fire", "stairs", "hole"]);
export const isDanger = (label) => dangers.has(label.toLowerCase());

export function plural(word) {
  const last = word.split(" ").pop();
  if (irregular[last]) return word.slice(0, -last.length) + irregular[last];
  if (/(s|x|ch|sh)$/.test(word)) return `${word}es`;
  if (/[^aeiou]y$/.test(word)) return `${word.slice(0, -1)}ies`;
  return `${word}s`;
}

const article = (word) =>
  plural(word) === word || /s$/.test(word) && irregular[word] === word
    ? word
    : /^[aeiou]/i.test(word) ? `an ${word}` : `a ${word}`;

export const count = (n, word) =>
  n === 1 ? article(word) : `${numbers[n] ?? n} ${plural(word)}`;

/** "on the left", "ahead", "on the right": by the middle of a box. */
export function place(box, width) {
  const middle = (box[0] + box[2]) / 2 / width;
  return middle < 1 / 3 ? "on the left"
    : middle > 2 / 3 ? "on the right" : "ahead";
}

/** Large in the picture means near, for things that stand on the ground. */
export const isNear = (box, width, height) =>
  (box[3] - box[1]) / height > 0.6 || (box[2] - box[0]) / width > 0.6;

const and = (list) =>
  list.length < 2
    ? list.join("")
    : `${list.slice(0, -1).join(", ")} and ${list.at(-1)}`;

function groups(objects) {
  const all = new Map();
  for (const o of objects) {
    if (!all.has(o.label)) all.set(o.label, []);
    all.get(o.label).push(o);
  }
  return [...all].sort(([a, x], [b, y]) =>
    isDanger(b) - isDanger(a) || y[0].score - x[0].score);
}

function phrase(label, list, width) {
  const places = ["on the left", "ahead", "on the right"].filter((p) =>
    list.some((o) => place(o.box, width) === p));
  const unsure = Math.max(...list.map((o) => o.score)) < 0.5;
  return `${unsure ? "perhaps " : ""}${count(list.length, label)} ${
    and(places)}`;
}

const capital = (s) => s.charAt(0).toUpperCase() + s.slice(1);

/** "A bus ahead, two people on the left and on the right." */
export function sentence(objects, width, most = 6) {
  const all = groups(objects);
  if (!all.length) return "Nothing that this model knows.";
  const parts = all.slice(0, most).map(([l, list]) => phrase(l, list, width));
  const more = all.length - parts.length;
  if (more > 0) parts.push(`${more} more kinds of things`);
  return `${capital(and(parts))}.`;
}
