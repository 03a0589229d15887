// The numbers that the live view has received.
// Part of one module: component.py joins the scripts of this folder.

/** What has been received: series, arrays and marks, and the place in the sequence. */
class Numbers {
  constructor() {
    this.series = new Map();
    this.arrays = new Map();
    this.past = new Map();
    this.marks = { shapes: [], annotations: [], texts: [] };
  }

  /** Add a message; returns the names of everything that changed. */
  add(message) {
    const changed = new Set();
    for (const [name, { from, x, y }] of Object.entries(message.series ?? {})) {
      const known = this.series.get(name) ?? { x: [], y: [] };
      if (from > known.x.length) throw new GapError(name);
      this.series.set(name, { x: known.x.slice(0, from).concat(x), y: known.y.slice(0, from).concat(y) });
      changed.add(name);
    }
    for (const [name, packed] of Object.entries(message.arrays ?? {})) {
      const array = unpacked(packed);
      this.arrays.set(name, array);
      this.keep(name, array.step, array);
      changed.add(name);
    }
    for (const { source, asked, ...packed } of message.past ?? []) {
      this.keep(source, asked, unpacked(packed));
      changed.add(source);
    }
    return changed;
  }

  keep(name, step, array) {
    if (array.steps) return;
    if (!this.past.has(name)) this.past.set(name, new Map());
    const kept = this.past.get(name);
    kept.set(step, array);
    if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
  }

  /** An array at a step (null: the newest); undefined where it has to be asked for. */
  arrayAt(name, step) {
    const newest = this.arrays.get(name);
    return step === null || newest?.steps || newest?.step <= step ? newest : this.past.get(name)?.get(step);
  }

  keepOnly(names) {
    for (const held of [this.series, this.arrays, this.past])
      for (const name of held.keys()) if (!names.has(name)) held.delete(name);
  }

  get points() {
    let count = 0;
    for (const { x } of this.series.values()) count += x.length;
    return count;
  }

  /** The last finite value of a series, up to a step where one is given. */
  latest(name, step = null) {
    const { x, y } = this.series.get(name) ?? { x: [], y: [] };
    for (let index = y.length - 1; index >= 0; index--)
      if (y[index] !== null && (step === null || x[index] <= step)) return y[index];
    return null;
  }

  /** The values of two series at the last step that both have, or null: twins differ in pace. */
  latestPair(one, other, step = null) {
    const [a, b] = [one, other].map((name) => this.series.get(name) ?? { x: [], y: [] });
    const places = new Map(b.x.map((step, index) => [step, index]));
    for (let index = a.x.length - 1; index >= 0; index--) {
      const place = places.get(a.x[index]);
      if (step !== null && a.x[index] > step) continue;
      if (place !== undefined && a.y[index] !== null && b.y[place] !== null)
        return [a.y[index], b.y[place]];
    }
    return null;
  }
}

const MOST_KEPT = 240; // matrices of the past that the browser remembers, per source

class GapError extends Error {}

/** base64 of little-endian integers and a scale -> {step, limit, rows} (see packed() in packing.py). */
function unpacked({ step, shape, triangle, bits, scale, limit, data, steps }) {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const whole = bits === 8 ? new Int8Array(bytes.buffer) : shorts(bytes.buffer);
  const least = -(2 ** (bits - 1));
  const value = (index) => (whole[index] === least ? null : whole[index] * scale);
  const width = shape[shape.length - 1];
  const height = shape.length === 1 ? 1 : shape[0];
  const place = (i, j) => (!triangle ? i * width + j : i < j ? place(j, i) : (i * (i + 1)) / 2 + j);
  const row = (i) => Array.from({ length: width }, (_, j) => value(place(i, j)));
  return { step, limit, steps, rows: Array.from({ length: height }, (_, i) => row(i)) };
}

/** Little-endian int16, whatever this machine's own order of bytes. */
function shorts(buffer) {
  const view = new DataView(buffer);
  return Int16Array.from({ length: buffer.byteLength / 2 }, (_, index) => view.getInt16(2 * index, true));
}
