import assert from "node:assert/strict";
import { test } from "node:test";
import { filledIn, shown } from "../../vcr_core/live_view/browser/wording.js";

test("numbers have as many digits as can be told apart at a glance", () => {
  const said = [0, 0.5, 1.234, 12.34, 123.4, 12345, 0.00012].map((value) => shown(value, "number"));
  assert.deepEqual(said, ["0", "0.500", "1.23", "12.3", "123", "1.2e4", "1.2e-4"]);
  assert.equal(shown(0.1234, "percent"), "12.3 %");
});

test("what is not there yet is a dash", () => {
  assert.equal(shown(null, "number"), "–");
  assert.equal(shown(undefined, "percent"), "–");
});

test("places in a sentence are filled in", () => {
  assert.equal(filledIn("step {step} of {total}", { step: 3, total: 9 }), "step 3 of 9");
});
