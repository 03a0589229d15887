// Matrices of the past come when they are asked for: which are missing, and when to ask again.

export const PATIENCE_MS = 1500;
const MOST_PATIENCE_MS = 12000; // a question that was lost is asked again, more and more rarely

export class Asking {
  /**
   * @param {object} told
   * @param {() => number[]} told.steps the step shown and the next ones; none where the newest is
   * @param {(step: number) => string[]} told.missing the arrays of a step that are not here
   * @param {(steps: number[]) => void} told.ask
   */
  constructor({ steps, missing, ask }) {
    this.steps = steps;
    this.missing = missing;
    this.ask = ask;
    this.patience = PATIENCE_MS;
    /** @type {Set<string>} "source@step" that was asked for and does not exist */
    this.absent = new Set();
    /** @type {number | undefined} */
    this.askedAt = undefined;
  }

  /** Ask for what is missing, until an answer comes. */
  request() {
    clearTimeout(this.again);
    const wanted = this.steps().filter((step) =>
      this.named(step).some((name) => !this.absent.has(name)),
    );
    if (!wanted.length) return;
    const wait = (this.askedAt ?? -Infinity) + this.patience - performance.now();
    if (wait > 0) {
      this.again = setTimeout(() => this.request(), wait);
      return;
    }
    if (this.askedAt !== undefined) this.patience = Math.min(2 * this.patience, MOST_PATIENCE_MS);
    this.askedAt = performance.now();
    this.ask(wanted);
    this.again = setTimeout(() => this.request(), this.patience);
  }

  /** An answer: what it left out of what was asked for does not exist. */
  arrived(answered) {
    for (const step of answered) for (const name of this.named(step)) this.absent.add(name);
    this.askedAt = undefined;
    this.patience = PATIENCE_MS;
    this.request();
  }

  named(step) {
    return this.missing(step).map((name) => `${name}@${step}`);
  }

  forget() {
    this.absent.clear();
  }

  stop() {
    clearTimeout(this.again);
  }
}
