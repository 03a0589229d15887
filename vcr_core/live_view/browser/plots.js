// Charts and their panels: each is drawn once, then only updated.

import { resolved } from "./colours.js";
import { element, swatch } from "./dom.js";
import { copyPlotlyStyles } from "./plotly.js";
import { Explain } from "./tips.js";
import { filled, isSnapshot, sourcesOf } from "./traces.js";
import { filledIn, shown } from "./wording.js";

const NEAR_PX = 200;

/** One chart: title, explanation, and its panels. */
export class ChartCard {
  constructor(view) {
    this.view = view;
    this.panels = [];
    this.card = element("section", "chart");
    this.title = element("h3", "title");
    this.explain = new Explain(view.tips, (term) => this.readings(term));
    this.top = element("div", "top");
    this.top.append(this.title, this.explain.box);
    this.help = element("p", "help");
    this.body = element("div", "panels");
    this.colourbar = element("div", "colourbar", { "aria-hidden": "true" });
    this.card.append(this.top, this.help, this.body, this.colourbar);
  }

  remove() {
    for (const panel of this.panels) panel.remove();
    this.card.remove();
  }

  apply(spec) {
    const text = JSON.stringify(spec);
    if (text === this.text) return;
    this.text = text;
    this.spec = spec;
    this.card.dataset.chart = spec.id;
    this.card.dataset.size = spec.size;
    this.card.dataset.compact = String(spec.compact);
    this.card.style.setProperty("--plot-height", `${spec.height}px`);
    this.card.style.setProperty("--panels", spec.panels.length);
    this.title.textContent = spec.title;
    this.view.tips.write(this.help, spec.help);
    this.explain.apply(spec.title, chartTexts(spec), spec.place === "hero" ? ["gain"] : []);
    this.colourbar.hidden = !spec.colourbar;
    while (this.panels.length > spec.panels.length) this.panels.pop().remove();
    spec.panels.forEach((wanted, place) => {
      if (!this.panels[place]) this.panels[place] = new PanelPlot(this.view, this);
      this.panels[place].apply(wanted);
    });
  }

  /** The current values of a term's series in this chart, in words. */
  readings({ number }) {
    if (!number) return "";
    const found = this.panels.flatMap((panel) =>
      panel.spec.readouts.map((readout) => [panel, readout]),
    );
    return found
      .filter(([, { source }]) => source.endsWith(number))
      .map(
        ([panel, { run, source, format }]) =>
          `${shown(panel.reading(source, format), format)} ${this.view.runLine(run).label}`,
      )
      .join(", ");
  }

  /** One colour range for all matrices of the chart. */
  get limit() {
    const arrays = this.panels
      .flatMap((panel) => panel.sources())
      .map((name) => this.view.numbers.arrays.get(name));
    return Math.max(0, ...arrays.filter(Boolean).map((array) => array.limit)) || 1;
  }

  draw() {
    if (this.spec.colourbar) {
      if (this.limit !== this.drawnLimit) for (const panel of this.panels) panel.dirty = true;
      this.drawnLimit = this.limit;
      const text = shown(this.limit, "number");
      this.colourbar.replaceChildren(
        element("span", "", {}, `−${text}`),
        element("i", "gradient"),
        element("span", "", {}, `+${text}`),
      );
    }
    for (const panel of this.panels) panel.draw();
  }
}

/** All words of a chart that may hold terms. */
function chartTexts({ title, help, panels }) {
  const captions = panels.flatMap(({ readouts }) => readouts.map(({ caption }) => caption));
  return [title, help, ...panels.flatMap((panel) => [panel.title, panel.tag]), ...captions];
}

/** One small plot with its title and the latest values in words. */
class PanelPlot {
  constructor(view, chart) {
    this.view = view;
    this.dirty = true;
    this.plotted = false;
    this.stood = new Map(); // by name: the array that was shown last
    this.box = element("div", "panel");
    this.tag = element("span", "tag");
    this.title = element("h4", "name");
    this.gain = element("span", "gain term", { "data-term": "gain" });
    this.head = element("div", "head");
    this.when = element("span", "when");
    this.head.append(this.title, this.gain, this.when);
    this.readouts = element("div", "readouts");
    this.frame = element("div", "frame");
    this.plot = element("div", "plot", { role: "group" });
    this.waiting = element("p", "waiting");
    this.now = element("i", "now", { "aria-hidden": "true", hidden: "" });
    this.frame.append(this.plot, this.now, this.waiting);
    this.box.append(this.tag, this.head, this.readouts, this.frame);
    chart.body.append(this.box);
    this.chart = chart;
    this.resizer = new ResizeObserver(() => this.resize());
    this.resizer.observe(this.frame);
    const margin = `${NEAR_PX}px`;
    this.watcher = new IntersectionObserver(() => this.draw(), {
      rootMargin: margin,
      scrollMargin: margin,
    });
    this.watcher.observe(this.frame);
  }

