// The live view in the browser: keeps the numbers, draws each chart once with Plotly.newPlot and
// from then on only with Plotly.react. Python sends drawings once and numbers since a cursor
// (feed.py says how); a gap in the sequence is answered by asking for everything again.

const RESEND_AFTER_MS = 2000;
const BEFORE_CHARTS_MS = 400; // the pieces of a page still come one by one
const TURNED_SHOWN = 3;

const views = new Map(); // by feed: a view outlives its place in the page, so moving it costs nothing

export default function ({ data, parentElement, setTriggerValue }) {
  const view = views.get(data.feed) ?? newView(data.feed);
  view.mount(parentElement);
  view.askForResend = (sequence) => setTriggerValue("resend", sequence);
  view.askFor = (steps) => setTriggerValue("wanted", steps);
  view.choose = (name, value) => setTriggerValue("chosen", { [name]: value });
  view.receive(data);
}

function newView(feed) {
  for (const [old, view] of views)
    if (!view.root.isConnected) {
      view.dispose();
      views.delete(old);
    }
  views.set(feed, new LiveView());
  return views.get(feed);
}

/** All charts of the page. */
class LiveView {
  constructor() {
    this.numbers = new Numbers();
    this.charts = new Map();
    this.hidden = new Set();
    this.later = new Set();
    this.idle = null;
    this.at = null;
    this.facts = { ticks: 0, resends: 0, draws: 0 };
    this.askedAt = -Infinity;
    this.words = {};
    this.root = element("div", "vcr-live", { role: "region" });
    this.tips = new Tips(this.root);
    this.problem = element("p", "problem", { role: "alert", hidden: "" });
    this.runs = element("div", "runs", { role: "group" });
    this.turned = element("ul", "turned");
    this.legend = element("div", "legend");
    this.legend.append(this.runs, this.turned);
    this.time = new Time(this);
    this.network = new Network(this);
    this.choices = new Choices(this);
    this.grids = Object.fromEntries(["hero", "layer", "training"].map((place) => [place, element("div", "grid")]));
    const { hero, layer, training } = this.grids;
    this.root.append(this.problem, this.legend, hero, this.network.box, this.choices.box, layer, training, this.time.box);
    this.onVisible = () => this.draw();
    document.addEventListener("visibilitychange", this.onVisible);
    this.onKey = (event) => this.time.onKey(event);
    window.addEventListener("keydown", this.onKey, true);
  }

  /** Stand in this place of the page, with all charts as they are. */
  mount(parent) {
    if (this.root.parentNode === parent) return;
    parent.append(this.root);
    if (this.plotly) copyPlotlyStyles(parent);
  }

  dispose() {
    document.removeEventListener("visibilitychange", this.onVisible);
    window.removeEventListener("keydown", this.onKey, true);
    this.time.stop();
    clearTimeout(this.time.asking);
    clearTimeout(this.asking);
    this.later.clear();
    this.tips.dispose();
    for (const chart of this.charts.values()) chart.remove();
  }

  receive(message) {
    if (message.sequence !== this.sequence) this.take(message);
    this.followTheme();
    this.draw();
    this.report();
    this.time.request();
  }

  take(message) {
    if (!message.fresh && message.follows !== this.sequence) return this.resend();
    if (message.fresh) {
      this.numbers = new Numbers();
      this.time.forget();
    }
    try {
      this.apply(message);
    } catch (error) {
      if (!(error instanceof GapError)) throw error;
      return this.resend();
    }
    clearTimeout(this.asking);
    this.sequence = message.sequence;
    this.facts.ticks += 1;
  }

  apply(message) {
    if (message.spec) this.applySpec(message.spec);
    const changed = this.numbers.add(message);
    if (message.frames || message.fresh) this.network.add(message);
    if (message.answered) this.time.arrived(message.answered);
    if (message.marks) this.numbers.marks = message.marks;
    if (message.marks || message.fresh) this.listTurned();
    for (const panel of this.panels())
      if (message.fresh || panel.uses(changed) || (message.marks && panel.spec.marks)) panel.dirty = true;
  }

  /** Ask for everything, and again until it has come: a question may be lost on a busy server. */
  resend() {
    clearTimeout(this.asking);
    this.asking = setTimeout(() => this.resend(), RESEND_AFTER_MS + 100);
    if (performance.now() - this.askedAt < RESEND_AFTER_MS) return;
    this.askedAt = performance.now();
    this.facts.resends += 1;
    this.askForResend(this.sequence ?? 0);
  }

