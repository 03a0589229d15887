import assert from "node:assert/strict";
import { test } from "node:test";
import { Received } from "../../vcr_core/live_view/browser/received.js";

const LINE = { kind: "line", source: "a", minus: null, order: null, drawing: 1 };
const CHART = { id: "loss", panels: [{ layout: 0, readouts: [], traces: [LINE] }] };
const SPEC = { charts: [CHART], drawings: [{ margin: 1 }, { width: 2 }], words: {} };

function fresh(sequence, y) {
  const series = { a: { from: 0, x: y.map((_, index) => index), y } };
  return { fresh: true, follows: sequence - 1, sequence, spec: SPEC, series };
}

/** A browser that was sent something, and what it asked for since. */
function browser(message) {
  const received = new Received();
  const asked = [];
  received.tell = (name, value) => asked.push([name, value]);
  if (message) received.take(message);
  return { received, asked };
}

test("a chart gets the drawings that it names by their places", () => {
  const { received } = browser(fresh(1, [5]));
  const [panel] = received.charts.get("loss").panels;
  assert.deepEqual(panel.layout, { margin: 1 });
  assert.deepEqual(panel.traces[0].drawing, { width: 2 });
});

test("a chart of which only the name is told stays as it was", () => {
  const { received } = browser(fresh(1, [5]));
  const kept = received.charts.get("loss");
  const spec = { ...SPEC, charts: [{ id: "loss" }], drawings: [] };
  received.take({ follows: 1, sequence: 2, spec });
  assert.equal(received.charts.get("loss"), kept);
});

test("a message that was seen before is no news", () => {
  const { received } = browser(fresh(1, [5]));
  assert.equal(received.take({ follows: 1, sequence: 1 }), null);
});

test("after a lost message everything is asked for, once, and kept until it comes", () => {
  const { received, asked } = browser(fresh(1, [5]));
  for (const sequence of [3, 4])
    assert.equal(received.take({ follows: sequence - 1, sequence }), null);
  assert.deepEqual(asked, [["resend", 1]]);
  assert.deepEqual(received.numbers.series.get("a").y, [5]);
  const news = received.take(fresh(5, [5, 4]));
  assert.ok(news.isFresh && news.hasSpec);
  assert.deepEqual(received.numbers.series.get("a").y, [5, 4]);
  received.dispose();
});

test("a browser that has nothing asks for everything", () => {
  const { received, asked } = browser({ follows: 7, sequence: 8 });
  assert.deepEqual(asked, [["resend", 0]]);
  received.dispose();
});

test("frames of a layer are kept in the order in which they come", () => {
  const { received } = browser({ ...fresh(1, [5]), frames: { "r:pool": [{ step: 1 }] } });
  received.take({ follows: 1, sequence: 2, frames: { "r:pool": [{ step: 9 }] } });
  assert.deepEqual(received.frames.get("r:pool"), [{ step: 1 }, { step: 9 }]);
});
