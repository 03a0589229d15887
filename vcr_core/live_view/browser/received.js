// What one feed has sent: kept once, however many views of it stand on the page.
// Python sends drawings once and numbers since a cursor (feed.py says how); a gap in the sequence is
// answered by asking for everything again.

import { GapError, Numbers } from "./numbers.js";
import { sourcesOf } from "./traces.js";

const RESEND_AFTER_MS = 2000;

export class Received {
  constructor() {
    /** @type {(name: string, value: unknown) => void} */
    this.tell = () => {};
    this.numbers = new Numbers();
    this.frames = new Map(); // "run:layer" -> frames in the order of their steps
    this.charts = new Map(); // by id, with their drawings
    /** @type {any} all else that is told once */
    this.page = null;
    /** @type {number | undefined} */
    this.sequence = undefined;
    this.ticks = 0;
    this.resends = 0;
    this.askedAt = -Infinity;
  }

  /** Take a message; returns what of it is new, or null where there is nothing. */
  take(message) {
    if (message.sequence === this.sequence) return null;
    if (!message.fresh && message.follows !== this.sequence) return this.resend();
    if (message.fresh) {
      this.numbers = new Numbers();
      this.frames.clear();
    }
    try {
      const news = this.add(message);
      clearTimeout(this.again);
      this.sequence = message.sequence;
      this.ticks += 1;
      return news;
    } catch (error) {
      if (!(error instanceof GapError)) throw error;
      return this.resend();
    }
  }

  add(message) {
    if (message.spec) this.keepSpec(message.spec);
    const changed = this.numbers.add(message);
    for (const [name, frames] of Object.entries(message.frames ?? {}))
      if (this.frames.has(name)) this.frames.get(name).push(...frames);
      else this.frames.set(name, [...frames]);
    if (message.marks) this.numbers.marks = message.marks;
    return {
      isFresh: Boolean(message.fresh),
      hasSpec: Boolean(message.spec),
      hasFrames: Boolean(message.frames),
      hasMarks: Boolean(message.marks),
      answered: message.answered,
      changed,
    };
  }

  /** Everything, as news for a view that comes later. */
  everything() {
    return {
      isFresh: true,
      hasSpec: true,
      hasFrames: true,
      hasMarks: true,
      answered: undefined,
      changed: new Set(),
    };
  }

  keepSpec({ charts, drawings, ...page }) {
    const told = charts.map((chart) =>
      chart.panels ? withDrawings(chart, drawings) : this.charts.get(chart.id),
    );
    this.charts = new Map(told.map((chart) => [chart.id, chart]));
    this.page = page;
    const panels = told.flatMap((chart) => chart.panels);
    this.numbers.keepOnly(new Set(panels.flatMap(sourcesOf)));
  }

  /** Ask for everything, and again until it has come: a question may be lost on a busy server. */
  resend() {
    clearTimeout(this.again);
    this.again = setTimeout(() => this.resend(), RESEND_AFTER_MS + 100);
    if (performance.now() - this.askedAt >= RESEND_AFTER_MS) {
      this.askedAt = performance.now();
      this.resends += 1;
      this.tell("resend", this.sequence ?? 0);
    }
    return null;
  }

  dispose() {
    clearTimeout(this.again);
  }
}

/** A chart with the drawings that its panels and traces name by their places (spec.py). */
function withDrawings(chart, drawings) {
  const panels = chart.panels.map((panel) => ({
    ...panel,
    layout: drawings[panel.layout],
    traces: panel.traces.map((trace) => ({ ...trace, drawing: drawings[trace.drawing] })),
  }));
  return { ...chart, panels };
}
