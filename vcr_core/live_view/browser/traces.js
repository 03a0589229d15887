// What each kind of trace takes from the numbers. A new kind is one more entry here, and its
// drawing in figures/drawing.py.

/**
 * What a kind may ask for: arrays at the step shown, series, how far colours reach.
 * @typedef {object} Read
 * @property {(name: string) => any} array
 * @property {(name: string) => any} order
 * @property {(name: string) => {x: number[], y: (number | null)[]}} series
 * @property {(run: string) => boolean} isVisible
 * @property {() => number} limit
 * @property {number} mostDots
 */

/**
 * Each kind: whether it shows one step or all, and what its drawing is filled with.
 * @type {Record<string, {isSnapshot?: boolean, filled: (trace: any, read: Read) => object}>}
 */
const KINDS = {
  heatmap: {
    isSnapshot: true,
    filled: (trace, read) => {
      const limit = read.limit();
      return { z: matrix(trace, read), zmin: -limit, zmax: limit };
    },
  },
  profile: {
    isSnapshot: true,
    filled: (trace, read) => {
      const y = read.array(trace.source)?.rows[0] ?? [];
      return { x: y.map((_, index) => index + 1), y, visible: read.isVisible(trace.run) };
    },
  },
  timeline: {
    filled: (trace, read) => {
      const array = read.array(trace.source);
      return { x: array?.steps ?? [], z: transposed(array?.rows ?? []) };
    },
  },
  line: { filled: line },
  band: { filled: line },
  "band-edge": { filled: line },
};

export function isSnapshot(trace) {
  return Boolean(KINDS[trace.kind].isSnapshot);
}

/** What Plotly draws, but for the looks. */
export function filled(trace, read) {
  return KINDS[trace.kind].filled(trace, read);
}

/** All names under which a panel's numbers stand. */
export function sourcesOf({ traces, readouts }) {
  const drawn = traces.flatMap(({ source, minus, order }) => [source, minus, order]);
  return [...drawn, ...readouts.map(({ source }) => source)].filter(Boolean);
}

function line(trace, read) {
  const series = read.series(trace.source);
  const dotless = series.x.length > read.mostDots ? { mode: "lines" } : {};
  return { ...series, ...dotless, visible: read.isVisible(trace.run) };
}

/** Rows of a heatmap: minus another matrix, its features in the asked order. */
function matrix(trace, read) {
  let rows = read.array(trace.source)?.rows ?? [];
  const other = trace.minus && read.array(trace.minus)?.rows;
  if (trace.minus && !other) return [];
  if (other) rows = rows.map((row, i) => row.map((value, j) => minus(value, other[i]?.[j])));
  const order = trace.order && read.order(trace.order)?.rows[0];
  if (!order || order.length !== rows.length) return rows;
  const places = order.map(Math.round);
  return places.map((i) => places.map((j) => rows[i][j]));
}

function minus(value, other) {
  return value === null ? null : value - other;
}

export function transposed(rows) {
  return rows.length ? rows[0].map((_, column) => rows.map((row) => row[column])) : [];
}
