// Run by `node --test tests/web`, and by tests/test_web_page.py, which adds cases from Python.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import {
  alignPath,
  bestPath,
  decode,
  softmax,
  stringProbability,
} from "../../captcha_helpers/web/decode.js";

/** Logits that are sure of one class in each frame. */
function sureOf(path, classes) {
  const data = Array(path.length * classes).fill(0);
  path.forEach((index, step) => (data[step * classes + index] = 9));
  return { data, steps: path.length, classes };
}

function close(actual, expected) {
  assert.ok(Math.abs(actual - expected) < 1e-6, `${actual} is not ${expected}`);
}

test("repeated classes are one character, and a blank parts two equal ones", () => {
  const spec = { charset: "ab", length: [1, 4], head: "ctc" };
  assert.equal(decode(sureOf([1, 1, 0, 1, 2, 2], 3), spec).text, "aab");
});

test("a character outside the basic plane is one character", () => {
  const spec = { charset: "a😀中", length: [1, 4], head: "ctc" };
  assert.equal(decode(sureOf([2, 0, 3, 1], 4), spec).text, "😀中a");
});

test("a path of a forbidden length gives way to the likeliest one of an allowed length", () => {
  const rows = [[0.1, 0.8, 0.1], [0.5, 0.1, 0.4], [0.1, 0.8, 0.1]].map((row) => row.map(Math.log));
  assert.deepEqual(bestPath(rows, [1, 3]), [1, 0, 1]);
  assert.deepEqual(bestPath(rows, [3, 3]), [1, 2, 1]);
  assert.deepEqual(bestPath(rows, [1, 1]), [1, 1, 1]);
});

test("too few frames for the length are refused", () => {
  assert.throws(() => bestPath([[0, 1]], [2, 3]), /1 frames cannot spell 2 characters/);
});

test("a character's frames and its highest probability among them", () => {
  const probabilities = [[0.1, 0.9], [0.3, 0.7], [0.8, 0.2]];
  assert.deepEqual(alignPath([1, 1, 0], probabilities), [
    { index: 1, start: 0, stop: 2, confidence: 0.9 },
  ]);
});

test("a string's probability adds up all its paths", () => {
  const rows = [[0.6, 0.4], [0.6, 0.4]];
  close(stringProbability(rows, [1]), 0.64); // "1-", "-1" and "11"
  close(stringProbability(rows, []), 0.36);
});

test("softmax bears large logits", () => {
  assert.deepEqual(softmax([1000, 1000]), [0.5, 0.5]);
});

test("frames tell the likeliest character where the blank wins", () => {
  const spec = { charset: "ab", length: [1, 2], head: "ctc" };
  const data = [0, 9, 0, 9, 0, 5];
  const { frames } = decode({ data, steps: 2, classes: 3 }, spec);
  assert.deepEqual(
    frames.map(({ char, inText }) => [char, inText]),
    [["a", true], ["b", false]],
  );
});

const cases = process.env.CAPTCHA_HELPERS_CASES;

test("Python reads the same", { skip: cases ? false : "only from tests/test_web_page.py" }, () => {
  const all = JSON.parse(readFileSync(cases, "utf8"));
  assert.ok(all.length > 0);
  for (const { spec, logits, text, confidence, characters } of all) {
    const reading = decode(logits, spec);
    assert.equal(reading.text, text);
    close(reading.confidence, confidence);
    assert.deepEqual(reading.characters.map(({ char }) => char), characters.map(([char]) => char));
    reading.characters.forEach((character, i) => close(character.confidence, characters[i][1]));
  }
});
