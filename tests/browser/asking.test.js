import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Asking } from "../../vcr_core/live_view/browser/asking.js";

/** A view that shows steps of the past; `here` says which of them have come. */
function scrubbing(steps, clock) {
  mock.timers.enable({ apis: ["setTimeout"] });
  const now = mock.method(performance, "now", () => clock.ms);
  const here = new Set();
  const asked = [];
  const asking = new Asking({
    steps: () => steps,
    missing: (step) => (here.has(step) ? [] : ["m"]),
    ask: (wanted) => asked.push(wanted),
  });
  const wait = (ms) => {
    clock.ms += ms;
    mock.timers.tick(ms);
  };
  const end = () => {
    asking.stop();
    mock.timers.reset();
    now.mock.restore();
  };
  return { asking, here, asked, wait, end };
}

test("only steps whose matrices are missing are asked for", () => {
  const { asking, here, asked, end } = scrubbing([10, 20, 30], { ms: 0 });
  here.add(20);
  asking.request();
  assert.deepEqual(asked, [[10, 30]]);
  end();
});

test("a question is not repeated while its answer may be on its way", () => {
  const { asking, asked, wait, end } = scrubbing([10], { ms: 0 });
  asking.request();
  wait(1000);
  asking.request();
  assert.equal(asked.length, 1);
  end();
});

test("a question that was lost is asked again, more and more rarely", () => {
  const { asking, asked, wait, end } = scrubbing([10], { ms: 0 });
  asking.request();
  const times = [];
  for (let ms = 0; ms < 60_000; ms += 500) {
    const before = asked.length;
    wait(500);
    if (asked.length > before) times.push(ms + 500);
  }
  assert.deepEqual(times.slice(0, 3), [1500, 4500, 10500]);
  const pauses = times.slice(1).map((time, index) => time - times[index]);
  assert.equal(Math.max(...pauses), 12_000);
  end();
});

test("what an answer leaves out does not exist and is not asked for again", () => {
  const { asking, asked, wait, end } = scrubbing([10], { ms: 0 });
  asking.request();
  asking.arrived([10]);
  wait(30_000);
  assert.equal(asked.length, 1);
  asking.forget();
  asking.request();
  assert.equal(asked.length, 2);
  end();
});
