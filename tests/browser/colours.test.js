import assert from "node:assert/strict";
import { test } from "node:test";
import { isDark, pixels, resolved } from "../../vcr_core/live_view/browser/colours.js";

test("tokens become the theme's colours, however deep they stand; all else stays", () => {
  const theme = { ink: "#111111", diverging: [[0, "red"]] };
  const drawing = { line: { color: "$ink", width: 2 }, scale: ["$diverging", "red", null, true] };
  assert.deepEqual(resolved(drawing, theme), {
    line: { color: "#111111", width: 2 },
    scale: [[[0, "red"]], "red", null, true],
  });
});

test("a dark page is told from a light one by how bright an eye sees it", () => {
  assert.equal(isDark([255, 255, 255, 255]), false);
  assert.equal(isDark([14, 17, 23, 255]), true);
  assert.equal(isDark([0, 0, 255, 255]), true);
  assert.equal(isDark([0, 255, 0, 255]), false);
});

test("a page without a colour of its own is not dark", () => {
  assert.equal(isDark([0, 0, 0, 0]), false);
});

test("a triangle of numbers becomes a symmetric picture", () => {
  const colours = Uint8ClampedArray.from({ length: 4 * 255 }, (_, index) => index >> 2);
  const picture = pixels(2, Int8Array.from([-127, 0, 127]), colours);
  const first = Array.from({ length: 4 }, (_, index) => picture[4 * index]);
  assert.deepEqual(first, [0, 127, 127, 254]);
});
