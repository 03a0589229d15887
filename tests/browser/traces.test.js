import assert from "node:assert/strict";
import { test } from "node:test";
import { filled, isSnapshot, sourcesOf } from "../../vcr_core/live_view/browser/traces.js";

const ARRAYS = {
  m: {
    rows: [
      [1, 2],
      [3, 4],
    ],
    steps: [5, 6],
  },
  other: {
    rows: [
      [1, 1],
      [1, null],
    ],
  },
  order: { rows: [[1, 0]] },
};

/** What a trace may ask for. */
function read(series = {}) {
  return {
    array: (name) => ARRAYS[name],
    order: (name) => ARRAYS[name],
    series: (name) => series[name] ?? { x: [], y: [] },
    isVisible: (run) => run !== "hidden",
    limit: () => 3,
    mostDots: 2,
  };
}

test("of a heatmap another one is subtracted, and its features are put in order", () => {
  const trace = { kind: "heatmap", source: "m", minus: "other", order: "order" };
  const { z, zmin, zmax } = filled(trace, read());
  assert.deepEqual(z[1], [1, 0]);
  assert.deepEqual([zmin, zmax], [-3, 3]);
});

test("a difference waits until both matrices are there", () => {
  const trace = { kind: "heatmap", source: "m", minus: "unknown" };
  assert.deepEqual(filled(trace, read()).z, []);
});

test("a timeline has its steps across and its bins upwards", () => {
  const { x, z } = filled({ kind: "timeline", source: "m" }, read());
  assert.deepEqual(
    [x, z[0]],
    [
      [5, 6],
      [1, 3],
    ],
  );
});

test("a long line loses its dots, and a hidden run its lines", () => {
  const series = { a: { x: [1, 2, 3], y: [1, 1, 1] }, b: { x: [1], y: [1] } };
  assert.equal(filled({ kind: "line", source: "a", run: "r" }, read(series)).mode, "lines");
  assert.equal("mode" in filled({ kind: "line", source: "b", run: "r" }, read(series)), false);
  assert.equal(filled({ kind: "band", source: "b", run: "hidden" }, read(series)).visible, false);
});

test("matrices and profiles show one step, curves all of them", () => {
  const kinds = ["heatmap", "profile", "line", "band", "band-edge", "timeline"];
  const single = kinds.filter((kind) => isSnapshot({ kind }));
  assert.deepEqual(single, ["heatmap", "profile"]);
});

test("a panel names every number that it shows, once it has a name", () => {
  const traces = [{ source: "m", minus: null, order: "order" }];
  assert.deepEqual(sourcesOf({ traces, readouts: [{ source: "a" }] }), ["m", "order", "a"]);
});
