import assert from "node:assert/strict";
import { test } from "node:test";
import { unpacked } from "../../vcr_core/live_view/browser/packing.js";
import { base64, row } from "./packed.js";

test("a triangle becomes the whole symmetric matrix", () => {
  const data = base64([1, 2, 3, 4, 5, 6], 16);
  const packed = { step: 7, shape: [3, 3], triangle: true, bits: 16, scale: 0.5, limit: 2, data };
  assert.deepEqual(unpacked(packed), {
    step: 7,
    limit: 2,
    steps: undefined,
    rows: [
      [0.5, 1, 2],
      [1, 1.5, 2.5],
      [2, 2.5, 3],
    ],
  });
});

test("a vector is one row", () => {
  const packed = row(0, [3, -2, 1], { shape: [3] });
  assert.deepEqual(unpacked(packed).rows, [[3, -2, 1]]);
});

test("the smallest integer stands for what is not a finite number, in 8 bits and in 16", () => {
  for (const [bits, least] of [
    [8, -128],
    [16, -32768],
  ]) {
    const packed = row(0, [], { shape: [1, 2], bits, data: base64([least, least + 1], bits) });
    assert.deepEqual(unpacked(packed).rows, [[null, least + 1]]);
  }
});

test("a timeline keeps its steps", () => {
  const packed = row(9, [], { shape: [2, 1], bits: 8, data: base64([5, 6], 8), steps: [1, 9] });
  const { rows, steps } = unpacked(packed);
  assert.deepEqual(
    [rows, steps],
    [
      [[5], [6]],
      [1, 9],
    ],
  );
});
