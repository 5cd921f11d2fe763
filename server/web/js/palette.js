// palette.js - colours for what was found: the hue turns by the golden angle,
// so that the first few differ most.

const degrees = (hue) => (hue * 137.508 + 168) % 360;

export const color = (hue) => `hsl(${degrees(hue).toFixed(0)} 75% 55%)`;

/** The same colour in numbers. */
export function rgb(hue) {
  const h = degrees(hue), s = 0.75, l = 0.55;
  const part = (n) => {
    const k = (n + h / 30) % 12;
    return Math.round(255 * (l - s * Math.min(l, 1 - l) *
      Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [part(0), part(8), part(4)];
}

/** Dark text or light, by the ground's luminance (WCAG's formula). */
export function inkOn(color) {
  const [r, g, b] = color.map((v) => {
    const c = v / 255;
    return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#000" : "#fff";
}

/**
 * Copies with a member hue: numbers of classes in the order they come, since
 * numbers of a model's own may fall on hues that look alike.
 */
export function withHues(list, hues = new Map()) {
  return list.map((x) => {
    if (!hues.has(x.label)) hues.set(x.label, hues.size);
    return { ...x, hue: hues.get(x.label) };
  });
}
