// The live view in the browser: keeps the numbers, draws each chart once with Plotly.newPlot and
// from then on only with Plotly.react. Python sends drawings once and numbers since a cursor
// (feed.py says how); a gap in the sequence is answered by asking for everything again.

const LABELS = {
  waiting: "The first numbers arrive in a moment.",
  turned: "Knobs that were turned while it trained",
  download: "Download as a picture (PNG)",
  gain: "Percentage points more with VCR than without",
  broken:
    "The charts cannot be drawn: the browser did not get Plotly from this app's server. " +
    "Reload the page; if that does not help, reinstall the plotly package and restart the app.",
  legend: "Click a line to hide or show it in all charts",
};
const RESEND_AFTER_MS = 2000;
const TURNED_SHOWN = 3;

const views = new Map(); // by feed: a view outlives its place in the page, so moving it costs nothing
let plotlyLoading = null;

export default function ({ data, parentElement, setTriggerValue }) {
  const view = views.get(data.feed) ?? newView(data.feed);
  view.mount(parentElement);
  view.askForResend = (sequence) => setTriggerValue("resend", sequence);
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

// ------------------------------------------------------------------------------------- numbers

/** What has been received: series, arrays and marks, and the place in the sequence. */
class Numbers {
  constructor() {
    this.series = new Map();
    this.arrays = new Map();
    this.marks = { shapes: [], annotations: [], texts: [] };
  }

  /** Add a message; returns the names of everything that changed. */
  add(message) {
    const changed = new Set();
    for (const [name, { from, x, y }] of Object.entries(message.series ?? {})) {
      const known = this.series.get(name) ?? { x: [], y: [] };
      if (from > known.x.length) throw new GapError(name);
      this.series.set(name, { x: known.x.slice(0, from).concat(x), y: known.y.slice(0, from).concat(y) });
      changed.add(name);
    }
    for (const [name, packed] of Object.entries(message.arrays ?? {})) {
      this.arrays.set(name, unpacked(packed));
      changed.add(name);
    }
    return changed;
  }

  keepOnly(names) {
    for (const held of [this.series, this.arrays])
      for (const name of held.keys()) if (!names.has(name)) held.delete(name);
  }

  get points() {
    let count = 0;
    for (const { x } of this.series.values()) count += x.length;
    return count;
  }

  /** The last finite value of a series. */
  latest(name) {
    const values = this.series.get(name)?.y ?? [];
    for (let index = values.length - 1; index >= 0; index--)
      if (values[index] !== null) return values[index];
    return null;
  }
}

class GapError extends Error {}

/** base64 of little-endian int16 and a scale -> {step, limit, rows} (see packed() in feed.py). */
function unpacked({ step, shape, scale, limit, data }) {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const whole = new DataView(bytes.buffer);
  const value = (index) => {
    const integer = whole.getInt16(2 * index, true);
    return integer === -32768 ? null : integer * scale;
  };
  const width = shape[shape.length - 1];
  const height = shape.length === 1 ? 1 : shape[0];
  const row = (i) => Array.from({ length: width }, (_, j) => value(i * width + j));
  return { step, limit, rows: Array.from({ length: height }, (_, i) => row(i)) };
}

// --------------------------------------------------------------------------------------- theme

/** A drawing with every "$token" replaced by the theme's colour. */
function resolved(drawing, theme) {
  if (typeof drawing === "string") return drawing.startsWith("$") ? theme[drawing.slice(1)] : drawing;
  if (Array.isArray(drawing)) return drawing.map((part) => resolved(part, theme));
  if (drawing && typeof drawing === "object")
    return Object.fromEntries(Object.entries(drawing).map(([name, part]) => [name, resolved(part, theme)]));
  return drawing;
}

/** Red, green, blue and opacity of any CSS colour. */
function channels(colour) {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  return context.getImageData(0, 0, 1, 1).data;
}

function isDark(colour) {
  const [red, green, blue, opacity] = channels(colour);
  return opacity > 0 && 0.299 * red + 0.587 * green + 0.114 * blue < 128;
}

// -------------------------------------------------------------------------------------- plotly

/** Plotly, loaded once per page from the app's own server. */
function loadPlotly(path) {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  plotlyLoading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL(path, appAddress()).href;
    script.onload = () => (window.Plotly ? resolve(window.Plotly) : reject(new Error(script.src)));
    script.onerror = () => {
      plotlyLoading = null;
      script.remove();
      reject(new Error(script.src));
    };
    document.head.append(script);
  });
  return plotlyLoading;
}

/** The address of the app's root: where its own scripts come from, proxies and all. */
function appAddress() {
  const own = document.querySelector('script[src*="/static/js/"], script[src^="static/js/"]');
  return own ? new URL("../../", own.src).href : `${location.origin}/`;
}

/** Plotly writes its style rules into the document's head; a shadow root needs them too. */
function copyPlotlyStyles(root) {
  if (!(root instanceof ShadowRoot)) return;
  const written = document.getElementById("plotly.js-style-global")?.sheet;
  if (!written) return;
  const copy = new CSSStyleSheet();
  copy.replaceSync(Array.from(written.cssRules, (rule) => rule.cssText).join("\n"));
  root.adoptedStyleSheets = [copy];
}

// ---------------------------------------------------------------------------------------- view

