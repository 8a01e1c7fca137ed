/** Controls for drawing a CAPTCHA in the browser: a look of the generator, and sliders that change it. */
import { drawCaptcha, middle, randomNumbers } from "./painter.js";
import { element, find } from "./pictures.js";

const most = (ranges) => Math.max(0, ...ranges.map(middle));
const total = (ranges) => Math.round(ranges.reduce((sum, range) => sum + middle(range), 0));

/** Of each slider: its name, what it is called, its largest value, and where a style has it. */
const SLIDERS = [
  ["rotation", "Rotation of each character", 45, (style) => style.rotation],
  ["rise", "Characters up and down", 20, (style) => style.rise],
  ["wave", "Wave", 10, (style) => most(style.waves.map((wave) => wave.amplitude))],
  ["overlap", "Characters closer together", 14, (style) => Math.max(0, -middle(style.gap))],
  ["lines", "Lines", 12, (style) => total(style.strokes.map((stroke) => stroke.count))],
  ["specks", "Dots or stars", 80, (style) => total([style.dots, style.stars])],
  ["noise", "Noise", 100, () => 0],
  ["blur", "Blur", 4, () => 0],
];

/**
 * Say where the sliders are for a style of the generator.
 *
 * @param {object} style One of `looks.json`: the fields of `captcha_helpers.Style`.
 * @returns {Record<string, number>} A value for each slider.
 */
export function slidersOf(style) {
  return Object.fromEntries(SLIDERS.map(([name, , , valueIn]) => [name, valueIn(style)]));
}

/**
 * Put the controls into the element `draw`, and draw whenever they change.
 *
 * @param {object[]} styles The looks to begin with.
 * @param {string[]} characters What the text is made of.
 * @param {[number, number]} length Fewest and most characters.
 * @param {(picture: Promise<Blob>, label: string) => void} show What is done with the picture.
 */
export function offerDrawing(styles, characters, [fewest, longest], show) {
  let seed = 1;
  const look = element("select", "", { id: "draw-look" });
  look.append(...styles.map(({ name }) => element("option", name, { value: name })));
  const chosen = () => styles.find(({ name }) => name === look.value);
  look.value = likeliest(styles, characters).name;
  const text = Object.assign(document.createElement("input"), { id: "draw-text" });
  Object.assign(text, { maxLength: longest, autocomplete: "off" });
  const again = element("button", "Another text", { type: "button", className: "button" });
  const sliders = SLIDERS.map(([name, label, max]) => {
    const input = Object.assign(document.createElement("input"), { type: "range", max, step: 0.1 });
    input.id = `draw-${name}`;
    return [name, label, input];
  });
  const draw = () => {
    const values = Object.fromEntries(sliders.map(([name, , input]) => [name, Number(input.value)]));
    show(drawCaptcha(chosen(), text.value, values, seed), text.value);
  };
  const reset = () => {
    const values = slidersOf(chosen());
    for (const [name, , input] of sliders) input.value = values[name];
  };
  const another = () => {
    seed += 1;
    const random = randomNumbers(seed);
    const count = fewest + Math.floor(random() * (Math.min(longest, 6) - fewest + 1));
    const pick = () => characters[Math.floor(random() * characters.length)];
    text.value = Array.from({ length: Math.max(count, fewest) }, pick).join("");
    draw();
  };
  const labelled = (label, input) => {
    const around = element("label", `${label} `);
    around.append(input);
    return around;
  };
  reset();
  find("draw").append(
    labelled("Look", look),
    labelled("Text", text),
    ...sliders.map(([, label, input]) => labelled(label, input)),
    again,
  );
  for (const input of [text, ...sliders.map((slider) => slider[2])]) {
    input.addEventListener("input", draw);
  }
  look.addEventListener("change", () => {
    reset();
    draw();
  });
  again.addEventListener("click", another);
  find("drawing").addEventListener("toggle", () => find("drawing").open && !text.value && another());
}

/** The look whose characters are those that the network reads; if there is none, the last one. */
function likeliest(styles, characters) {
  const known = [...characters].sort().join("");
  const same = ({ charset }) => Array.from(charset).sort().join("") === known;
  return styles.find(same) ?? styles[styles.length - 1];
}
