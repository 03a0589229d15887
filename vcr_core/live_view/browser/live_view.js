// All charts of a run in one place of the page: each is drawn once with Plotly.newPlot and from then
// on only with Plotly.react. What a feed has sent (received.js) is told to all views of it.

import { Choices } from "./choices.js";
import { channels, isDark } from "./colours.js";
import { element, swatch, whenIdle } from "./dom.js";
import { Network } from "./network.js";
import { copyPlotlyStyles, loadPlotly } from "./plotly.js";
import { ChartCard } from "./plots.js";
import styles from "./styles.css";
import { Time } from "./time.js";
import { Tips } from "./tips.js";

const BEFORE_CHARTS_MS = 400; // the pieces of a page still come one by one
const TURNED_SHOWN = 3;

export class LiveView {
  /** @param {import("./received.js").Received} received */
  constructor(received) {
    this.received = received;
    this.isTold = false;
    /** @type {(name: string, value: unknown) => void} */
    this.tell = () => {};
    /** @type {(path: string) => string | Promise<string>} */
    this.address = (path) => path;
    this.charts = new Map();
    this.hidden = new Set();
    this.later = new Set();
    this.idle = null;
    this.at = null;
    this.draws = 0;
    this.words = {};
    this.root = element("div", "vcr vcr-live", { role: "region" });
    this.tips = new Tips(this.root);
    this.problem = element("p", "problem", { role: "alert", hidden: "" });
    this.runs = element("div", "runs", { role: "group" });
    this.turned = element("ul", "turned");
    this.legend = element("div", "legend");
    this.legend.append(this.runs, this.turned);
    this.time = new Time(this);
    this.network = new Network(this);
    this.choices = new Choices(this);
    this.grids = Object.fromEntries(
      ["hero", "layer", "training"].map((place) => [place, element("div", "grid")]),
    );
    const { hero, layer, training } = this.grids;
    this.root.append(
      element("style", "", {}, styles),
      this.problem,
      this.legend,
      hero,
      this.network.box,
      this.choices.box,
      layer,
      training,
      this.time.box,
    );
    this.onVisible = () => this.draw();
    document.addEventListener("visibilitychange", this.onVisible);
    this.onKey = (event) => this.time.onKey(event);
    window.addEventListener("keydown", this.onKey, true);
  }

  /** Stand in this place of the page, with all charts as they are. */
  mount(parent) {
    if (this.root.parentNode === parent) return;
    parent.append(this.root);
    if (this.plotly) copyPlotlyStyles(this.root.getRootNode());
  }

  dispose() {
    document.removeEventListener("visibilitychange", this.onVisible);
    window.removeEventListener("keydown", this.onKey, true);
    this.time.dispose();
    this.later.clear();
    this.tips.dispose();
    for (const chart of this.charts.values()) chart.remove();
  }

  get numbers() {
    return this.received.numbers;
  }

  get page() {
    return this.received.page;
  }

  choose(name, value) {
    this.tell("chosen", { [name]: value });
  }

  /** What is new of what the feed has sent; at first, everything. */
  hear(news) {
    const { received } = this;
    if (!this.isTold && received.page) this.update(received.everything());
    else if (news) this.update(news);
    this.isTold ||= received.page !== null;
  }

  update({ isFresh, hasSpec, changed, answered, hasFrames, hasMarks }) {
    if (isFresh) this.time.forget();
    if (hasSpec) this.applySpec();
    if (hasFrames || isFresh) this.network.take();
    if (answered) this.time.asking.arrived(answered);
    if (hasMarks || isFresh) this.listTurned();
    for (const panel of this.panels())
      if (isFresh || panel.uses(changed) || (hasMarks && panel.spec.marks)) panel.dirty = true;
  }

  /** Draw what a message has changed, or what the page around has. */
  refresh() {
    this.followTheme();
    this.draw();
    this.report();
    this.time.asking.request();
  }

  applySpec() {
    const { page } = this;
    this.tips.apply(page.tips);
    this.say(page.words);
    this.arrange([...this.received.charts.values()]);
    this.network.apply(page.network);
    this.choices.apply(page.choices, page.network);
    this.time.apply(page);
    this.listRuns();
    if (this.charts.size) this.load();
    else setTimeout(() => whenIdle(() => this.load()), BEFORE_CHARTS_MS);
  }

  /** The wanted charts in their order, each card where it was as far as it can. */
  arrange(charts) {
    for (const [id, chart] of this.charts)
      if (!charts.some((wanted) => wanted.id === id)) {
        chart.remove();
        this.charts.delete(id);
      }
    for (const [name, grid] of Object.entries(this.grids)) {
      const here = charts.filter((wanted) => wanted.place === name);
      here.forEach((wanted, place) => {
        if (!this.charts.has(wanted.id)) this.charts.set(wanted.id, new ChartCard(this));
        const chart = this.charts.get(wanted.id);
        chart.apply(wanted);
        if (grid.children[place] !== chart.card)
          grid.insertBefore(chart.card, grid.children[place]);
      });
    }
  }

  /** Reading Plotly's 5 MB takes half a second and more: before there are charts, the page goes first. */
  load() {
    loadPlotly(() => this.address(this.page.plotly)).then(
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

  /** The arrays of a step that are shown and not here. */
  missing(step) {
    return this.panels().flatMap((panel) => panel.missing(step));
  }

  followTheme() {
    if (!this.page) return;
    const style = getComputedStyle(this.root);
    const paper = style.getPropertyValue("--background").trim();
    const name = isDark(channels(paper)) ? "dark" : "light";
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
      ticks: this.received.ticks,
      resends: this.received.resends,
      draws: this.draws,
      points: this.numbers.points,
      arrays: this.numbers.arrays.size,
      marks: this.numbers.marks.shapes.length,
      frames: this.network.count,
      step: this.at ?? "live",
      sequence: this.received.sequence ?? 0,
      plots: drawn,
    });
  }
}
