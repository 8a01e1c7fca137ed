/**
 * Cut away the empty edges of a picture: `auto_crop` of data/processing.py, with the same numbers.
 */
const LEAST_CONTRAST = 16; // grey levels; what differs less from the background is no ink
const INK_SHARE = 0.25; // of the largest difference, from which on a pixel is ink
const MARGIN = 0.1; // of the ink's height, left around it
const LEAST_MARGIN = 2; // pixels
const LEAST_SIDE = 4;

/**
 * Find the part of a picture that has ink.
 *
 * @param {{data: Uint8ClampedArray, width: number, height: number}} image RGBA, 0 to 255.
 * @returns {{left: number, top: number, width: number, height: number}} In pixels; all of the
 *   picture if there is no ink.
 */
export function inkBox({ data, width, height }) {
  const grey = greyOf(data);
  const background = medianOfEdges(grey, width, height);
  const most = grey.reduce((largest, value) => Math.max(largest, Math.abs(value - background)), 0);
  if (most < LEAST_CONTRAST) return { left: 0, top: 0, width, height };
  const columns = [width, -1]; // first and last with ink
  const rows = [height, -1];
  grey.forEach((value, place) => {
    if (Math.abs(value - background) < INK_SHARE * most) return;
    widen(columns, place % width);
    widen(rows, Math.floor(place / width));
  });
  const margin = Math.max(LEAST_MARGIN, roundHalfToEven(MARGIN * (rows[1] - rows[0] + 1)));
  const [left, right] = span(columns, margin, width);
  const [top, bottom] = span(rows, margin, height);
  return { left, top, width: right - left, height: bottom - top };
}

/** Cut a box out of a picture. */
export function cut({ data, width }, box) {
  const part = new Uint8ClampedArray(4 * box.width * box.height);
  for (let row = 0; row < box.height; row++) {
    const start = 4 * ((box.top + row) * width + box.left);
    part.set(data.subarray(start, start + 4 * box.width), 4 * box.width * row);
  }
  return { data: part, width: box.width, height: box.height };
}

/** The grey of each pixel on white paper, by Pillow's ITU-R 601 weights in 1/65536. */
function greyOf(data) {
  const grey = new Uint8Array(data.length / 4);
  for (let place = 0; place < grey.length; place++) {
    const alpha = data[4 * place + 3];
    const onPaper = (channel) =>
      Math.floor((data[4 * place + channel] * alpha + 255 * (255 - alpha)) / 255 + 0.5);
    grey[place] = (19595 * onPaper(0) + 38470 * onPaper(1) + 7471 * onPaper(2) + 32768) >> 16;
  }
  return grey;
}

function medianOfEdges(grey, width, height) {
  const edges = [];
  for (let column = 0; column < width; column++) {
    edges.push(grey[column], grey[(height - 1) * width + column]);
  }
  for (let row = 1; row < height - 1; row++) {
    edges.push(grey[row * width], grey[(row + 1) * width - 1]);
  }
  edges.sort((one, other) => one - other);
  const half = edges.length / 2; // there is always an even number of them
  return (edges[half - 1] + edges[half]) / 2;
}

function widen(range, place) {
  if (place < range[0]) range[0] = place;
  if (place > range[1]) range[1] = place;
}

function span([first, last], margin, size) {
  const start = Math.max(0, Math.min(first - margin, size - LEAST_SIDE));
  return [start, Math.min(size, Math.max(last + 1 + margin, start + LEAST_SIDE))];
}

function roundHalfToEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 === 1 ? rounded - 1 : rounded;
}
