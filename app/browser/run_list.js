// The list of runs in the browser. Every tick brings all rows of the page; a row stays the same
// element as long as its run is listed, and a field that somebody edits is left alone.

import { element } from "../../vcr_core/live_view/browser/dom.js";
import styles from "./run_list.css";

const lists = new WeakMap(); // by the element where each stands

export function show({ data, element: place, tell }) {
  if (!lists.has(place)) lists.set(place, new RunList(place));
  const list = lists.get(place);
  list.tell = tell;
  list.show(data);
}

const PENDING_MS = 6000; // how long a typed value stands though the store still says another
const LOST_MS = 1500; // a selection that is not heard of for so long is told again

// What was selected last, and how many selections were told: a list that is drawn anew knows it.
const told = { selected: new Set(), count: 0, at: 0 };

class RunList {
  constructor(parent) {
    /** @type {(name: string, value: unknown) => void} */
    this.tell = () => {};
    this.rows = new Map();
    this.table = element("table", "runs");
    this.head = element("thead");
    this.body = element("tbody");
    this.table.append(this.head, this.body);
    this.all = element("input", "", { type: "checkbox" });
    this.all.onchange = () => this.selectAll(this.all.checked);
    const root = element("div", "run-list");
    root.append(this.table);
    parent.append(element("style", "", {}, styles), root);
    setInterval(() => this.tellTimes(), 20000);
  }

  show(data) {
    const worded = JSON.stringify(data.words);
    this.language = data.language;
    if (worded !== this.worded) {
      this.worded = worded;
      this.words = data.words;
      this.rows.clear();
      this.body.replaceChildren();
      this.drawHead();
    }
    if (data.echo >= told.count)
      Object.assign(told, { selected: new Set(data.selected), count: data.echo });
    else if (Date.now() - told.at > LOST_MS) this.sendSelection();
    const listed = new Set(data.rows.map((row) => row.id));
    for (const [id, row] of this.rows)
      if (!listed.has(id)) {
        row.element.remove();
        this.rows.delete(id);
      }
    data.rows.forEach((spec, place) => {
      if (!this.rows.has(spec.id)) this.rows.set(spec.id, new RunRow(this, spec.id));
      const row = this.rows.get(spec.id);
      row.show(spec);
      if (this.body.children[place] !== row.element && !row.isEdited())
        this.body.insertBefore(row.element, this.body.children[place] ?? null);
    });
    this.drawSelection();
  }

  drawHead() {
    const { words } = this;
    const line = element("tr");
    this.all.setAttribute("aria-label", words.select_all);
    const first = element("th", "select");
    first.append(this.all);
    const titles = ["run", "state", "source", "transfer", "tags", "notes", "made"];
    const cells = titles.map((name) =>
      element("th", name, { scope: "col", title: words[`${name}_help`] ?? "" }, words[name]),
    );
    const last = element("th", "actions", { scope: "col" });
    last.append(element("span", "hidden", {}, words.actions));
    line.append(first, ...cells, last);
    this.head.replaceChildren(line);
  }

  select(id, isSelected) {
    if (isSelected) told.selected.add(id);
    else told.selected.delete(id);
    this.tellSelection();
  }

  selectAll(isSelected) {
    for (const id of this.rows.keys())
      isSelected ? told.selected.add(id) : told.selected.delete(id);
    this.tellSelection();
  }

  tellSelection() {
    told.count += 1;
    this.drawSelection();
    this.sendSelection();
  }

  sendSelection() {
    told.at = Date.now();
    this.tell("selected", { ids: [...told.selected], count: told.count });
  }

  drawSelection() {
    for (const [id, row] of this.rows) row.select(told.selected.has(id));
    const chosen = [...this.rows.keys()].filter((id) => told.selected.has(id)).length;
    this.all.checked = chosen > 0 && chosen === this.rows.size;
    this.all.indeterminate = chosen > 0 && chosen < this.rows.size;
  }

  tellTimes() {
    for (const row of this.rows.values()) row.drawTime();
  }
}

/** One run. */
class RunRow {
  constructor(list, id) {
    this.list = list;
    this.id = id;
    const { words } = list;
    this.element = element("tr", "", { "data-run": id });
    this.box = element("input", "", { type: "checkbox" });
    this.box.onchange = () => list.select(id, this.box.checked);
    this.name = new Field(this, "name", "input", words.name);
    this.tags = new Field(this, "tags", "textarea", words.tags_hint);
    this.notes = new Field(this, "notes", "textarea", words.notes_hint);
    this.link = element("a", "task");
    this.link.onclick = (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
      event.preventDefault();
      this.act("open");
    };
    this.facts = element("span", "facts");
    this.state = element("span", "badge");
    this.bar = element("progress", "", { max: 1 });
    this.how = element("span", "how");
    this.source = element("td", "number source");
    this.transfer = element("td", "number transfer");
    this.made = element("td", "made");
    this.buttons = element("div", "buttons");
    this.build();
  }

