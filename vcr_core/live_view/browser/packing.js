// Arrays as they travel: base64 of whole numbers with a scale (packing.py).

export function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** base64 of little-endian integers and a scale -> {step, limit, steps, rows}. */
export function unpacked({ step, shape, triangle, bits, scale, limit, data, steps }) {
  const { buffer } = bytesOf(data);
  const whole = bits === 8 ? new Int8Array(buffer) : shorts(buffer);
  const least = -(2 ** (bits - 1));
  const value = (index) => (whole[index] === least ? null : whole[index] * scale);
  const width = shape[shape.length - 1];
  const height = shape.length === 1 ? 1 : shape[0];
  const place = (i, j) => {
    if (!triangle) return i * width + j;
    return i < j ? place(j, i) : (i * (i + 1)) / 2 + j;
  };
  const row = (i) => Array.from({ length: width }, (_, j) => value(place(i, j)));
  return { step, limit, steps, rows: Array.from({ length: height }, (_, i) => row(i)) };
}

/** Little-endian int16, whatever this machine's own order of bytes. */
function shorts(buffer) {
  const view = new DataView(buffer);
  return Int16Array.from({ length: buffer.byteLength / 2 }, (_, index) =>
    view.getInt16(2 * index, true),
  );
}
