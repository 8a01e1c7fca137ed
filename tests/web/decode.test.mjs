// Run by `node --test tests/web`, and by tests/integration/test_web_page.py, which adds cases from Python.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import {
  alignPath,
  bestPath,
  decode,
  lengthProbability,
  softmax,
  stringProbability,
} from "../../captcha_helpers/assets/web/decode.js";
import { fitMask, isLongerThanLearned, parseCharset, parseLength } from "../../captcha_helpers/assets/web/mask.js";

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
    { index: 1, start: 0, stop: 2, peak: 0, confidence: 0.9 },
  ]);
});

test("a string's probability adds up all its paths", () => {
  const rows = [[0.6, 0.4], [0.6, 0.4]];
  close(stringProbability(rows, [1]), 0.64); // "1-", "-1" and "11"
  close(stringProbability(rows, []), 0.36);
});

test("the probability of a length adds up all strings that have it", () => {
  const rows = [[0.6, 0.3, 0.1], [0.5, 0.3, 0.2]];
  close(lengthProbability(rows, [2, 2]), 0.3 * 0.2 + 0.1 * 0.3);
  close(lengthProbability(rows, [1, 9]), 1 - 0.6 * 0.5);
});

test("a mask chooses among what it allows, and the confidence is the share of that", () => {
  const data = [0.02, 0.3, 0.28, 0.4].map(Math.log);
  const spec = { charset: "aA1", length: [1, 1], head: "ctc" };
  const read = (mask) => decode({ data, steps: 1, classes: 4 }, { ...spec, mask });
  assert.equal(read({}).text, "1");
  assert.equal(read({ ignore_case: true }).text, "a");
  assert.equal(read({ charset: "A1", ignore_case: true }).text, "A");
  close(read({ charset: "aA" }).confidence, 0.3 / 0.6);
  close(read({ charset: "aA", length: [1, 1] }).confidence, 0.3 / 0.58);
  assert.throws(() => read({ charset: "xyz" }), /none of the characters x y z/);
  assert.throws(() => read({ length: [2, 2] }), /1 frames cannot spell 2/);
});

test("look-alikes that are about as likely are named", () => {
  const spec = { charset: "0Ox", length: [1, 1], head: "ctc" };
  const data = [0.01, 0.5, 0.3, 0.19].map(Math.log);
  assert.equal(decode({ data, steps: 1, classes: 4 }, spec).characters[0].lookalikes, "O");
});

test("what people type is a charset or a length", () => {
  assert.equal(parseCharset("digits, abcdef"), "0123456789abcdef");
  assert.equal(parseCharset("a+b"), "a+b");
  assert.equal(parseCharset(" "), null);
  assert.deepEqual(parseLength("4-6"), [4, 6]);
  assert.deepEqual(parseLength("4"), [4, 4]);
  assert.equal(parseLength(""), null);
  for (const wrong of ["0", "6-4", "x", "4-"]) assert.throws(() => parseLength(wrong), /not a length/);
  assert.deepEqual(fitMask({ charset: "ab7" }, ["a", "b"]).missing, ["7"]);
  assert.ok(isLongerThanLearned({ length: [5, 9] }, [1, 4]));
  for (const mask of [{}, { length: [4, 9] }]) assert.ok(!isLongerThanLearned(mask, [1, 4]));
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

test("Python reads the same", { skip: cases ? false : "only from tests/integration/test_web_page.py" }, () => {
  const all = JSON.parse(readFileSync(cases, "utf8"));
  assert.ok(all.length > 0);
  for (const { spec, logits, text, confidence, characters } of all) {
    const reading = decode(logits, spec);
    const lookalikes = reading.characters.map((character) => character.lookalikes);
    assert.deepEqual(lookalikes, characters.map((character) => character[2]));
    assert.equal(reading.text, text);
    close(reading.confidence, confidence);
    assert.deepEqual(reading.characters.map(({ char }) => char), characters.map(([char]) => char));
    reading.characters.forEach((character, i) => close(character.confidence, characters[i][1]));
  }
});
