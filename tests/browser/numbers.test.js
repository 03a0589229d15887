import assert from "node:assert/strict";
import { test } from "node:test";
import { GapError, Numbers } from "../../vcr_core/live_view/browser/numbers.js";
import { row } from "./packed.js";

function withSeries(series) {
  const numbers = new Numbers();
  numbers.add({ series });
  return numbers;
}

test("new points are put behind those that are there", () => {
  const numbers = withSeries({ a: { from: 0, x: [0, 1], y: [5, 4] } });
  const changed = numbers.add({ series: { a: { from: 2, x: [2], y: [3] } } });
  assert.deepEqual(numbers.series.get("a"), { x: [0, 1, 2], y: [5, 4, 3] });
  assert.deepEqual([...changed], ["a"]);
  assert.equal(numbers.points, 3);
});

test("points that are told again replace what stood in their places", () => {
  const numbers = withSeries({ a: { from: 0, x: [0, 1, 2], y: [5, 4, 3] } });
  numbers.add({ series: { a: { from: 1, x: [1, 2], y: [9, 8] } } });
  assert.deepEqual(numbers.series.get("a").y, [5, 9, 8]);
});

test("points with a gap before them are refused", () => {
  const numbers = withSeries({ a: { from: 0, x: [0], y: [5] } });
  assert.throws(() => numbers.add({ series: { a: { from: 2, x: [2], y: [3] } } }), GapError);
  assert.throws(() => numbers.add({ series: { b: { from: 1, x: [1], y: [3] } } }), GapError);
});

test("the latest value is the last finite one, at the step shown", () => {
  const numbers = withSeries({ a: { from: 0, x: [0, 10, 20], y: [1, 2, null] } });
  assert.equal(numbers.latest("a"), 2);
  assert.equal(numbers.latest("a", 9), 1);
  assert.equal(numbers.latest("unknown"), null);
});

test("twins are compared at the last step that both have reached", () => {
  const numbers = withSeries({
    slow: { from: 0, x: [0, 8, 16], y: [0.1, 0.2, null] },
    fast: { from: 0, x: [0, 8, 16, 24], y: [0.3, 0.4, 0.5, 0.6] },
  });
  assert.deepEqual(numbers.latestPair("slow", "fast"), [0.2, 0.4]);
  assert.deepEqual(numbers.latestPair("slow", "fast", 7), [0.1, 0.3]);
  assert.equal(numbers.latestPair("slow", "unknown"), null);
});

test("a matrix of the past is there once it has come, the newest for every later step", () => {
  const numbers = new Numbers();
  numbers.add({ arrays: { m: row(20, [2]) } });
  assert.equal(numbers.arrayAt("m", 10), undefined);
  numbers.add({ past: [{ source: "m", asked: 10, ...row(8, [1]) }] });
  assert.equal(numbers.arrayAt("m", 10).step, 8);
  assert.equal(numbers.arrayAt("m", null).step, 20);
  assert.equal(numbers.arrayAt("m", 30).step, 20);
});

test("a timeline shows all steps, so there is one for every step", () => {
  const numbers = new Numbers();
  numbers.add({ arrays: { t: row(20, [2], { steps: [20] }) } });
  assert.equal(numbers.arrayAt("t", 3).step, 20);
});

test("of a long run the browser forgets the matrices that it got first", () => {
  const numbers = new Numbers();
  for (let step = 0; step < 300; step++) numbers.add({ arrays: { m: row(step, [1]) } });
  assert.equal(numbers.arrayAt("m", 0), undefined);
  assert.equal(numbers.arrayAt("m", 100).step, 100);
});

test("what no chart shows any more is dropped", () => {
  const numbers = withSeries({ a: { from: 0, x: [0], y: [1] }, b: { from: 0, x: [0], y: [1] } });
  numbers.keepOnly(new Set(["b"]));
  assert.deepEqual([...numbers.series.keys()], ["b"]);
});
