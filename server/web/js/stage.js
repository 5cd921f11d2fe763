// stage.js - a picture on a canvas, with what was found drawn over it.

import { $ } from "./dom.js";
import { color, inkOn, rgb } from "./palette.js";
import { paintMask } from "./mask.js";

// Small pictures are drawn larger, so that lines and letters fit on them.
const LEAST = 720, MOST = 2000;

export class Stage {
  constructor(root) {
    this.root = root;
    this.canvas = $("canvas", root);
    this.context = this.canvas.getContext("2d");
    this.paint = null;
    // Lines are as thick as letters are high, on a phone too.
    new ResizeObserver(() => this.draw()).observe(root);
  }

  /** A picture, or its size where the browser cannot show it; or nothing. */
  show(picture, width = picture?.width, height = picture?.height) {
    this.picture = picture;
    this.paint = null;
    const seen = Boolean(picture && width);
    if (seen) {
      const longest = Math.max(width, height);
      const scale = Math.min(Math.max(longest, LEAST), MOST) / longest;
      this.canvas.width = Math.max(1, Math.round(width * scale));
      this.canvas.height = Math.max(1, Math.round(height * scale));
    }
    this.canvas.hidden = !seen;
    this.root.classList.toggle("full", seen);
    $(".empty", this.root).hidden = Boolean(picture);
    const without = $(".no-preview", this.root);
    if (without) without.hidden = !picture || Boolean(picture.image);
    this.describe(picture ? `Picture ${picture.name}` : "No picture");
    this.draw();
  }

  describe(text) {
    this.canvas.setAttribute("aria-label", text);
  }

  /** paint(context, unit): unit is a pixel of the screen on the canvas. */
  over(paint) {
    this.paint = paint;
    this.draw();
  }

  draw() {
    const { canvas, context } = this;
    if (canvas.hidden) return;
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (this.picture?.image)
      context.drawImage(this.picture.image, 0, 0, canvas.width,
        canvas.height);
    const unit = canvas.width / (canvas.clientWidth || canvas.width);
    this.paint?.(context, unit);
  }

  blob() {
    return new Promise((done) => this.canvas.toBlob(done, "image/png"));
  }
}

function tag(context, text, x, y, hue, unit) {
  const size = 13 * unit, pad = 5 * unit;
  context.font = `650 ${size}px Inter, system-ui, sans-serif`;
  const width = context.measureText(text).width + 2 * pad;
  const height = size + 1.4 * pad;
  const left = Math.max(0, Math.min(x, context.canvas.width - width));
  const top = y - height < 0 ? y : y - height;
  context.fillStyle = color(hue);
  context.beginPath();
  context.roundRect(left, top, width, height, 4 * unit);
  context.fill();
  context.fillStyle = inkOn(rgb(hue));
  context.textBaseline = "middle";
  context.fillText(text, left + pad, top + height / 2 + 0.5 * unit);
}

/** Boxes with labels; scale is from the result's pixels to the canvas's. */
export function paintBoxes(context, objects, scale, unit, lit = null) {
  // The strongest last, so that it is on top.
  for (const o of [...objects].reverse()) {
    const [x, y, right, bottom] = o.box.map((v) => v * scale);
    const box = [x, y, right - x, bottom - y, 6 * unit];
    context.lineJoin = "round";
    // Dark around light: seen on any ground.
    for (const [style, width] of [["#000a", 6], [color(o.hue), 3]]) {
      context.strokeStyle = style;
      context.lineWidth = (o === lit ? 2 : 1) * width * unit;
      context.beginPath();
      context.roundRect(...box);
      context.stroke();
    }
    for (const [px, py] of o.keypoints ?? []) {
      context.fillStyle = color(o.hue);
      context.beginPath();
      context.arc(px * scale, py * scale, 4 * unit, 0, 7);
      context.fill();
      context.stroke();
    }
  }
  for (const o of [...objects].reverse())
    tag(context, `${o.label} ${Math.round(100 * o.score)}`, o.box[0] * scale,
      o.box[1] * scale, o.hue, unit);
}

/** A mask's classes over the picture; hues has those that are shown. */
export function paintClasses(context, mask, hues, lit = null) {
  const drawn = paintMask(mask, (i) =>
    hues.has(i) ? [...rgb(hues.get(i)), lit === i ? 220 : 140] : null);
  context.imageSmoothingEnabled = mask.width >= context.canvas.width;
  context.drawImage(drawn, 0, 0, context.canvas.width,
    context.canvas.height);
  context.imageSmoothingEnabled = true;
}
