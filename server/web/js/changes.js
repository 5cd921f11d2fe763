// changes.js - what to say of a camera that looks many times a second: what
// came, what went, and nothing twice within the cool-down.

import { count, isDanger, isNear, place } from "./words.js";

const STEADY = 2; // looks that must agree before something is believed
const GAP_MS = 1200; // between two sentences, danger excepted

const capital = (s) => s.charAt(0).toUpperCase() + s.slice(1);

export class Changes {
  /** coolMs: how long nothing more is said about the same thing. */
  constructor(coolMs) {
    this.coolMs = coolMs;
    this.known = new Map(); // "bus ahead": what we know of it
    this.lastSaid = -Infinity;
    this.saidNothing = false;
  }

  count(objects, width, height) {
    const now = new Map();
    for (const o of objects) {
      const key = `${o.label} ${place(o.box, width)}`;
      const one = now.get(key) ?? { label: o.label, n: 0, near: false,
        where: place(o.box, width) };
      one.n++;
      one.near ||= isNear(o.box, width, height);
      now.set(key, one);
    }
    return now;
  }

  update(now) {
    for (const [key, seen] of now) {
      const k = this.known.get(key) ?? { hits: 0, told: false,
        at: -Infinity, gone: -Infinity };
      const grew = k.told && seen.near && !k.near;
      Object.assign(k, seen, { hits: Math.min(k.hits + 1, STEADY) });
      k.nearer = k.nearer || grew;
      this.known.set(key, k);
    }
    for (const [key, k] of this.known) {
      if (!now.has(key)) k.hits--;
      if (k.hits <= -STEADY && !k.told) this.known.delete(key);
    }
  }

  due(at) {
    const list = [];
    for (const [key, k] of this.known) {
      if (at - k.at < this.coolMs) continue;
      if (k.hits >= STEADY && (!k.told || k.nearer)) list.push([k, "here"]);
      else if (k.hits <= -STEADY && k.told) list.push([k, "gone", key]);
    }
    const rank = ([k, what]) =>
      (what === "here" ? 2 : 0) + (isDanger(k.label) ? 4 : 0) + k.near;
    return list.sort((a, b) => rank(b) - rank(a)).slice(0, 3);
  }

  /** One look at time at (ms): {text, urgent}, or null for silence. */
  see(objects, width, height, at) {
    this.update(this.count(objects, width, height));
    const due = this.due(at);
    const urgent = due.some(([k, what]) =>
      what === "here" && isDanger(k.label) && k.near);
    if (at - this.lastSaid < GAP_MS && !urgent) return null;
    if (!due.length) return this.nothing(at);
    const text = due.map(([k, what, key]) => {
      k.at = at;
      k.told = what === "here";
      k.nearer = false;
      if (what === "gone") {
        this.known.delete(key);
        return `${capital(k.label)} ${k.where} gone.`;
      }
      return capital(`${count(k.n, k.label)} ${k.where}${
        k.near ? ", near" : ""}.`);
    }).join(" ");
    this.lastSaid = at;
    this.saidNothing = false;
    return { text, urgent };
  }

  nothing(at) {
    const sees = [...this.known.values()].some((k) => k.hits > 0 || k.told);
    if (sees || this.saidNothing) return null;
    this.saidNothing = true;
    this.lastSaid = at;
    return { text: "Nothing I know in front of you.", urgent: false };
  }
}
