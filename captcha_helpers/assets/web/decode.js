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
 * @property {import("./mask.js").Mask} [mask] What is known of the strings.
 *
 * @typedef {{char: string, confidence: number, lookalikes: string}} Character The lookalikes are
 *   about as likely there, and look like it.
 * @typedef {{char: string, probability: number, inText: boolean}} Frame The likeliest character of
 *   a frame (the blank left aside), and whether the reading takes it.
 *
 * @typedef {object} Reading
 * @property {string} text
 * @property {number} confidence The probability that the network gives to the text, 0 to 1; if
 *   there is a mask, among the strings that it allows.
 * @property {Character[]} characters
 * @property {Frame[]} frames None for a per_position head, whose positions are no columns.
 */

import { fitMask, MaskError } from "./mask.js";

const BLANK = 0;

const LOOKALIKES = "0Oo 1Iil| 2Zz 5Ss 6b 8B 9gq Cc Kk Pp Uu Vv Ww Xx".split(" ");
const COMPARABLE = 0.25; // of the probability of the character that was read

/**
 * Read one image.
 *
 * @param {Logits} logits
 * @param {Spec} spec
 * @returns {Reading}
 */
export function decode(logits, spec) {
  const mask = spec.mask ?? {};
  const { charset, classes } = fitMask(mask, Array.from(spec.charset)); // code points, as in Python
  const rows = rowsOf(logits).map((row) => classes.map((group) => logOfSum(group.map((i) => row[i]))));
  const read = spec.head === "per_position" ? decodePositions : decodeFrames;
  return read(rows, charset, mask.length ?? null, spec.length);
}

function decodeFrames(rows, charset, told, learned) {
  const path = bestPath(rows, told ?? learned);
  const probabilities = rows.map(softmax);
  const spans = alignPath(path, probabilities);
  const indices = spans.map((span) => span.index);
  const chance = logOfString(probabilities, indices);
  return {
    text: indices.map((index) => charset[index - 1]).join(""),
    confidence: Math.min(1, Math.exp(chance - (told ? logOfLengths(probabilities, told) : 0))),
    characters: spans.map(({ index, peak }) => characterOf(index, probabilities[peak], charset)),
    frames: probabilities.map((row, step) => {
      const best = argmax(row, BLANK);
      return { char: charset[best - 1], probability: row[best], inText: path[step] !== BLANK };
    }),
  };
}

function decodePositions(rows, charset, told) {
  const [fewest, most] = told ?? [0, rows.length];
  if (fewest > rows.length) {
    throw new MaskError(`${rows.length} positions cannot hold ${fewest} characters.`);
  }
  const probabilities = rows.map((row, position) =>
    softmax(row.map((score, i) => ((i === BLANK ? position < fewest : position >= most) ? -Infinity : score))),
  );
  const best = probabilities.map((row) => argmax(row));
  const characters = best
    .map((index, position) => index !== BLANK && characterOf(index, probabilities[position], charset))
    .filter(Boolean);
  return {
    text: characters.map(({ char }) => char).join(""),
    confidence: best.reduce((product, index, position) => product * probabilities[position][index], 1),
    characters,
    frames: [],
  };
}

