// Theme, Plotly itself, and small pieces of the page.
// Part of one module: component.py joins the scripts of this folder.

/** A chart with the drawings that its panels and traces name by their places (spec.py). */
function withDrawings(chart, drawings) {
  const panels = chart.panels.map((panel) => ({
    ...panel,
    layout: drawings[panel.layout],
    traces: panel.traces.map((trace) => ({ ...trace, drawing: drawings[trace.drawing] })),
  }));
  return { ...chart, panels };
}

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

let plotlyLoading = null;

/** Plotly, loaded once per page from the app's own server. */
function loadPlotly(path) {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  const address = new URL(path, appAddress()).href;
  plotlyLoading ??= (path.startsWith("component/") ? kept(address).then(runScript) : runScript(address))
    .catch((error) => {
      plotlyLoading = null;
      throw error;
    });
  return plotlyLoading;
}

function runScript(address) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => (window.Plotly ? resolve(window.Plotly) : reject(new Error(address)));
    script.onerror = () => {
      script.remove();
      reject(new Error(address));
    };
    document.head.append(script);
  });
}

/**
 * An address from which a script of 5 MB comes without Streamlit's route, whose answers carry
 * nothing by which a browser may keep them, and which packs the script anew for every visitor.
 * Where a browser keeps nothing (no secure context, no room) it is the server's own address.
 */
async function kept(address) {
  try {
    const cache = await caches.open("vcr-lab");
    if (!(await cache.match(address))) {
      for (const older of await cache.keys()) await cache.delete(older);
      await cache.add(address);
    }
    return URL.createObjectURL(await (await cache.match(address)).blob());
  } catch {
    return address;
  }
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

/** Soon, in a moment without work; within half a second in any case. */
function whenIdle(act) {
  return window.requestIdleCallback ? requestIdleCallback(act, { timeout: 500 }) : setTimeout(act, 30);
}

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
  if (size >= 10000 || size < 0.001) return value.toExponential(1).replace("e+", "e");
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(size >= 1 ? 2 : 3);
}

/** A sentence with its places {name} filled in. */
function filledIn(template, values) {
  return template.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function transposed(rows) {
  return rows.length ? rows[0].map((_, column) => rows.map((row) => row[column])) : [];
}
