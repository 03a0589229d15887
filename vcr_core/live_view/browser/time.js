// Moving through a run: a slider over all steps at which matrices were kept, and playing it back.

import { Asking, PATIENCE_MS } from "./asking.js";
import { element } from "./dom.js";
import { filledIn } from "./wording.js";

const FRAME_MS = 350;
const ASK_AHEAD = 6;

export class Time {
  constructor(view) {
    this.view = view;
    this.steps = [];
    this.asking = new Asking({
      steps: () => (view.at === null ? [] : this.steps.slice(this.place, this.place + ASK_AHEAD)),
      missing: (step) => view.missing(step),
      ask: (steps) => view.tell("wanted", steps),
    });
    this.box = element("section", "time", { hidden: "" });
    this.button = element("button", "play", { type: "button" });
    this.slider = element("input", "slider", { type: "range", min: 0, max: 0, step: 1 });
    this.label = element("output", "at");
    this.live = element("button", "live", { type: "button" });
    this.box.append(this.button, this.slider, this.label, this.live);
    this.button.onclick = () => this.toggle();
    this.live.onclick = () => this.turnTo(this.steps.length);
    this.slider.oninput = () => {
      const place = Number(this.slider.value); // before stop() puts the handle back
      this.stop();
      this.turnTo(place);
    };
  }

  apply({ words, network, step, space_plays: spacePlays }) {
    this.slider.setAttribute("aria-label", words.time);
    this.live.textContent = words.live;
    this.live.title = words.live_help;
    this.total = network?.total ?? 0;
    this.spacePlays = spacePlays;
    this.asked ??= step;
    this.label_();
  }

  /** Steps with frames; the last place of the slider follows the newest one. */
  setSteps(steps) {
    const following = this.view.at === null;
    this.steps = steps;
    this.box.hidden = steps.length < 2;
    this.slider.max = String(Math.max(steps.length - 1, 0));
    if (following && this.asked != null && steps.includes(this.asked)) {
      this.turnTo(steps.indexOf(this.asked), { tell: false });
      this.asked = null;
    }
    this.label_();
  }

  get place() {
    return this.view.at === null
      ? this.steps.length - 1
      : Math.max(this.steps.indexOf(this.view.at), 0);
  }

  turnTo(place, { tell = true } = {}) {
    const last = this.steps.length - 1;
    const step = place >= last ? null : this.steps[Math.max(place, 0)];
    if (step === this.view.at) return;
    this.view.showStep(step);
    this.label_();
    this.asking.request();
    clearTimeout(this.telling);
    if (tell)
      this.telling = setTimeout(() => this.playing || this.view.choose("step", this.view.at), 500);
  }

  label_() {
    const { words, at } = this.view;
    this.slider.value = String(this.place);
    const step = at ?? this.steps.at(-1) ?? 0;
    const text = filledIn(this.total ? words.step_of : words.step, { step, total: this.total });
    this.label.textContent = text;
    this.slider.setAttribute("aria-valuetext", text);
    this.live.setAttribute("aria-pressed", String(at === null));
    this.button.textContent = this.playing ? "❚❚" : "▶";
    const what = this.playing ? words.pause : words.play;
    this.button.title = what;
    this.button.setAttribute("aria-label", what);
  }

  forget() {
    this.asking.forget();
  }

  toggle() {
    if (this.playing) this.stop();
    else this.play();
  }

  play() {
    if (this.view.at === null) this.turnTo(0);
    let waited = 0;
    this.playing = setInterval(() => {
      const next = this.steps[this.place + 1];
      waited += FRAME_MS;
      if (this.view.missing(next).length && waited < PATIENCE_MS) return this.asking.request();
      waited = 0;
      this.turnTo(this.place + 1);
      if (this.view.at === null) this.stop();
    }, FRAME_MS);
    this.label_();
  }

  stop() {
    clearInterval(this.playing);
    this.playing = null;
    if (this.view.words.play) this.label_();
  }

  dispose() {
    this.stop();
    this.asking.stop();
    clearTimeout(this.telling);
  }

  /** Arrows step through the run; space plays it, where the page around has no other use for it. */
  onKey(event) {
    const { root } = this.view;
    if (this.box.hidden || !root.isConnected || isElsewhere(event, root)) return;
    if (isTyping(event) || hasModifier(event)) return;
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const plays = event.key === " " && this.spacePlays;
    if (!plays && (way === undefined || (way > 0 && this.view.at === null))) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (plays) return this.toggle();
    this.stop();
    this.turnTo(this.place + way);
  }
}

/** Whether another view of the page has the focus. */
function isElsewhere(event, root) {
  const path = event.composedPath();
  return !path.includes(root) && path.some((part) => part.classList?.contains("vcr-live"));
}

/** Whether a key belongs to the element that has the focus. */
function isTyping(event) {
  const focused = event.composedPath()[0];
  if (!(focused instanceof Element)) return false;
  if (
    focused.closest(
      "input, textarea, select, [contenteditable], [role='slider'], [role='radiogroup'], [role='tablist']",
    )
  )
    return true;
  return event.key === " " && focused.closest("button, a, summary") !== null;
}

function hasModifier({ altKey, ctrlKey, metaKey, shiftKey }) {
  return altKey || ctrlKey || metaKey || shiftKey;
}
