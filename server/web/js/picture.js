// picture.js - pictures from files, the clipboard, the camera or a drop.

/** What the canvas and the server need: pixels, if we can, and bytes. */
export class Picture {
  constructor(blob, name, image) {
    this.blob = blob;
    this.name = name;
    this.image = image; // null: this browser cannot show it
    this.width = image?.naturalWidth ?? 0;
    this.height = image?.naturalHeight ?? 0;
  }

  get stem() {
    return this.name.replace(/\.[^.]*$/, "") || "picture";
  }
}

async function decode(blob) {
  const image = new Image();
  image.src = URL.createObjectURL(blob);
  try {
    await image.decode();
    return image;
  } catch {
    return null; // a TIFF, say: the server may know it
  } finally {
    // Decoded pixels stay with the element.
    setTimeout(() => URL.revokeObjectURL(image.src), 1000);
  }
}

// The server reads no drawings: they go as pixels.
async function raster(image) {
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  canvas.getContext("2d").drawImage(image, 0, 0);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

export async function fromBlob(blob, name = "picture") {
  const image = await decode(blob);
  if (image && blob.type === "image/svg+xml") blob = await raster(image);
  return new Picture(blob, name, image);
}

export async function fromSample(url) {
  const answer = await fetch(url);
  return fromBlob(await answer.blob(), url.split("/").pop());
}

/** The frame a video shows, no larger than size; null: there is none yet. */
export async function fromVideo(video, size = 1600, quality = 0.92) {
  const scale = Math.min(1,
    size / Math.max(video.videoWidth, video.videoHeight));
  if (!Number.isFinite(scale)) return null;
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", quality));
}

const firstPicture = (items) =>
  [...(items ?? [])].find((f) => f.type.startsWith("image/") ||
    /\.(tiff?|jp2|bmp|p[gpn]m)$/i.test(f.name ?? ""));

/** Pictures dropped on a zone. */
export function onDrop(zone, take, refuse) {
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    zone.classList.remove("over");
    const file = firstPicture(event.dataTransfer.files);
    if (file) take(await fromBlob(file, file.name));
    else refuse("That is no picture.");
  });
}

/** Pictures pasted anywhere; wanted() says whether we may have them now. */
export function onPaste(wanted, take) {
  document.addEventListener("paste", async (event) => {
    if (!wanted()) return;
    const file = firstPicture(event.clipboardData.files);
    if (!file) return;
    event.preventDefault();
    take(await fromBlob(file, file.name || "pasted"));
  });
}

/** The clipboard's picture by a button; throws a sentence. */
export async function fromClipboard() {
  let items;
  try {
    items = await navigator.clipboard.read();
  } catch {
    throw new Error("The browser does not let this page see the clipboard; " +
      "press Ctrl and V instead.");
  }
  for (const item of items) {
    const type = item.types.find((t) => t.startsWith("image/"));
    if (type) return fromBlob(await item.getType(type), "pasted");
  }
  throw new Error("There is no picture in the clipboard.");
}

/** Files from a chooser. */
export function onChoose(input, take) {
  input.addEventListener("change", async () => {
    const file = input.files[0];
    input.value = ""; // so that the same file can be chosen again
    if (file) take(await fromBlob(file, file.name));
  });
}
