// Charts and their panels: each is drawn once, then only updated.
// Part of one module: component.py joins the scripts of this folder.

/** One chart: title, explanation, and its panels. */
class ChartCard {
  constructor(view) {
    this.view = view;
    this.panels = [];
    this.card = element("section", "chart");
    this.title = element("h3", "title");
    this.help = element("p", "help");
    this.body = element("div", "panels");
    this.colourbar = element("div", "colourbar", { "aria-hidden": "true" });
    this.card.append(this.title, this.help, this.body, this.colourbar);
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
    this.help.textContent = spec.help;
    this.colourbar.hidden = !spec.colourbar;
    while (this.panels.length > spec.panels.length) this.panels.pop().remove();
    spec.panels.forEach((wanted, place) => {
      if (!this.panels[place]) this.panels[place] = new PanelPlot(this.view, this);
      this.panels[place].apply(wanted);
    });
  }

  /** One colour range for all matrices of the chart. */
  get limit() {
    const arrays = this.panels.flatMap((panel) => panel.sources()).map((name) => this.view.numbers.arrays.get(name));
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

/** One small plot with its title and the latest values in words. */
class PanelPlot {
  constructor(view, chart) {
    this.view = view;
    this.dirty = true;
    this.plotted = false;
    this.box = element("div", "panel");
    this.tag = element("span", "tag");
    this.title = element("h4", "name");
    this.gain = element("span", "gain", { title: LABELS.gain });
    this.head = element("div", "head");
    this.when = element("span", "when");
    this.head.append(this.title, this.gain, this.when);
    this.readouts = element("div", "readouts");
    this.frame = element("div", "frame");
    this.plot = element("div", "plot", { role: "img" });
    this.waiting = element("p", "waiting", {}, LABELS.waiting);
    this.frame.append(this.plot, this.waiting);
    this.box.append(this.tag, this.head, this.readouts, this.frame);
    chart.body.append(this.box);
    this.chart = chart;
    this.resizer = new ResizeObserver(() => this.resize());
    this.resizer.observe(this.frame);
  }

  remove() {
    this.resizer.disconnect();
    if (this.plotted) this.view.plotly.purge(this.plot);
    this.box.remove();
  }

  apply(spec) {
    this.spec = spec;
    this.dirty = true;
    this.box.dataset.panel = spec.id;
    this.box.dataset.highlighted = String(spec.highlighted);
    this.tag.textContent = spec.tag;
    this.title.textContent = spec.title;
    this.frame.dataset.square = String(spec.square);
    this.plot.setAttribute("aria-label", spec.alt);
  }

  sources() {
    return [...this.spec.traces, ...this.spec.readouts].map((part) => part.source);
  }

  uses(changed) {
    return this.sources().some((name) => changed.has(name));
  }

  resize() {
    if (!this.frame.clientWidth) return;
    if (this.plotted) this.view.plotly.Plots.resize(this.plot);
    else this.draw();
  }

  draw() {
    if (!this.dirty) return;
    this.drawReadouts();
    if (!this.view.plotly || document.hidden || !this.frame.clientWidth) return;
    const traces = this.spec.traces.map((trace) => this.filled(trace));
    const empty = !traces.some((trace) => trace.x?.length || trace.z?.length);
    this.waiting.hidden = !empty;
    this.dirty = false;
    if (empty && !this.plotted) return;
    this.view.facts.draws += 1;
    if (this.plotted) return this.view.plotly.react(this.plot, traces, this.layout(), this.config());
    this.view.plotly.newPlot(this.plot, traces, this.layout(), this.config());
    this.plotted = true;
    copyPlotlyStyles(this.box.getRootNode());
  }

  /** A trace's drawing with its numbers. */
  filled(trace) {
    const drawing = resolved(trace.drawing, this.view.theme);
    const array = this.view.numbers.arrays.get(trace.source);
    if (trace.kind === "heatmap") {
      const limit = this.chart.limit;
      return { ...drawing, z: array?.rows ?? [], zmin: -limit, zmax: limit };
    }
    drawing.visible = !this.view.hidden.has(trace.run);
    if (trace.kind === "profile") {
      const y = array?.rows[0] ?? [];
      return { ...drawing, x: y.map((_, index) => index + 1), y };
    }
    return { ...drawing, ...(this.view.numbers.series.get(trace.source) ?? { x: [], y: [] }) };
  }

  layout() {
    const layout = resolved(this.spec.layout, this.view.theme);
    const font = getComputedStyle(this.view.root).fontFamily;
    if (font) layout.font.family = font;
    if (this.spec.marks) {
      const marks = resolved(this.view.numbers.marks, this.view.theme);
      layout.shapes = [...layout.shapes, ...marks.shapes];
      if (this.spec.labels) layout.annotations = [...layout.annotations, ...marks.annotations];
    }
    return layout;
  }

  /** Made once: Plotly.react rebuilds the chart where it sees another configuration. */
  config() {
    if (this.settings && this.settingsFor === this.chart.spec.compact) return this.settings;
    this.settingsFor = this.chart.spec.compact;
    const download = {
      name: "download",
      title: LABELS.download,
      icon: this.view.plotly.Icons.camera,
      click: () => this.download(),
    };
    const zooming = this.settingsFor ? [] : ["zoom2d", "pan2d"];
    this.settings = {
      displaylogo: false,
      displayModeBar: "hover",
      modeBarButtons: [[...zooming, "resetScale2d", download]],
      doubleClick: "reset",
      responsive: false,
    };
    return this.settings;
  }

  /** A picture that explains itself: with the chart's title and the names of its lines. */
  download() {
    const { data, layout } = this.plot;
    const [width, height] = [this.plot.clientWidth, this.plot.clientHeight + 70];
    const title = { text: `${this.chart.spec.title}: ${this.spec.title}`, x: 0.02, font: { size: 15, color: this.view.theme.ink } };
    const margin = { ...layout.margin, t: layout.margin.t + 40, b: layout.margin.b + 30 };
    const legend = { orientation: "h", y: -0.12, yanchor: "top" };
    const figure = { data, layout: { ...layout, title, margin, legend, width, height, showlegend: true } };
    const filename = `vcr-lab ${this.chart.spec.id} ${this.spec.title}`.replace(/[^\w -]+/g, " ");
    return this.view.plotly.downloadImage(figure, { format: "png", width, height, scale: 3, filename });
  }

  /** The last value of a series; of a pair of accuracies, at the last step that both have reached. */
  reading(source, format) {
    const sources = this.spec.readouts.map((readout) => readout.source);
    const pair = format === "percent" && sources.length === 2 ? this.view.numbers.latestPair(...sources) : null;
    return pair ? pair[sources.indexOf(source)] : this.view.numbers.latest(source);
  }

  /** How many points of accuracy the second run of a pair has more than the first, at one step. */
  drawGain() {
    const shares = this.spec.readouts.filter(({ format }) => format === "percent");
    const pair = shares.length === 2 ? this.view.numbers.latestPair(...shares.map(({ source }) => source)) : null;
    const points = pair ? 100 * (pair[1] - pair[0]) : 0;
    this.gain.textContent = pair ? `${points < 0 ? "−" : "+"}${Math.abs(points).toFixed(1)}` : "";
    if (!pair) return;
    const winner = this.view.runLine(shares[points < 0 ? 0 : 1].run);
    this.gain.style.setProperty("--tone", Math.abs(points) < 1 ? "var(--muted)" : `var(--${winner.tone})`);
  }

  /** Which step a matrix shows: matrices are kept less often than numbers. */
  drawWhen() {
    const array = this.spec.square && this.view.numbers.arrays.get(this.spec.traces[0].source);
    this.when.textContent = array ? `step ${array.step}` : "";
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
