// settings.js - what somebody has chosen, kept in this browser.

const defaults = {
  theme: "system",
  engine: "browser", // who speaks: browser, server, reader
  voice: "",
  rate: 1,
  auto: false, // speak every result
  cool: 8, // seconds of silence about the same thing
  keys: true, // single keys do things (WCAG 2.1.4: can be switched off)
  keepKey: false,
  key: "",
  models: {}, // the chosen one for each task
};

const events = new EventTarget();
let values = { ...defaults };

// The key is for this tab only, unless somebody wants it kept.
function load() {
  try {
    values = { ...values, ...JSON.parse(localStorage.getItem("ocelli")) };
    values.key ||= sessionStorage.getItem("ocelli-key") || "";
  } catch {
    // Private windows may have no storage: nothing is kept then.
  }
}

function save() {
  const { key, ...rest } = values;
  try {
    localStorage.setItem(
      "ocelli",
      JSON.stringify(values.keepKey ? { ...rest, key } : rest),
    );
    if (values.keepKey || !key) sessionStorage.removeItem("ocelli-key");
    else sessionStorage.setItem("ocelli-key", key);
  } catch {
    // As above.
  }
}

export const get = (name) => values[name];

export function set(name, value) {
  values[name] = value;
  save();
  events.dispatchEvent(new CustomEvent(name));
}

export const onChange = (name, what) => events.addEventListener(name, what);

load();
