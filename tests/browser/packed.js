// Arrays as Python sends them, made by hand.

/** Base64 of little-endian integers of 8 or 16 bits. */
export function base64(whole, bits) {
  const view = new DataView(new ArrayBuffer((whole.length * bits) / 8));
  whole.forEach((value, index) => {
    if (bits === 8) view.setInt8(index, value);
    else view.setInt16(2 * index, value, true);
  });
  return Buffer.from(view.buffer).toString("base64");
}

/** A matrix of one row, of whole numbers. */
export function row(step, values, more = {}) {
  const data = base64(values, 16);
  const shape = [1, values.length];
  return { step, shape, triangle: false, bits: 16, scale: 1, limit: 1, data, ...more };
}
