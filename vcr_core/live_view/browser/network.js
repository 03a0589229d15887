// The network as a row of layers: a small map, the spread, the spectrum and the verdicts of each.

import { colourTable, pixels } from "./colours.js";
import { element } from "./dom.js";
import { bytesOf } from "./packing.js";
import { Explain } from "./tips.js";
import { filledIn } from "./wording.js";

const GRADES = { bad: "✕", watch: "!", good: "✓", plain: "·" };
const SHOWN_VERDICTS = 2;
const LOWEST_LOG = 6;

export class Network {
  constructor(view) {
    this.view = view;
    this.cards = new Map();
    this.dirty = true;
    this.box = element("section", "network", { hidden: "" });
    this.title = element("h3", "title");
    this.explain = new Explain(view.tips);
    this.top = element("div", "top");
    this.top.append(this.title, this.explain.box);
    this.help = element("p", "help");
    this.row = element("div", "layers");
    this.box.append(this.top, this.help, this.row);
  }

  /** "run:layer" -> frames in the order of their steps. */
  get frames() {
    return this.view.received.frames;
  }

  get count() {
    return [...this.frames.values()].reduce((sum, frames) => sum + frames.length, 0);
  }

  apply(spec) {
    this.spec = spec;
    this.box.hidden = !spec;
    if (!spec) return;
    const { words, tips } = this.view;
    this.title.textContent = words.layers;
    tips.write(this.help, words.layers_help);
    this.explain.apply(words.layers, [words.layers, words.layers_help, ...spec.verdicts]);
    for (const [layer, card] of this.cards)
      if (!spec.layers.includes(layer)) {
        card.box.remove();
        this.cards.delete(layer);
      }
    spec.layers.forEach((layer, place) => {
      if (!this.cards.has(layer)) this.cards.set(layer, new LayerCard(this.view, this, layer));
      const { box } = this.cards.get(layer);
      if (this.row.children[place] !== box) this.row.insertBefore(box, this.row.children[place]);
    });
    this.select(spec.selected);
    this.dirty = true;
  }

  select(layer) {
    for (const [name, { box }] of this.cards)
      box.setAttribute("aria-pressed", String(name === layer));
  }

  /** There are new frames, maybe of steps that were not there before. */
  take() {
    const shown = new Set(this.spec?.runs ?? []);
    const steps = new Set();
    for (const [name, frames] of this.frames)
      if (shown.has(name.split(":")[0])) for (const { step } of frames) steps.add(step);
    this.view.time.setSteps([...steps].sort((a, b) => a - b));
    this.dirty = true;
  }

  /** The frame of a layer at the step shown. */
  frame(run, layer) {
    const frames = this.frames.get(`${run}:${layer}`) ?? [];
    const { at } = this.view;
    return at === null ? frames.at(-1) : frames.findLast(({ step }) => step <= at);
  }

  recolour() {
    this.colours = colourTable(this.view.theme.diverging);
    this.dirty = true;
  }

  draw() {
    if (!this.dirty || !this.spec || !this.colours || document.hidden) return;
    this.dirty = false;
    for (const card of this.cards.values()) card.draw();
  }
}

class LayerCard {
  constructor(view, network, layer) {
    this.view = view;
    this.network = network;
    this.layer = layer;
    this.parts = new Map();
    this.box = element("button", "layer", { type: "button", "data-layer": layer });
    this.name = element("span", "layer-name", {}, layer);
    this.size = element("span", "layer-size");
    const head = element("span", "layer-head");
    head.append(this.name, this.size);
    this.maps = element("span", "maps");
    this.spread = new Curves("spread");
    this.spectrum = new Curves("spectrum");
    const curves = element("span", "curves");
    curves.append(this.spread.box, this.spectrum.box);
    this.verdicts = element("span", "verdicts");
    this.box.append(head, this.maps, curves, this.verdicts);
    this.box.onclick = () => {
      this.network.select(layer);
      this.view.choose("layer", layer);
    };
  }