/** A character, how sure the network is of it, and what it might be as well. */
function characterOf(index, row, charset) {
  const char = charset[index - 1];
  const group = LOOKALIKES.find((alike) => alike.includes(char)) ?? "";
  const lookalikes = charset.filter(
    (other, i) => other !== char && group.includes(other) && row[i + 1] >= COMPARABLE * row[index],
  );
  return { char, confidence: row[index], lookalikes: lookalikes.join("") };
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
  const alike = rows[0].length === 2; // one character only: a blank between each two
  if ((alike ? 2 * fewest - 1 : fewest) > rows.length) {
    throw new MaskError(
      `${rows.length} frames cannot spell ${fewest} characters${alike ? " that are all the same" : ""}.`,
    );
  }
  const path = rows.map((row) => argmax(row));
  const count = path.filter((index, step) => index !== BLANK && index !== path[step - 1]).length;
  return count < fewest || count > most ? bestPathOfLength(rows, fewest, Math.min(most, rows.length)) : path;
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
 * @returns {{index: number, start: number, stop: number, peak: number, confidence: number}[]} From
 *   left to right; the confidence is the character's highest probability within its frames, and
 *   stands at the frame `peak`.
 */
export function alignPath(path, probabilities) {
  const spans = [];
  path.forEach((index, step) => {
    if (index === BLANK) return;
    const chance = probabilities[step][index];
    if (index !== path[step - 1]) {
      spans.push({ index, start: step, stop: step, peak: step, confidence: chance });
    }
    const span = spans.at(-1);
    span.stop = step + 1;
    if (chance > span.confidence) [span.peak, span.confidence] = [step, chance];
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
  return Math.exp(logOfString(probabilities, indices));
}

function logOfString(probabilities, indices) {
  const classes = [BLANK, ...indices.flatMap((index) => [index, BLANK])];
  let chance = classes.map((_, state) => (state === 0 ? 0 : -Infinity)); // before the first frame
  for (const row of probabilities) {
    chance = classes.map((index, state) => {
      const ways = [chance[state], chance[state - 1] ?? -Infinity];
      const skips = state > 1 && index !== BLANK && index !== classes[state - 2];
      if (skips) ways.push(chance[state - 2]); // straight from a character
      return logOfSum(ways) + Math.log(row[index]);
    });
  }
  return logOfSum(chance.slice(-2));
}

/**
 * The probability of all strings with an allowed number of characters.
 *
 * @param {number[][]} probabilities
 * @param {[number, number]} length
 * @returns {number}
 */
export function lengthProbability(probabilities, length) {
  return Math.exp(logOfLengths(probabilities, length));
}

function logOfLengths(probabilities, [fewest, most]) {
  // exp(scale[k]) * share[k][c]: the chance to have written k characters and stand on class c. Each
  // k has a scale of its own, so that an unlikely number of them does not round to 0.
  const counts = Array.from({ length: Math.min(most, probabilities.length) + 1 }, (_, k) => k);
  let share = counts.map((k) => probabilities[0].map((_, c) => (k === 0 && c === BLANK ? 1 : 0)));
  let scale = counts.map((k) => (k === 0 ? 0 : -Infinity));
  for (const row of probabilities) {
    const totals = share.map(sum);
    const others = share.map(sumsOfOthers);
    const both = counts.map((k) => Math.max(scale[k], scale[k - 1] ?? -Infinity, -1e300));
    const next = counts.map((k) => {
      const stay = Math.exp(scale[k] - both[k]);
      const move = k === 0 ? 0 : Math.exp(scale[k - 1] - both[k]);
      return row.map((gain, c) => {
        if (c === BLANK) return gain * totals[k] * stay;
        return gain * (share[k][c] * stay + (k === 0 ? 0 : others[k - 1][c] * move));
      });
    });
    const highest = next.map((one) => Math.max(...one));
    share = next.map((one, k) => one.map((value) => value / Math.max(highest[k], 1e-300)));
    scale = counts.map((k) => both[k] + Math.log(highest[k]));
  }
  return logOfSum(counts.slice(fewest).map((k) => scale[k] + Math.log(sum(share[k]))));
}

/**
 * For each value, the sum of all others: the whole sum less the value, but for the highest one, where
 * so little may be left that the difference would be wrong.
 */
function sumsOfOthers(values) {
  const total = sum(values);
  const highest = argmax(values);
  const rest = sum(values.filter((_, place) => place !== highest));
  return values.map((value, place) => (place === highest ? rest : total - value));
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

/** Add up what is given as logarithms. */
function logOfSum(logarithms) {
  if (logarithms.length === 1) return logarithms[0];
  const highest = Math.max(...logarithms);
  if (highest === -Infinity) return highest;
  return highest + Math.log(sum(logarithms.map((value) => Math.exp(value - highest))));
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
