/**
 * Draw a CAPTCHA on a canvas in a look of the generator; the same seed, the same picture.
 *
 * Written after `captcha_helpers.drawing.painter`, whose pixels it does not give: the fonts are the
 * browser's, and warps, outlines, tints and contrast are left out.
 */
const LINE = { x: [[0, 0.5], [0.5, 1]], y: [[0, 1], [0, 1]], thickness: [[1, 2.5]], colour: null };

export const middle = ([low, high]) => (low + high) / 2;

/**
 * Draw a text.
 *
 * @param {object} style The fields of `captcha_helpers.Style`.
 * @param {string} text
 * @param {Record<string, number>} values Of the sliders, in place of what the style says.
 * @param {number} seed
 * @returns {Promise<Blob>} A PNG.
 */
export function drawCaptcha(style, text, values, seed) {
  const random = randomNumbers(seed);
  const dice = {
    random,
    within: ([low, high]) => low + random() * (high - low),
    either: (largest) => (2 * random() - 1) * largest,
    colour: (range) => `rgb(${[0, 1, 2].map(() => Math.round(dice.within(range)))})`,
  };
  const [canvas, context] = newCanvas(style);
  const ink = dice.colour(style.ink);
  fillBackground(context, style, dice);
  if (style.stars[1] > 0) scatter(context, style, values.specks, dice, true);
  const [layer, letters] = newCanvas(style);
  writeText(letters, style, Array.from(text), values, ink, dice);
  if (style.waves_move_strokes) drawLines(letters, style, values.lines, ink, dice);
  moveByWaves(letters, style, values.wave, dice);
  if (!style.waves_move_strokes) drawLines(letters, style, values.lines, ink, dice);
  if (style.stars[1] === 0) scatter(letters, style, values.specks, dice, false, ink);
  context.filter = values.blur ? `blur(${values.blur / 2}px)` : "none";
  context.drawImage(layer, 0, 0);
  context.filter = "none";
  if (random() < style.negative) {
    context.globalCompositeOperation = "difference";
    context.fillStyle = "white";
    context.fillRect(0, 0, style.width, style.height);
  }
  addNoise(context, values.noise / 200, random);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function newCanvas({ width, height }) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  return [canvas, canvas.getContext("2d", { willReadFrequently: true })];
}

function fillBackground(context, { width, height, background, gradient }, dice) {
  context.fillStyle = dice.colour(background);
  if (gradient) {
    context.fillStyle = context.createLinearGradient(0, 0, width, height);
    gradient.forEach((range, place) => {
      const grey = Math.round(dice.within(range));
      context.fillStyle.addColorStop(place, `rgb(${grey} ${grey} ${grey})`);
    });
  }
  context.fillRect(0, 0, width, height);
}

/** A font of the browser that resembles one of the generator's. */
function fontOf({ fonts, font_size: size }, dice) {
  const name = fonts[Math.floor(dice.random() * fonts.length)];
  const slope = /Oblique|Italic/.test(name) ? "italic" : "normal";
  const weight = /Bol/.test(name) ? 700 : 400;
  let family = '"DejaVu Sans", Verdana, sans-serif';
  if (/Mono/.test(name)) family = '"DejaVu Sans Mono", monospace';
  else if (/Serif|STIX|cmr/.test(name)) family = '"DejaVu Serif", serif';
  return `${slope} ${weight} ${dice.within(size)}px ${family}`;
}

function writeText(context, style, characters, { rotation, rise, overlap }, ink, dice) {
  const { width, height } = style;
  context.font = fontOf(style, dice);
  context.textAlign = "center";
  context.textBaseline = style.baseline ? "alphabetic" : "middle";
  const gap = Math.max(0, middle(style.gap)) - overlap;
  const widths = characters.map((char) => context.measureText(char).width + gap);
  if (style.pitch) widths.fill(middle(style.pitch) - overlap);
  const length = widths.reduce((sum, one) => sum + one, 0);
  const start = style.start ? dice.within(style.start) : Math.max(2, (width - length) / 2);
  const fit = Math.min(1, (width - start - 2) / Math.max(1, length));
  const upright = style.baseline ? dice.within(style.baseline) : height / 2;
  let left = start;
  characters.forEach((char, place) => {
    const room = widths[place] * fit;
    const size = 1 + dice.either(style.size_jitter);
    context.save();
    context.translate(left + room / 2 + dice.either(style.drift), upright + dice.either(rise));
    context.rotate((dice.either(rotation) * Math.PI) / 180);
    context.scale(fit * size * dice.within(style.stretch), size);
    context.fillStyle = style.ink_per_character ? dice.colour(style.ink) : ink;
    context.fillText(char, 0, 0);
    context.restore();
    left += room;
  });
}