  draw() {
    const { words } = this.view;
    const runs = this.network.spec.runs.map((id) => this.view.runLine(id));
    const frames = runs.map((run) => this.network.frame(run.id, this.layer));
    const known = frames.find(Boolean);
    this.size.textContent = known ? filledIn(words.features, known) : words.waiting;
    this.maps.replaceChildren(...runs.map((run, index) => this.map(run, frames[index])));
    const lines = runs
      .map((run, index) => ({ run, frame: frames[index] }))
      .filter(({ frame }) => frame);
    this.spread.draw(
      words.spread,
      lines.map(({ run, frame }) => [run, spreadPoints(frame.spread)]),
      0.5,
    );
    this.spectrum.draw(
      words.spectrum,
      lines.map(({ run, frame }) => [run, spectrumPoints(frame.spectrum)]),
    );
    this.verdicts.replaceChildren(...lines.map(({ run, frame }) => this.judged(run, frame)));
    this.box.title = lines
      .map(({ run, frame }) => `${run.label}: ${frame.verdicts.map(([, text]) => text).join("; ")}`)
      .join("\n");
    const said = lines.map(
      ({ run, frame }) => `${run.label}: ${frame.verdicts.map(([, text]) => text).join(", ")}`,
    );
    this.box.setAttribute(
      "aria-label",
      `${filledIn(words.enlarge, { layer: this.layer })}. ${said.join(". ")}`,
    );
  }

  /** One run's small correlation map; its canvas is made once and repainted. */
  map(run, frame) {
    if (!this.parts.has(run.id)) {
      const canvas = element("canvas", "map", { width: 1, height: 1 });
      this.parts.set(run.id, canvas);
    }
    const canvas = this.parts.get(run.id);
    canvas.style.setProperty("--tone", `var(--${run.tone})`);
    canvas.dataset.dash = run.dash;
    if (frame) paint(canvas, frame, this.network.colours);
    return canvas;
  }

  judged(run, frame) {
    const list = element("span", "judged");
    list.style.setProperty("--tone", `var(--${run.tone})`);
    for (const [grade, text] of frame.verdicts.slice(0, SHOWN_VERDICTS)) {
      const line = element("span", "verdict", { "data-grade": grade });
      line.append(element("i", "grade", { "aria-hidden": "true" }, GRADES[grade]), text);
      list.append(line);
    }
    return list;
  }
}

/** A tiny drawing of one curve a run. */
class Curves {
  constructor(kind) {
    this.box = element("span", "curve", { "data-kind": kind });
    this.svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.svg.setAttribute("viewBox", "0 0 100 40");
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.svg.setAttribute("aria-hidden", "true");
    this.caption = element("span", "caption");
    this.box.append(this.svg, this.caption);
  }

  draw(caption, lines, guide = null) {
    this.caption.textContent = caption;
    const drawn = lines.map(([run, points]) => svgLine(points, run));
    if (guide !== null)
      drawn.unshift(
        svgLine(
          [
            [guide, 0],
            [guide, 1],
          ],
          { tone: "muted", dash: "dot" },
        ),
      );
    this.svg.replaceChildren(...drawn);
  }
}

/** Points with x and y in 0 … 1, y upwards. */
function svgLine(points, { tone, dash }) {
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  line.setAttribute(
    "points",
    points.map(([x, y]) => `${(100 * x).toFixed(1)},${(39 - 38 * y).toFixed(1)}`).join(" "),
  );
  line.setAttribute("class", `line ${dash}`);
  line.style.stroke = `var(--${tone})`;
  return line;
}

/** A histogram as steps; the highest bar fills the height. */
function spreadPoints(shares) {
  const highest = Math.max(...shares, 1e-9);
  return shares.flatMap((share, bin) => [
    [bin / shares.length, share / highest],
    [(bin + 1) / shares.length, share / highest],
  ]);
}

/** log10(eigenvalue / largest), from 1 down to 10^-6. */
function spectrumPoints(logs) {
  return logs.map((log, index) => [index / Math.max(logs.length - 1, 1), 1 + log / LOWEST_LOG]);
}

/** A frame's small correlation map. */
function paint(canvas, { size, map }, colours) {
  const triangle = new Int8Array(bytesOf(map).buffer);
  if (canvas.width !== size) canvas.width = canvas.height = size;
  const data = pixels(size, triangle, colours);
  canvas.getContext("2d").putImageData(new ImageData(data, size), 0, 0);
}
