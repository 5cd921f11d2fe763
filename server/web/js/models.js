// models.js - which model does what, and the lists to choose from.

import { server } from "./api.js";
import { el } from "./dom.js";
import * as settings from "./settings.js";

export const ofTask = (task) => server.models.filter((m) => m.task === task);

export const named = (name) => server.models.find((m) => m.name === name);

/** Whether a classifier's labels are about damage. */
export const isAboutDamage = (model) =>
  model.labels.some((label) =>
    /damage|destroy|collaps|flood|burn|debris|rubble/i.test(label));

// Some sets have numbers that nothing is behind.
const words = (model) =>
  new Set(model.labels.filter((l) => /[a-z]/i.test(l) && !/^n\/?a$/i.test(l)))
    .size;

/** The one somebody chose, else the one that knows the most words. */
export function preferred(task, models = ofTask(task)) {
  const chosen = settings.get("models")[task];
  return (
    models.find((m) => m.name === chosen) ??
    [...models].sort((a, b) => words(b) - words(a))[0]
  );
}

export const choose = (task, name) =>
  settings.set("models", { ...settings.get("models"), [task]: name });

const option = (m, chosen) =>
  el("option", { value: m.name, selected: m === chosen }, m.name);

/** Fills a <select>; "" where there is nothing to choose. */
export function fillSelect(select, task) {
  const models = ofTask(task);
  const chosen = preferred(task, models);
  select.replaceChildren(
    ...(models.length
      ? models.map((m) => option(m, chosen))
      : [el("option", { value: "" }, "none is loaded")]),
  );
  return chosen;
}

/** The same in two groups, those for damage first. */
export function fillDamageSelect(select) {
  const models = ofTask("classify");
  const fit = models.filter(isAboutDamage);
  const rest = models.filter((m) => !isAboutDamage(m));
  const kept = settings.get("models").damage;
  const chosen = models.find((m) => m.name === kept) ?? fit[0];
  const groups = [];
  if (!fit.length)
    groups.push(el("option", { value: "", selected: !chosen },
      "none for damage"));
  if (fit.length)
    groups.push(el("optgroup", { label: "For damage" },
      ...fit.map((m) => option(m, chosen))));
  if (rest.length)
    groups.push(el("optgroup", { label: "Others, not made for this" },
      ...rest.map((m) => option(m, chosen))));
  select.replaceChildren(...groups);
  return chosen;
}
