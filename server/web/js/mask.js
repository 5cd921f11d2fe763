// mask.js - which class each pixel is of.  The server sends an indexed PNG;
// canvases give colours only, so the palette in the file leads back.

/** Colours of the PLTE chunk as numbers 0xrrggbb, by class. */
export function readPalette(bytes) {
  const view = new DataView(bytes);
  for (let at = 8; at + 12 <= view.byteLength; ) {
    const length = view.getUint32(at);
    if (view.getUint32(at + 4) === 0x504c5445) {
      const n = Math.min(256, Math.floor(length / 3));
      return Array.from({ length: n }, (_, i) =>
        (view.getUint8(at + 8 + 3 * i) << 16) |
        (view.getUint8(at + 9 + 3 * i) << 8) |
        view.getUint8(at + 10 + 3 * i));
    }
    at += 12 + length;
  }
  throw new Error("The mask has no palette.");
}

/** {width, height, index: Uint8Array}. */
export async function readMask(blob) {
  const palette = readPalette(await blob.arrayBuffer());
  const bitmap = await createImageBitmap(blob, {
    colorSpaceConversion: "none", // colours are numbers here
    premultiplyAlpha: "none",
  });
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, width, height).data;
  const classOf = new Map();
  palette.forEach((c, i) => classOf.has(c) || classOf.set(c, i));
  const index = new Uint8Array(width * height);
  for (let i = 0; i < index.length; i++) {
    index[i] = classOf.get(
      (pixels[4 * i] << 16) | (pixels[4 * i + 1] << 8) | pixels[4 * i + 2],
    ) ?? 0;
  }
  return { width, height, index };
}

/** The mask in colours; colors(i) is [r, g, b, a], or null for not shown. */
export function paintMask(mask, colors) {
  const canvas = new OffscreenCanvas(mask.width, mask.height);
  const context = canvas.getContext("2d");
  const image = context.createImageData(mask.width, mask.height);
  const table = new Uint32Array(256);
  const little = new Uint8Array(table.buffer);
  for (let i = 0; i < 256; i++) {
    const c = colors(i);
    if (c) little.set(c, 4 * i);
  }
  const out = new Uint32Array(image.data.buffer);
  for (let i = 0; i < out.length; i++) out[i] = table[mask.index[i]];
  context.putImageData(image, 0, 0);
  return canvas;
}
