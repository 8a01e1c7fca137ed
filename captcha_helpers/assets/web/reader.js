/**
 * From the bytes of a picture to a reading: pixels, ONNX model, decoder. All of it in this browser.
 */
import { decode } from "./decode.js";

const MIN_SIDE = 4; // as in data/images.py
const MAX_PIXELS = 40_000_000;
const MAX_SIDE = 16_384; // longer ones come out of some browsers' canvas empty, without an error

/** A picture that cannot be read; the message says why and what to do, and is for people. */
export class PictureError extends Error {}

/**
 * Load the runtime and the model.
 *
 * @param {string} runtime Address of the folder with the two files of onnxruntime-web.
 * @returns {Promise<Reader>}
 */
export async function loadReader(runtime) {
  const ort = await loadRuntime(new URL(runtime, document.baseURI));
  const [spec, model] = await Promise.all([
    download("metadata.json").then((response) => response.json()),
    download("model.onnx").then((response) => response.arrayBuffer()),
  ]);
  return new Reader(ort, await ort.InferenceSession.create(new Uint8Array(model)), spec);
}

async function loadRuntime(folder) {
  const script = new URL("ort.wasm.bundle.min.mjs", folder).href;
  const ort = await import(script).catch(() => {
    throw new Error(`${script} cannot be reached`);
  });
  ort.env.wasm.wasmPaths = { wasm: new URL("ort-wasm-simd-threaded.wasm", folder).href };
  ort.env.wasm.numThreads = 1; // more of them need a server that isolates the page
  return ort;
}

async function download(name) {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name}: the server answers ${response.status}`);
  return response;
}

/** A model that reads pictures. */
export class Reader {
  /** @param {import("./decode.js").Spec} spec What metadata.json says of the model. */
  constructor(ort, session, spec) {
    this.ort = ort;
    this.session = session;
    this.spec = spec;
  }

  /** The specification, with what is known replaced. */
  specWith(known) {
    const told = Object.entries(known).filter(([, value]) => value !== null);
    return { ...this.spec, mask: { ...this.spec.mask, ...Object.fromEntries(told) } };
  }

  /**
   * Read one picture.
   *
   * @param {Blob} blob A PNG, JPEG or whatever else the browser can show.
   * @param {import("./mask.js").Mask} [known] What is known of the strings besides what metadata.json
   *   says of them.
   * @returns {Promise<import("./decode.js").Reading & {seen: [number, number], milliseconds: number}>}
   *   `seen` is where the part that the model sees begins and ends, as shares of the width.
   * @throws {PictureError} If it is no picture, too small or too large.
   * @throws {import("./mask.js").MaskError} If nothing can be read with this mask.
   */
  async read(blob, known = {}) {
    const start = performance.now();
    const { data, width, height } = await pixelsOf(blob);
    const image = new this.ort.Tensor("uint8", new Uint8Array(data.buffer), [1, height, width, 4]);
    const outputs = ["logits", "box"].filter((name) => this.session.outputNames.includes(name));
    const { logits, box } = await this.session.run({ image }, outputs);
    const [, steps, classes] = logits.dims;
    const reading = decode({ data: logits.data, steps, classes }, this.specWith(known));
    const [left, , right] = box?.data ?? [0, 0, width, height];
    const seen = [left / width, right / width];
    return { ...reading, seen, milliseconds: performance.now() - start };
  }
}

/**
 * Decode a picture, rotated as its EXIF orientation says.
 *
 * @param {Blob} blob
 * @returns {Promise<ImageData>} RGBA, 0 to 255.
 * @throws {PictureError}
 */
export async function pixelsOf(blob) {
  const bitmap = await createImageBitmap(blob, {
    premultiplyAlpha: "none",
    colorSpaceConversion: "none",
  }).catch(() => {
    throw new PictureError(
      "This is not a picture that the browser can read, or it is damaged. " +
        "Choose a PNG or JPEG file.",
    );
  });
  try {
    checkSize(bitmap);
    return draw(bitmap);
  } finally {
    bitmap.close();
  }
}

function checkSize({ width, height }) {
  const size = `${width} × ${height} pixels`;
  if (Math.min(width, height) < MIN_SIDE) {
    throw new PictureError(
      `The picture is too small: ${size}, but each side needs at least ${MIN_SIDE}. ` +
        "Is it a placeholder? Save the CAPTCHA itself.",
    );
  }
  if (width * height > MAX_PIXELS || Math.max(width, height) > MAX_SIDE) {
    throw new PictureError(
      `The picture is too large: ${size}, but at most 40 megapixels can be read, and ` +
        `${MAX_SIDE} pixels a side. Cut out the CAPTCHA and try again.`,
    );
  }
}

function draw(bitmap) {
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  // A canvas stores colours times alpha, in 8 bits: where a pixel is nearly transparent its colour
  // comes back changed. Flattened onto white, the model's first step, it is the same shade again.
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}