  applySpec(spec) {
    const { charts: packed, drawings, ...page } = spec;
    const charts = packed.map((chart) => (chart.panels ? withDrawings(chart, drawings) : this.charts.get(chart.id).spec));
    this.page = page;
    this.tips.apply(page.tips);
    this.say(page.words);
    for (const [id, chart] of this.charts)
      if (!charts.some((wanted) => wanted.id === id)) {
        chart.remove();
        this.charts.delete(id);
      }
    for (const [name, grid] of Object.entries(this.grids))
      charts
        .filter((wanted) => wanted.place === name)
        .forEach((wanted, place) => {
          if (!this.charts.has(wanted.id)) this.charts.set(wanted.id, new ChartCard(this));
          const chart = this.charts.get(wanted.id);
          chart.apply(wanted);
          if (grid.children[place] !== chart.card) grid.insertBefore(chart.card, grid.children[place]);
        });
    this.network.apply(page.network);
    this.choices.apply(page.choices, page.network);
    this.time.apply(page);
    this.numbers.keepOnly(new Set(this.panels().flatMap((panel) => panel.sources())));
    this.listRuns();
    if (charts.length) this.load();
    else setTimeout(() => whenIdle(() => this.load()), BEFORE_CHARTS_MS);
  }

  /** Reading Plotly's 5 MB takes half a second and more: before there are charts, the page goes first. */
  load() {
    loadPlotly(this.page.plotly).then(
      (plotly) => this.start(plotly),
      () => this.fail(),
    );
  }

  /** All words of the page in the visitor's language. */
  say(words) {
    this.words = words;
    this.root.setAttribute("aria-label", words.region);
    this.runs.setAttribute("aria-label", words.legend);
    this.turned.setAttribute("aria-label", words.turned);
  }

  start(plotly) {
    this.plotly = plotly;
    this.problem.hidden = true;
    this.draw();
    this.report();
  }

  fail() {
    this.problem.textContent = this.words.broken;
    this.problem.hidden = false;
  }

  runLine(id) {
    return this.page.runs.find((run) => run.id === id);
  }

  panels() {
    return [...this.charts.values()].flatMap((chart) => chart.panels);
  }

  followTheme() {
    if (!this.page) return;
    const style = getComputedStyle(this.root);
    const paper = style.getPropertyValue("--st-background-color").trim() || "#ffffff";
    const name = isDark(paper) ? "dark" : "light";
    const look = `${name} ${paper}`;
    if (look === this.look) return;
    this.look = look;
    const [, ...shades] = this.page.themes[name].sequential;
    this.theme = { ...this.page.themes[name], paper, sequential: [[0, paper], ...shades] };
    this.root.dataset.theme = name;
    for (const [token, colour] of Object.entries(this.theme))
      if (typeof colour === "string") this.root.style.setProperty(`--${token}`, colour);
    const stops = this.theme.diverging.map(([place, colour]) => `${colour} ${100 * place}%`);
    this.root.style.setProperty("--diverging", `linear-gradient(to right, ${stops.join(", ")})`);
    this.network.recolour();
    for (const panel of this.panels()) panel.dirty = true;
  }

  /** The knobs that were turned, newest first. */
  listTurned() {
    const newest = this.numbers.marks.texts.slice(-TURNED_SHOWN).reverse();
    this.turned.replaceChildren(...newest.map((text) => element("li", "", {}, text)));
  }

  listRuns() {
    this.runs.replaceChildren(
      ...this.page.runs.map((run) => {
        const button = element("button", "run", { type: "button", title: this.words.legend });
        button.append(swatch(run), element("span", "", {}, run.label));
        button.setAttribute("aria-pressed", String(!this.hidden.has(run.id)));
        button.onclick = () => this.toggle(run.id, button);
        return button;
      }),
    );
  }

  toggle(run, button) {
    if (!this.hidden.delete(run)) this.hidden.add(run);
    button.setAttribute("aria-pressed", String(!this.hidden.has(run)));
    for (const panel of this.panels()) panel.dirty = true;
    this.draw();
  }

  draw() {
    if (!this.page || !this.theme) return;
    for (const chart of this.charts.values()) chart.draw();
    this.network.draw();
  }

  /** Panels out of sight are drawn one after another, whenever the browser has nothing else to do. */
  drawLater(panel) {
    this.later.add(panel);
    this.idle ??= whenIdle(() => this.drawNext());
  }

  drawNext() {
    this.idle = null;
    const [panel] = this.later;
    this.later.delete(panel);
    panel?.draw(false);
    if (this.later.size) this.idle = whenIdle(() => this.drawNext());
    this.report();
  }

  /** Show a step of the past, or (null) follow the newest. */
  showStep(step) {
    this.at = step;
    for (const panel of this.panels()) panel.turnTo(step);
    this.network.dirty = true;
    this.draw();
    this.report();
  }

  /** Facts that a test, or a curious person, can read off the page. */
  report() {
    const drawn = this.panels().filter((panel) => panel.plotted).length;
    Object.assign(this.root.dataset, {
      ticks: this.facts.ticks,
      resends: this.facts.resends,
      draws: this.facts.draws,
      points: this.numbers.points,
      arrays: this.numbers.arrays.size,
      marks: this.numbers.marks.shapes.length,
      frames: this.network.count,
      step: this.at ?? "live",
      sequence: this.sequence ?? 0,
      plots: drawn,
    });
  }
}