  remove() {
    this.resizer.disconnect();
    this.watcher.disconnect();
    this.view.later.delete(this);
    if (this.plotted) this.view.plotly.purge(this.plot);
    this.box.remove();
  }

  apply(spec) {
    this.spec = spec;
    this.dirty = true;
    this.box.dataset.panel = spec.id;
    this.box.dataset.highlighted = String(spec.highlighted);
    this.view.tips.write(this.tag, spec.tag);
    this.view.tips.write(this.title, spec.title);
    this.frame.dataset.square = String(spec.square);
    this.plot.setAttribute("aria-label", spec.alt);
    this.waiting.textContent = this.view.words.waiting;
  }

  /** Another step is shown: matrices change, curves get a line, readouts their values there. */
  turnTo(step) {
    if (this.spec.traces.some((trace) => isSnapshot(trace))) this.dirty = true;
    this.drawReadouts();
    this.drawNow(step);
  }

  /** The line at the step shown. Margins are fixed, so the place follows from the axis' range. */
  drawNow(step = this.view.at) {
    this.now.hidden = !(this.spec.marks && this.plotted && step !== null);
    if (this.now.hidden) return;
    const { margin, xaxis } = this.plot.layout;
    const [low, high] = xaxis.range;
    const share = (step - low) / (high - low);
    this.now.hidden = share < 0 || share > 1;
    this.now.style.left = `${margin.l + share * (this.plot.clientWidth - margin.l - margin.r)}px`;
  }

  /** The steps' arrays that this plot shows and the browser does not have. */
  missing(step) {
    const shown = this.spec.traces.filter((trace) => isSnapshot(trace));
    const names = shown.flatMap(({ source, minus }) => (minus ? [source, minus] : [source]));
    return names.filter(
      (name) => this.view.numbers.arrays.has(name) && !this.view.numbers.arrayAt(name, step),
    );
  }

  sources() {
    return sourcesOf(this.spec);
  }

  uses(changed) {
    return this.sources().some((name) => changed.has(name));
  }

  resize() {
    if (!this.frame.clientWidth) return;
    if (this.plotted) this.view.plotly.Plots.resize(this.plot).then(() => this.drawNow());
    else this.draw();
  }

  /** Whether it is in sight, or will be after a little scrolling. */
  get near() {
    const { top, bottom } = this.frame.getBoundingClientRect();
    return bottom > -NEAR_PX && top < window.innerHeight + NEAR_PX;
  }

  /** Draw what is new. Where nobody would see it, a first drawing waits for its turn, another until
   *  it comes into sight. */
  draw(mayWait = true) {
    if (!this.dirty) return;
    this.drawReadouts();
    if (!this.view.plotly || document.hidden || !this.frame.clientWidth) return;
    if (mayWait && !this.near) {
      if (!this.plotted) this.view.drawLater(this);
      return;
    }
    const traces = this.spec.traces.map((trace) => this.filled(trace));
    const empty = !traces.some((trace) => trace.x?.length || trace.z?.length);
    this.waiting.hidden = !empty;
    this.dirty = false;
    if (empty && !this.plotted) return;
    this.view.draws += 1;
    if (this.plotted) {
      this.view.plotly.react(this.plot, traces, this.layout(), this.config());
      return this.drawNow();
    }
    this.view.plotly.newPlot(this.plot, traces, this.layout(), this.config());
    this.plot.on("plotly_relayout", () => this.drawNow());
    this.plot.on("plotly_afterplot", () => this.oneTabStop());
    this.oneTabStop();
    this.plotted = true;
    copyPlotlyStyles(this.box.getRootNode());
  }

  /** One Tab stop for all buttons of a plot: up and down lead from one to the next. */
  oneTabStop() {
    const bar = this.plot.querySelector(".modebar");
    if (!bar || bar.dataset.roves) return;
    bar.dataset.roves = "true";
    const buttons = [...bar.querySelectorAll(".modebar-btn")];
    bar.setAttribute("role", "toolbar");
    bar.setAttribute("aria-orientation", "vertical");
    bar.setAttribute("aria-label", this.spec.alt.split(".")[0]);
    buttons.forEach((button, place) => {
      button.tabIndex = place ? -1 : 0;
      button.addEventListener("keydown", (event) => {
        const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (!way) return;
        event.preventDefault();
        buttons.at((place + way) % buttons.length).focus();
      });
    });
  }

  /** A trace's drawing with its numbers. */
  filled(trace) {
    const { numbers, hidden, page, theme } = this.view;
    const read = {
      array: (name) => this.array(name),
      order: (name) => numbers.arrays.get(name),
      series: (name) => numbers.series.get(name) ?? { x: [], y: [] },
      isVisible: (run) => !hidden.has(run),
      limit: () => this.chart.limit,
      mostDots: page.most_dots,
    };
    return { ...resolved(trace.drawing, theme), ...filled(trace, read) };
  }

