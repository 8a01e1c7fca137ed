// Run by `node --test tests/web`, and by tests/integration/test_web_page.py, which adds cases from Python.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { cut, inkBox } from "../../captcha_helpers/assets/web/crop.js";

/** A picture of one opaque grey. */
function paper(width, height, grey) {
  const data = new Uint8ClampedArray(4 * width * height).fill(grey);
  for (let place = 3; place < data.length; place += 4) data[place] = 255;
  return { data, width, height };
}

function blacken({ data, width }, left, top, right, bottom) {
  for (let row = top; row < bottom; row++) {
    for (let column = left; column < right; column++) {
      data.fill(0, 4 * (row * width + column), 4 * (row * width + column) + 3);
    }
  }
}

test("a margin of a tenth of the ink's height stays, at least two pixels", () => {
  const image = paper(200, 60, 255);
  blacken(image, 50, 20, 150, 40);
  const box = inkBox(image);
  assert.deepEqual(box, { left: 48, top: 18, width: 104, height: 24 });
  const part = cut(image, box);
  assert.equal(part.data.length, 4 * 104 * 24);
  assert.deepEqual([...part.data.subarray(4 * (2 * 104 + 1), 4 * (2 * 104 + 3))], [255, 255, 255, 255, 0, 0, 0, 255]);
});

test("a picture without ink stays whole, and so does one with ink at its edges", () => {
  const whole = { left: 0, top: 0, width: 20, height: 8 };
  const image = paper(20, 8, 90);
  assert.deepEqual(inkBox(image), whole);
  blacken(image, 0, 0, 1, 1);
  blacken(image, 19, 7, 20, 8);
  assert.deepEqual(inkBox(image), whole);
});

const cases = process.env.CAPTCHA_HELPERS_CASES;

test("Python crops the same", { skip: cases ? false : "only from tests/integration/test_web_page.py" }, () => {
  const all = JSON.parse(readFileSync(cases, "utf8"));
  assert.ok(all.length > 0);
  for (const { width, height, pixels, box } of all) {
    assert.deepEqual(Object.values(inkBox({ data: Uint8ClampedArray.from(pixels), width, height })), box);
  }
});
