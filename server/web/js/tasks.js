// tasks.js - what the four pages of the bench do.  Each task:
//
//   look(picture, model, signal)   asks the server; a result
//   items(result)                  what can be shown or hidden, by class
//   paint(context, unit, ...)      what goes over the picture
//   rows(shown, result)            of the table
//   words(shown, result)           {text, more}: said, shown, spoken
//
// A result is {json, name, width, height, found, time}; found has one entry for
// each thing, with label, index, and score or fraction.

import { has, look, meet, server } from "./api.js";
import { meter, percent } from "./dom.js";
import { readMask } from "./mask.js";
import { color, withHues } from "./palette.js";
import { paintBoxes, paintClasses } from "./stage.js";
import { place, sentence } from "./words.js";

// Asked for generously; the slider then shows and hides without asking again.
const LEAST_SCORE = 0.1;

function basic(json) {
  const r = json.results[0];
  return {
    json,
    name: json.model,
    width: r.width,
    height: r.height,
    time: r.time_ms,
    found: withHues(r.labels ?? r.objects ?? r.classes ?? []),
  };
}

const bar = (share, hue) => [
  meter(share, hue === undefined ? null : color(hue)),
  percent(share),
];

const recognise = {
  id: "recognise",
  title: "Recognise",
  intro: "What does the whole picture show?",
  task: "classify",
  samples: ["clock", "street", "desk"],
  threshold: { label: "Show from", start: 1 },
  caption: "What it may be, the likeliest first",
  head: ["Label", "How sure"],
  async look(picture, model, signal) {
    return basic(await look("classify", picture.blob, { model, top: 10 },
      { signal }));
  },
  value: (x) => x.score,
  rows: (shown) => shown.map((x) => [x.label, bar(x.score)]),
  words(shown, result) {
    const [best, next] = result.found;
    if (!best) return { text: "It finds no name for this." };
    const how = best.score >= 0.8 ? "" : best.score >= 0.4
      ? "Probably " : "Perhaps ";
    const also = next && best.score < 0.8 && next.score > 0.05
      ? `, or ${next.label}` : "";
    const text = `${how}${best.label}${also}.`;
    return { text: text.charAt(0).toUpperCase() + text.slice(1),
      more: `${percent(best.score)} sure of ${best.label}.` };
  },
};

const detect = {
  id: "detect",
  title: "Detect",
  intro: "Which things are there, and where?",
  task: "detect",
  samples: ["street", "desk"],
  classes: true,
  threshold: { label: "Show from", start: 40, least: 100 * LEAST_SCORE },
  caption: "Things found, the surest first",
  head: ["Thing", "How sure", "Where", "Size"],
  async look(picture, model, signal) {
    return basic(await look("detect", picture.blob,
      { model, threshold: LEAST_SCORE, top: 100 }, { signal }));
  },
  value: (x) => x.score,
  paint(context, unit, shown, result, lit) {
    paintBoxes(context, shown, context.canvas.width / result.width, unit, lit);
  },
  rows: (shown, r) => shown.map((o) => [
    o.label, bar(o.score, o.hue), place(o.box, r.width),
    percent((o.box[2] - o.box[0]) * (o.box[3] - o.box[1]) /
      (r.width * r.height)),
  ]),
  words: (shown, r) => ({ text: sentence(shown, r.width) }),
};

const segment = {
  id: "segment",
  title: "Segment",
  intro: "Which part of the picture belongs to what?",
  task: "segment",
  samples: ["street", "desk"],
  classes: true,
  threshold: { label: "Show parts from", start: 0.5, step: 0.5, most: 50 },
  hides: /^_*background_*$/i, // or the picture would not be seen
  caption: "Parts of the picture, the largest first",
  head: ["Part", "Of the picture"],
  async look(picture, model, signal) {
    // Numbers and mask at once; the server has a core for each.
    const [json, png] = await Promise.all([
      look("segment", picture.blob, { model }, { signal }),
      look("segment", picture.blob, { model, picture: "mask" },
        { accept: "image/png", signal }),
    ]);
    const result = basic(json);
    result.mask = await readMask(png);
    return result;
  },
  value: (x) => x.fraction,
  paint(context, unit, shown, result, lit) {
    const hues = new Map(shown.map((x) => [x.index, x.hue]));
    paintClasses(context, result.mask, hues, lit?.index);
  },
  rows: (shown) => shown.map((x) => [x.label, bar(x.fraction, x.hue)]),
  words(shown) {
    if (!shown.length) return { text: "No part is that large." };
    const parts = shown.slice(0, 5).map((x) =>
      `${x.label} ${percent(x.fraction).replace(" %", " percent")}`);
    const text = `${parts.join(", ")}.`;
    return { text: text.charAt(0).toUpperCase() + text.slice(1) };
  },
};

// The server's own sentences, and the things they rest on.
async function describeByServer(picture, model, signal) {
  const json = await look("describe", picture.blob, { model }, { signal });
  const r = json.results[0];
  const { look: infer, ...time } = r.time_ms ?? {};
  return {
    json,
    name: json.models.map((m) => m.model).join(", "),
    width: r.width,
    height: r.height,
    time: { ...time, infer },
    // What may be something else in the same place is in the words.
    found: withHues((r.things ?? []).filter((t) => !t.is_rival)),
    short: r.short,
    long: r.long,
  };
}

const describe = {
  ...detect,
  id: "describe",
  title: "Describe",
  caption: "Things found, what matters most first",
  intro: "What is there, in sentences: no more than was found.",
  threshold: { ...detect.threshold, start: 40 },
  async look(picture, model, signal) {
    if (!server.routes) await meet();
    if (has("/v1/describe")) return describeByServer(picture, model, signal);
    // A server without: the detector's findings make a plain sentence.
    return detect.look(picture, model, signal);
  },
  words(shown, r) {
    const text = r.short ?? sentence(shown, r.width);
    return { text, more: r.long !== text ? r.long : undefined };
  },
};

export const tasks = { recognise, detect, segment, describe };