  /** An array at the step shown; the nearest older one stands in while it is on its way. */
  array(name) {
    const { numbers, at } = this.view;
    const found = numbers.arrayAt(name, at);
    if (found) this.stood.set(name, found);
    return found ?? this.stood.get(name) ?? numbers.arrays.get(name);
  }

  layout() {
    const layout = resolved(this.spec.layout, this.view.theme);
    const font = getComputedStyle(this.view.root).fontFamily;
    if (font) layout.font.family = font;
    if (this.spec.marks) {
      const marks = resolved(this.view.numbers.marks, this.view.theme);
      layout.shapes = [...layout.shapes, ...marks.shapes];
      if (this.spec.labels) {
        const [first, last] = layout.xaxis.range ?? [0, Infinity];
        const side = (step) => (step < (first + last) / 2 ? "left" : "right"); // none is cut off
        const labels = marks.annotations.map((label) => ({ ...label, xanchor: side(label.x) }));
        layout.annotations = [...layout.annotations, ...labels];
      }
    }
    return layout;
  }

  /** Made once: Plotly.react rebuilds the chart where it sees another configuration. */
  config() {
    if (this.settings && this.settingsFor === this.chart.spec.compact) return this.settings;
    this.settingsFor = this.chart.spec.compact;
    const { words, plotly } = this.view;
    const save = (format, title, icon) => ({
      name: `download-${format}`,
      title,
      icon,
      click: () => this.download(format),
    });
    const downloads = [
      save("png", words.download, plotly.Icons.camera),
      save("svg", words.download_svg, plotly.Icons.disk),
    ];
    const zooming = this.settingsFor ? [] : ["zoom2d", "pan2d"];
    this.settings = {
      displaylogo: false,
      displayModeBar: "hover",
      modeBarButtons: [[...zooming, "resetScale2d", ...downloads]],
      doubleClick: "reset",
      responsive: false,
    };
    return this.settings;
  }

  /** A picture that explains itself: with the chart's title and the names of its lines. */
  download(format) {
    const { data, layout } = this.plot;
    const [width, height] = [this.plot.clientWidth, this.plot.clientHeight + 70];
    const title = {
      text: `${this.chart.spec.title}: ${this.spec.title}`,
      x: 0.02,
      font: { size: 15, color: this.view.theme.ink },
    };
    const margin = { ...layout.margin, t: layout.margin.t + 40, b: layout.margin.b + 30 };
    const legend = { orientation: "h", y: -0.12, yanchor: "top" };
    const figure = {
      data,
      layout: { ...layout, title, margin, legend, width, height, showlegend: true },
    };
    const filename = `vcr-lab ${this.chart.spec.id} ${this.spec.title}`.replace(/[^\w -]+/g, " ");
    return this.view.plotly.downloadImage(figure, {
      format,
      width,
      height,
      scale: format === "png" ? 3 : 1,
      filename,
    });
  }

  /** The last value of a series; of a pair of accuracies, at the last step that both have reached. */
  reading(source, format) {
    const sources = this.spec.readouts.map((readout) => readout.source);
    const pair =
      format === "percent" && sources.length === 2
        ? this.view.numbers.latestPair(...sources, this.view.at)
        : null;
    return pair ? pair[sources.indexOf(source)] : this.view.numbers.latest(source, this.view.at);
  }

  /** How many points of accuracy the second run of a pair has more than the first, at one step. */
  drawGain() {
    const compares = this.chart.spec.place === "hero";
    const shares = this.spec.readouts.filter(({ format }) => compares && format === "percent");
    const pair =
      shares.length === 2
        ? this.view.numbers.latestPair(...shares.map(({ source }) => source), this.view.at)
        : null;
    const points = pair ? 100 * (pair[1] - pair[0]) : 0;
    this.gain.textContent = pair ? `${points < 0 ? "−" : "+"}${Math.abs(points).toFixed(1)}` : "";
    if (!pair) return;
    const winner = this.view.runLine(shares[points < 0 ? 0 : 1].run);
    this.gain.style.setProperty(
      "--tone",
      Math.abs(points) < 1 ? "var(--muted)" : `var(--${winner.tone})`,
    );
  }

  /** Which step a matrix shows: matrices are kept less often than numbers. */
  drawWhen() {
    const array = this.spec.square && this.array(this.spec.traces[0].source);
    this.when.textContent = array ? filledIn(this.view.words.step, { step: array.step }) : "";
  }

  drawReadouts() {
    this.drawGain();
    this.drawWhen();
    this.readouts.replaceChildren(
      ...this.spec.readouts.map(({ run, source, format, caption }) => {
        const line = this.view.runLine(run);
        const box = element("span", "readout", { title: `${line.label} ${caption}`.trim() });
        box.style.setProperty("--tone", `var(--${line.tone})`);
        box.append(swatch(line), element("b", "", {}, shown(this.reading(source, format), format)));
        box.append(element("span", "whose", {}, caption || line.label));
        return box;
      }),
    );
  }
}
