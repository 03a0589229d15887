// The numbers that a feed has sent.

import { unpacked } from "./packing.js";

const MOST_KEPT = 240; // matrices of the past that the browser remembers, per source

/** A message follows one that was not received. */
export class GapError extends Error {}

/** Series, arrays at the newest step and at steps of the past, and marks. */
export class Numbers {
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
      this.series.set(name, {
        x: known.x.slice(0, from).concat(x),
        y: known.y.slice(0, from).concat(y),
      });
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
    return step === null || newest?.steps || newest?.step <= step
      ? newest
      : this.past.get(name)?.get(step);
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
