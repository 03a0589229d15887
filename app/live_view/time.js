// Moving through a run: a slider over all steps at which matrices were kept, and playing it back.
// Part of one module: component.py joins the scripts of this folder.

const FRAME_MS = 350;
const PATIENCE_MS = 1500; // how long playing waits for a matrix that is on its way
const MOST_PATIENCE_MS = 12000; // a question that was lost is asked again, more and more rarely
const ASK_AHEAD = 6;
const TRAINS = ".st-key-bar-pause, .st-key-bar-resume"; // on the page of a run that is not over

class Time {
  constructor(view) {
    this.view = view;
    this.steps = [];
    this.absent = new Set(); // "source@step" that was asked for and does not exist
    this.patience = PATIENCE_MS;
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

  apply({ words, network, step }) {
    this.slider.setAttribute("aria-label", words.time);
    this.live.textContent = words.live;
    this.live.title = words.live_help;
    this.total = network?.total ?? 0;
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
    return this.view.at === null ? this.steps.length - 1 : Math.max(this.steps.indexOf(this.view.at), 0);
  }

  turnTo(place, { tell = true } = {}) {
    const last = this.steps.length - 1;
    const step = place >= last ? null : this.steps[Math.max(place, 0)];
    if (step === this.view.at) return;
    this.view.showStep(step);
    this.label_();
    this.request();
    clearTimeout(this.telling);
    if (tell) this.telling = setTimeout(() => this.playing || this.view.choose("step", this.view.at), 500);
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

  /** Ask for what is missing at the step shown and at the next ones, until an answer comes. */
  request() {
    clearTimeout(this.asking);
    if (this.view.at === null) return;
    const steps = this.steps.slice(this.place, this.place + ASK_AHEAD);
    const wanted = steps.filter((step) => this.missing(step).some((name) => !this.absent.has(name)));
    if (!wanted.length) return;
    const wait = (this.askedAt ?? -Infinity) + this.patience - performance.now();
    if (wait > 0) {
      this.asking = setTimeout(() => this.request(), wait);
      return;
    }
    if (this.askedAt !== undefined) this.patience = Math.min(2 * this.patience, MOST_PATIENCE_MS);
    this.askedAt = performance.now();
    this.view.askFor(wanted);
    this.asking = setTimeout(() => this.request(), this.patience);
  }

  missing(step) {
    const sources = this.view.panels().flatMap((panel) => panel.missing(step));
    return sources.map((name) => `${name}@${step}`);
  }

  forget() {
    this.absent.clear();
  }

  isMissing(step) {
    return this.view.panels().some((panel) => panel.missing(step).length > 0);
  }

  /** An answer: what it left out of what was asked for does not exist. */
  arrived(answered) {
    for (const step of answered) for (const name of this.missing(step)) this.absent.add(name);
    this.askedAt = undefined;
    this.patience = PATIENCE_MS;
    this.request();
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
      if (this.isMissing(next) && (waited += FRAME_MS) < PATIENCE_MS) return this.request();
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

  /** Arrows step through the run; space plays one that no longer trains. */
  onKey(event) {
    if (this.box.hidden || !this.view.root.isConnected || isTyping(event) || hasModifier(event)) return;
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const plays = event.key === " " && document.querySelector(TRAINS) === null;
    if (!plays && (way === undefined || (way > 0 && this.view.at === null))) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (plays) return this.toggle();
    this.stop();
    this.turnTo(this.place + way);
  }
}

/** Whether a key belongs to the element that has the focus. */
function isTyping(event) {
  const focused = event.composedPath()[0];
  if (!(focused instanceof Element)) return false;
  if (focused.closest("input, textarea, select, [contenteditable], [role='slider'], [role='radiogroup'], [role='tablist']"))
    return true;
  return event.key === " " && focused.closest("button, a, summary") !== null;
}

function hasModifier({ altKey, ctrlKey, metaKey, shiftKey }) {
  return altKey || ctrlKey || metaKey || shiftKey;
}
