/** Draw a CAPTCHA in the browser, with sliders for what makes it hard; the same seed, the same picture. */
import { element, find } from "./pictures.js";

const WIDTH = 200;
const HEIGHT = 60;
const FONT = "600 34px system-ui, sans-serif";

/** Names of the sliders, what they are called, their largest value and where they begin. */
const SLIDERS = [
  ["rotation", "Rotation of each character", 45, 12],
  ["wave", "Wave", 10, 2],
  ["overlap", "Characters closer together", 14, 0],
  ["lines", "Lines", 12, 2],
  ["noise", "Noise", 100, 10],
  ["blur", "Blur", 4, 0],
];

/**
 * Put the controls into the element `draw`, and draw whenever they change.
 *
 * @param {string[]} characters What the text is made of.
 * @param {[number, number]} length Fewest and most characters.
 * @param {(picture: Promise<Blob>, label: string) => void} show What is done with the picture.
 */
export function offerDrawing(characters, [fewest, most], show) {
  let seed = 1;
  const text = Object.assign(document.createElement("input"), { id: "draw-text", maxLength: most });
  text.autocomplete = "off";
  const again = element("button", "Another text", { type: "button", className: "button" });
  const sliders = SLIDERS.map(([name, label, max, value]) => {
    const input = Object.assign(document.createElement("input"), { type: "range", max, value });
    input.id = `draw-${name}`;
    return [name, label, input];
  });
  const draw = () => {
    const values = Object.fromEntries(sliders.map(([name, , input]) => [name, Number(input.value)]));
    show(drawCaptcha(text.value, values, seed), text.value);
  };
  const another = () => {
    seed += 1;
    const random = numbers(seed);
    const count = fewest + Math.floor(random() * (Math.min(most, 6) - fewest + 1));
    const pick = () => characters[Math.floor(random() * characters.length)];
    text.value = Array.from({ length: Math.max(count, fewest) }, pick).join("");
    draw();
  };
  const labelled = (label, input) => {
    const around = element("label", `${label} `);
    around.append(input);
    return around;
  };
  find("draw").append(
    labelled("Text", text),
    ...sliders.map(([, label, input]) => labelled(label, input)),
    again,
  );
  for (const input of [text, ...sliders.map((slider) => slider[2])]) {
    input.addEventListener("input", draw);
  }
  again.addEventListener("click", another);
  find("drawing").addEventListener("toggle", () => find("drawing").open && !text.value && another());
}

/**
 * Draw a text.
 *
 * @param {string} text
 * @param {Record<string, number>} values Of the sliders.
 * @param {number} seed
 * @returns {Promise<Blob>} A PNG.
 */
export function drawCaptcha(text, values, seed) {
  const random = numbers(seed);
  const canvas = Object.assign(document.createElement("canvas"), { width: WIDTH, height: HEIGHT });
  const context = canvas.getContext("2d");
  context.fillStyle = "#f4f2ec";
  context.fillRect(0, 0, WIDTH, HEIGHT);
  context.filter = values.blur ? `blur(${values.blur / 2}px)` : "none";
  writeText(context, Array.from(text), values, random);
  for (let line = 0; line < values.lines; line += 1) drawLine(context, random);
  context.filter = "none";
  addNoise(context, values.noise / 200, random);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function writeText(context, characters, { rotation, wave, overlap }, random) {
  context.font = FONT;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const widths = characters.map((char) => context.measureText(char).width + 4 - overlap);
  const total = widths.reduce((sum, width) => sum + width, 0);
  const scale = Math.min(1, (WIDTH - 16) / total);
  let left = (WIDTH - total * scale) / 2;
  characters.forEach((char, place) => {
    const width = widths[place] * scale;
    context.save();
    context.translate(left + width / 2, HEIGHT / 2 + wave * Math.sin(1.3 * place));
    context.rotate(((2 * random() - 1) * rotation * Math.PI) / 180);
    context.scale(scale, 1);
    context.fillStyle = dark(random);
    context.fillText(char, 0, 0);
    context.restore();
    left += width;
  });
}

const dark = (random) => `hsl(${Math.floor(random() * 360)} 55% 28%)`;

function drawLine(context, random) {
  context.strokeStyle = dark(random);
  context.lineWidth = 1 + random();
  context.beginPath();
  context.moveTo(0, random() * HEIGHT);
  context.bezierCurveTo(
    WIDTH / 3,
    random() * HEIGHT,
    (2 * WIDTH) / 3,
    random() * HEIGHT,
    WIDTH,
    random() * HEIGHT,
  );
  context.stroke();
}

/** Colour a share of the pixels at random. */
function addNoise(context, share, random) {
  const image = context.getImageData(0, 0, WIDTH, HEIGHT);
  for (let pixel = 0; pixel < image.data.length; pixel += 4) {
    if (random() >= share) continue;
    for (let channel = 0; channel < 3; channel += 1) {
      image.data[pixel + channel] = Math.floor(random() * 256);
    }
  }
  context.putImageData(image, 0, 0);
}

/** Numbers from 0 to below 1, the same ones from the same seed (an LCG of 32 bits, its upper bits). */
function numbers(seed) {
  let state = Math.imul(seed, 2654435761) >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 24;
  };
}