  build() {
    const cell = (name, ...parts) => {
      const made = element("td", name);
      made.append(...parts);
      return made;
    };
    this.element.append(
      cell("select", this.box),
      cell("run", this.name.box, this.link, this.facts),
      cell("state", this.state, this.bar, this.how),
      this.source,
      this.transfer,
      cell("tags", this.tags.box),
      cell("notes", this.notes.box),
      this.made,
      cell("actions", this.buttons),
    );
    for (const name of ["source", "transfer", "tags", "notes", "made"])
      this.element.querySelector(`td.${name}`).dataset.label = this.list.words[name];
  }

  isEdited() {
    return this.element.contains(this.element.getRootNode().activeElement);
  }

  show(spec) {
    const text = JSON.stringify(spec);
    if (text === this.text) return;
    this.text = text;
    this.spec = spec;
    const { words } = this.list;
    this.box.setAttribute("aria-label", filled(words.select, spec));
    this.name.show(spec.name, filled(words.name_of, spec));
    this.tags.show(spec.tags, filled(words.tags_of, spec));
    this.notes.show(spec.notes, filled(words.notes_of, spec));
    set(this.link, spec.title);
    this.link.href = spec.link;
    set(this.facts, spec.facts);
    set(this.state, spec.state);
    this.state.dataset.state = spec.kind;
    this.bar.hidden = spec.progress === null;
    this.bar.value = spec.progress ?? 0;
    this.bar.setAttribute("aria-label", spec.how);
    set(this.how, spec.how);
    set(this.source, spec.source);
    set(this.transfer, spec.transfer);
    this.drawTime();
    this.drawButtons();
  }

  drawTime() {
    if (!this.spec) return;
    const { made } = this.spec;
    set(this.made, ago(made, this.list.language));
    this.made.title = new Date(1000 * made).toLocaleString(this.list.language);
  }

  /** The buttons that make sense now; a button stays the same element while it is offered. */
  drawButtons() {
    const { words } = this.list;
    const wanted = this.spec.actions;
    for (const button of [...this.buttons.children])
      if (!wanted.includes(button.dataset.action)) button.remove();
    for (const action of wanted) {
      let button = this.buttons.querySelector(`[data-action="${action}"]`);
      if (!button) {
        button = element(
          "button",
          "",
          { type: "button", "data-action": action, title: words[action] },
          words[action],
        );
        button.onclick = () => this.act(action);
      }
      button.setAttribute("aria-label", `${words[action]}: ${this.spec.title} ${this.id}`);
      this.buttons.append(button);
    }
  }

  act(action) {
    this.list.tell("act", { action, id: this.id });
  }

  select(isSelected) {
    this.box.checked = isSelected;
    this.element.dataset.selected = String(isSelected);
  }
}

/** A text that can be changed in place: Enter or leaving it keeps, Escape takes back. */
class Field {
  constructor(row, name, tag, hint) {
    this.row = row;
    this.name = name;
    this.box = element(tag, `field ${name}`, {
      placeholder: hint,
      spellcheck: "false",
      maxlength: "2000",
    });
    if (tag === "textarea") this.box.rows = 1;
    this.box.onkeydown = (event) => {
      event.stopPropagation(); // the page's own keys are not meant
      if (event.key === "Escape") this.box.value = this.kept;
      if (event.key === "Escape" || (event.key === "Enter" && !event.shiftKey)) {
        event.preventDefault();
        this.box.blur();
      }
    };
    this.box.onblur = () => this.keep();
  }

  keep() {
    const value = this.box.value.trim();
    if (value === this.kept) return;
    this.kept = value;
    this.typedAt = performance.now();
    this.row.list.tell("edited", { id: this.row.id, field: this.name, value });
  }

  show(value, label) {
    this.box.setAttribute("aria-label", label);
    const isEdited = this.box === this.box.getRootNode().activeElement;
    const isPending =
      value !== this.kept && performance.now() - (this.typedAt ?? -Infinity) < PENDING_MS;
    if (isEdited || isPending) return;
    this.kept = value;
    if (this.box.value !== value) this.box.value = value;
  }
}

function set(where, text) {
  if (where.textContent !== text) where.textContent = text;
}

function filled(template, { title, id }) {
  return template.replace("{run}", () => `${title} ${id}`);
}

/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const UNITS = [
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

function ago(moment, language) {
  const seconds = Math.max(0, Date.now() / 1000 - moment);
  const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? UNITS.at(-1);
  const words = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "short" });
  return words.format(-Math.floor(seconds / size), unit);
}