/** All charts of the page. */
class LiveView {
  constructor() {
    this.numbers = new Numbers();
    this.charts = new Map();
    this.hidden = new Set();
    this.facts = { ticks: 0, resends: 0, draws: 0 };
    this.askedAt = -Infinity;
    this.root = element("div", "vcr-live", { role: "region", "aria-label": "Live charts" });
    this.problem = element("p", "problem", { role: "alert", hidden: "" });
    this.runs = element("div", "runs", { role: "group", "aria-label": LABELS.legend });
    this.turned = element("ul", "turned", { "aria-label": LABELS.turned });
    this.legend = element("div", "legend");
    this.legend.append(this.runs, this.turned);
    this.grid = element("div", "grid");
    this.root.append(this.problem, this.legend, this.grid);
    this.onVisible = () => this.draw();
    document.addEventListener("visibilitychange", this.onVisible);
  }

  /** Stand in this place of the page, with all charts as they are. */
  mount(parent) {
    if (this.root.parentNode === parent) return;
    parent.append(this.root);
    if (this.plotly) copyPlotlyStyles(parent);
  }

  dispose() {
    document.removeEventListener("visibilitychange", this.onVisible);
    for (const chart of this.charts.values()) chart.remove();
  }

  receive(message) {
    if (message.sequence !== this.sequence) this.take(message);
    this.followTheme();
    this.draw();
    this.report();
  }

  take(message) {
    if (!message.fresh && message.follows !== this.sequence) return this.resend();
    if (message.fresh) this.numbers = new Numbers();
    try {
      this.apply(message);
    } catch (error) {
      if (!(error instanceof GapError)) throw error;
      return this.resend();
    }
    this.sequence = message.sequence;
    this.facts.ticks += 1;
  }

  apply(message) {
    if (message.spec) this.applySpec(message.spec);
    const changed = this.numbers.add(message);
    if (message.marks) this.numbers.marks = message.marks;
    if (message.marks || message.fresh) this.listTurned();
    for (const panel of this.panels())
      if (message.fresh || panel.uses(changed) || (message.marks && panel.spec.marks)) panel.dirty = true;
  }

  resend() {
    if (performance.now() - this.askedAt < RESEND_AFTER_MS) return;
    this.askedAt = performance.now();
    this.facts.resends += 1;
    this.askForResend(this.sequence ?? 0);
  }

  applySpec(spec) {
    const { charts, ...page } = spec;
    this.page = page;
    for (const [id, chart] of this.charts)
      if (!charts.some((wanted) => wanted.id === id)) {
        chart.remove();
        this.charts.delete(id);
      }
    charts.forEach((wanted, place) => {
      if (!this.charts.has(wanted.id)) this.charts.set(wanted.id, new ChartCard(this));
      const chart = this.charts.get(wanted.id);
      chart.apply(wanted);
      if (this.grid.children[place] !== chart.card) this.grid.insertBefore(chart.card, this.grid.children[place]);
    });
    this.numbers.keepOnly(new Set(this.panels().flatMap((panel) => panel.sources())));
    this.listRuns();
    loadPlotly(page.plotly).then(
      (plotly) => this.start(plotly),
      () => this.fail(),
    );
  }

  start(plotly) {
    this.plotly = plotly;
    this.problem.hidden = true;
    this.draw();
    this.report();
  }

  fail() {
    this.problem.textContent = LABELS.broken;
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
    this.theme = { ...this.page.themes[name], paper };
    this.root.dataset.theme = name;
    for (const [token, colour] of Object.entries(this.theme))
      if (typeof colour === "string") this.root.style.setProperty(`--${token}`, colour);
    const stops = this.theme.diverging.map(([place, colour]) => `${colour} ${100 * place}%`);
    this.root.style.setProperty("--diverging", `linear-gradient(to right, ${stops.join(", ")})`);
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
        const button = element("button", "run", { type: "button", title: LABELS.legend });
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
      sequence: this.sequence ?? 0,
      plots: drawn,
    });
  }
}

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

  /** How many points of accuracy the second run of a pair has more than the first. */
  drawGain() {
    const shares = this.spec.readouts.filter(({ format }) => format === "percent");
    const [before, after] = shares.map(({ source }) => this.view.numbers.latest(source));
    const known = shares.length === 2 && before !== null && after !== null;
    const points = known ? 100 * (after - before) : 0;
    this.gain.textContent = known ? `${points < 0 ? "−" : "+"}${Math.abs(points).toFixed(1)}` : "";
    if (!known) return;
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
        box.append(swatch(line), element("b", "", {}, shown(this.view.numbers.latest(source), format)));
        box.append(element("span", "whose", {}, caption || line.label));
        return box;
      }),
    );
  }
}

// ------------------------------------------------------------------------------------- helpers

function element(tag, className = "", attributes = {}, text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
}

/** A short piece of a run's line, in its colour and dash. */
function swatch({ tone, dash }) {
  const piece = element("i", "swatch", { "aria-hidden": "true" });
  piece.dataset.dash = dash;
  piece.style.setProperty("--tone", `var(--${tone})`);
  return piece;
}

function shown(value, format) {
  if (value === null || value === undefined) return "–";
  if (format === "percent") return `${(100 * value).toFixed(1)} %`;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 10000 || size < 0.001) return value.toExponential(1).replace("e", "×10^");
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(size >= 1 ? 2 : 3);
}