/** Lines like the style's, as many as are wanted: straight ones and curves, some of which erase. */
function drawLines(context, { width, height, strokes }, count, ink, dice) {
  const kinds = strokes.length > 0 ? strokes : [LINE];
  for (let line = 0; line < Math.round(count); line += 1) {
    const { x, y, thickness, colour, erases } = kinds[line % kinds.length];
    const points = x.map((range, place) => [
      dice.within(range) * width,
      dice.within(y[place]) * height,
    ]);
    context.globalCompositeOperation = erases ? "destination-out" : "source-over";
    context.strokeStyle = colour ? dice.colour(colour) : ink;
    context.lineWidth = dice.within(thickness[0]);
    context.beginPath();
    context.moveTo(...points[0]);
    if (points.length === 2) context.lineTo(...points[1]);
    else context.bezierCurveTo(...points.slice(1).flat());
    context.stroke();
  }
  context.globalCompositeOperation = "source-over";
}

function scatter(context, { width, height, star_colour: colour }, count, dice, stars, ink) {
  context.font = "16px sans-serif";
  for (let speck = 0; speck < Math.round(count); speck += 1) {
    const [x, y] = [dice.random() * width, dice.random() * height];
    context.fillStyle = stars ? dice.colour(colour) : ink;
    if (stars) context.fillText("*", x, y);
    else context.fillRect(x, y, 2, 2);
  }
}

/** Move the pixels as the style's waves do, each with the share of the slider that it has there. */
function moveByWaves(context, style, amplitude, dice) {
  const usual = { kind: "y", amplitude: [1, 1], wavelength: [50, 60], phase: [0, 360], radius: 0 };
  const waves = style.waves.length > 0 ? style.waves : [usual];
  const largest = Math.max(...waves.map((wave) => middle(wave.amplitude)));
  for (const { kind, wavelength, phase, centre, radius, ...wave } of waves) {
    const height = (amplitude * middle(wave.amplitude)) / largest;
    const [length, from] = [dice.within(wavelength), (dice.within(phase) * Math.PI) / 180];
    const [cx, cy] = (centre ?? [[0, 0], [0, 0]]).map((range) => dice.within(range));
    movePixels(context, style, (x, y) => {
      const sine = (distance) => height * Math.sin((2 * Math.PI * distance) / length + from);
      if (kind === "x") return [x + sine(y), y];
      if (kind === "y") return [x, y + sine(x)];
      const [dx, dy] = [x - cx * style.width, y - cy * style.height];
      const away = Math.hypot(dx, dy) || 1;
      const push = (sine(away) * (radius ? Math.max(0, 1 - away / radius) : 1)) / away;
      return [x + dx * push, y + dy * push];
    });
  }
}

function movePixels(context, { width, height }, sourceOf) {
  const before = context.getImageData(0, 0, width, height);
  const after = context.createImageData(width, height);
  const [from, to] = [before.data, after.data].map((data) => new Uint32Array(data.buffer));
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const [left, top] = sourceOf(x, y).map(Math.round);
      const inside = left >= 0 && left < width && top >= 0 && top < height;
      to[y * width + x] = inside ? from[top * width + left] : 0;
    }
  }
  context.putImageData(after, 0, 0);
}

/** Colour a share of the pixels at random. */
function addNoise(context, share, random) {
  const image = context.getImageData(0, 0, context.canvas.width, context.canvas.height);
  for (let pixel = 0; pixel < image.data.length; pixel += 4) {
    if (random() >= share) continue;
    for (let channel = 0; channel < 3; channel += 1) {
      image.data[pixel + channel] = Math.floor(random() * 256);
    }
  }
  context.putImageData(image, 0, 0);
}

/** Numbers from 0 to below 1, the same ones from the same seed (an LCG of 32 bits, its upper bits). */
export function randomNumbers(seed) {
  let state = Math.imul(seed, 2654435761) >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 24;
  };
}
