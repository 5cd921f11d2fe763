// theme.js - the chosen theme, before anything is painted (index.html).
"use strict";
try {
  const kept = JSON.parse(localStorage.getItem("ocelli") || "{}");
  if (kept.theme === "light" || kept.theme === "dark")
    document.documentElement.dataset.theme = kept.theme;
} catch {
  // No storage here, or not ours: the system's theme then.
}
