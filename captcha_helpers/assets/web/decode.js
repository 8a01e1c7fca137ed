/**
 * From a network's logits to text: what core/ctc.py and reading/recognizer.py do in Python, with
 * the same results. Pure functions: no page, no network, so Node can test them.
 *
 * @typedef {object} Logits The scores of one image.
 * @property {ArrayLike<number>} data steps * classes numbers, a row for each frame (or position).
 * @property {number} steps Frames from left to right, or positions.
 * @property {number} classes Class 0 is the blank, class i + 1 is character i of the charset.
 *
 * @typedef {object} Spec What metadata.json says of the model, as far as it is needed here.
 * @property {string} charset
 * @property {[number, number]} length Fewest and most characters of a string.
 * @property {"ctc" | "per_position"} head
 *
 * @typedef {{char: string, confidence: number}} Character
 * @typedef {{char: string, probability: number, inText: boolean}} Frame The likeliest character of
 *   a frame (the blank left aside), and whether the reading takes it.
 *
 * @typedef {object} Reading
 * @property {string} text
 * @property {number} confidence The probability that the network gives to the text, 0 to 1.
 * @property {Character[]} characters
 * @property {Frame[]} frames None for a per_position head, whose positions are no columns.
 */

const BLANK = 0;

/**
 * Read one image.
 *
 * @param {Logits} logits
 * @param {Spec} spec
 * @returns {Reading}
 */
export function decode(logits, spec) {
  const charset = Array.from(spec.charset); // by code points, as Python has them
  const rows = rowsOf(logits);
  if (spec.head === "per_position") return decodePositions(rows, charset);
  return decodeFrames(rows, charset, spec.length);
}

function decodeFrames(rows, charset, length) {
  const path = bestPath(rows, length);
  const probabilities = rows.map(softmax);
  const spans = alignPath(path, probabilities);
  return {
    text: spans.map((span) => charset[span.index - 1]).join(""),
    confidence: stringProbability(probabilities, spans.map((span) => span.index)),
    characters: spans.map(({ index, confidence }) => ({ char: charset[index - 1], confidence })),
    frames: probabilities.map((row, step) => {
      const best = argmax(row, BLANK);
      return { char: charset[best - 1], probability: row[best], inText: path[step] !== BLANK };
    }),
  };
}

function decodePositions(rows, charset) {
  const sure = rows.map((row) => Math.max(...softmax(row)));
  const characters = rows
    .map((row, position) => ({ char: charset[argmax(row) - 1], confidence: sure[position] }))
    .filter(({ char }) => char !== undefined); // the blank
  return {
    text: characters.map(({ char }) => char).join(""),
    confidence: sure.reduce((product, chance) => product * chance, 1),
    characters,
    frames: [],
  };
}

/**
 * The likeliest class of each frame; if they spell too few or too many characters, the likeliest
 * path that spells an allowed number.
 *
 * @param {number[][]} rows
 * @param {[number, number]} length
 * @returns {number[]} A class for each frame.
 */
export function bestPath(rows, [fewest, most]) {
  if (fewest > rows.length) {
    throw new RangeError(`${rows.length} frames cannot spell ${fewest} characters`);
  }
  const path = rows.map((row) => argmax(row));
  const count = path.filter((index, step) => index !== BLANK && index !== path[step - 1]).length;
  return count < fewest || count > most ? bestPathOfLength(rows, fewest, most) : path;
}

/** Viterbi's algorithm over (characters so far, class of this frame). */
function bestPathOfLength(rows, fewest, most) {
  // score[k][c]: the best path so far that has written k characters and stands on class c
  let score = Array.from({ length: most + 1 }, () => rows[0].map(() => -Infinity));
  score[0][BLANK] = 0; // a blank before the first frame changes nothing
  const cameFrom = []; // cameFrom[t][k][c]: class of the frame before
  for (const gain of rows) {
    const first = score.map((row) => argmax(row)); // the best class to come from
    const second = score.map((row, k) => argmax(row, first[k])); // and the best other one
    const origin = score.map((row, k) =>
      row.map((stay, c) => {
        if (c === BLANK) return first[k];
        if (k === 0) return c;
        // To write class c, the frame before has one character less and stands on another class.
        const other = first[k - 1] === c ? second[k - 1] : first[k - 1];
        return score[k - 1][other] > stay ? other : c;
      }),
    );
    score = origin.map((row, k) =>
      row.map((from, c) => score[c === BLANK || from === c ? k : k - 1][from] + gain[c]),
    );
    cameFrom.push(origin);
  }
  return walkBack(score, cameFrom, fewest);
}

function walkBack(score, cameFrom, fewest) {
  const classes = score[0].length;
  const last = argmax(score.slice(fewest).flat());
  let count = fewest + Math.floor(last / classes);
  let index = last % classes;
  const path = [];
  for (const origin of [...cameFrom].reverse()) {
    path.unshift(index);
    const before = origin[count][index];
    if (index !== BLANK && index !== before) count -= 1;
    index = before;
  }
  return path;
}

/**
 * Which frames each character of a path comes from.
 *
 * @param {number[]} path
 * @param {number[][]} probabilities
 * @returns {{index: number, start: number, stop: number, confidence: number}[]} From left to right;
 *   the confidence is the character's highest probability within its frames.
 */
export function alignPath(path, probabilities) {
  const spans = [];
  path.forEach((index, step) => {
    if (index === BLANK) return;
    if (index !== path[step - 1]) spans.push({ index, start: step, stop: step, confidence: 0 });
    const span = spans.at(-1);
    span.stop = step + 1;
    span.confidence = Math.max(span.confidence, probabilities[step][index]);
  });
  return spans;
}

/**
 * The probability of all paths that spell a string: the forward pass of CTC.
 *
 * @param {number[][]} probabilities
 * @param {number[]} indices The string's classes, without blanks.
 * @returns {number}
 */
export function stringProbability(probabilities, indices) {
  const classes = [BLANK, ...indices.flatMap((index) => [index, BLANK])];
  let chance = classes.map((_, state) => (state === 0 ? 1 : 0)); // before the first frame
  for (const row of probabilities) {
    chance = classes.map((index, state) => {
      const skips = index !== BLANK && index !== classes[state - 2]; // straight from a character
      const skipped = skips ? (chance[state - 2] ?? 0) : 0;
      return (chance[state] + (chance[state - 1] ?? 0) + skipped) * row[index];
    });
  }
  return chance.at(-1) + (chance.at(-2) ?? 0);
}

/** @param {number[]} row @returns {number[]} Probabilities, which add up to 1. */
export function softmax(row) {
  const highest = Math.max(...row);
  const powers = row.map((score) => Math.exp(score - highest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/** The place of the highest number, the first one on a tie; `except` counts as minus infinity. */
function argmax(row, except = -1) {
  let best = 0;
  let highest = -Infinity;
  row.forEach((value, place) => {
    if (place !== except && value > highest) [best, highest] = [place, value];
  });
  return best;
}

function rowsOf({ data, steps, classes }) {
  const values = Array.from(data);
  const starts = Array.from({ length: steps }, (_, step) => step * classes);
  return starts.map((start) => values.slice(start, start + classes));
}
