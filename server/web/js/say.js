// say.js - words for screen readers, through live regions that are there
// beforehand: one that is made together with its text is often not read.

import { $, $$ } from "./dom.js";

// Behind a modal dialog nothing is heard, so the topmost one speaks.
const topmost = () => $$("dialog[open]").at(-1) ?? document;

let pending = 0;

function into(region, text) {
  // The same text again is a change only if there was something else between.
  region.textContent = "";
  clearTimeout(pending);
  pending = setTimeout(() => {
    region.textContent = text;
  }, 50);
}

/** Something that has happened, said when there is a pause. */
export const say = (text) => into($('[role="status"]', topmost()), text);

/** Danger: interrupts what is being said. */
export function warn(text) {
  into($('[role="alert"]', topmost()) ?? $("#alert"), text);
}
