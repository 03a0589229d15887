// Tooltips: a pointer on a marked term shows what it means; the question mark beside a title shows
// all terms below it, also to the keyboard, to a finger and to a screen reader.

import { element as make } from "./dom.js";

const TIP_GAP = 6;
const LEAVE_MS = 150; // so that the pointer can move onto the tooltip

export class Tips {
  constructor(host) {
    this.host = host;
    /** @type {((anchor: Element, term: any) => string) | undefined} of the current numbers */
    this.values = undefined;
    this.terms = new Map();
    this.written = new WeakMap();
    this.bubble = make("div", "tip", { "aria-hidden": "true" });
    this.bubble.popover = "manual";
    host.append(this.bubble);
    this.bubble.onpointerenter = () => clearTimeout(this.leaving);
    this.bubble.onpointerleave = () => this.leave();
    host.addEventListener("pointerover", (event) => this.onOver(event));
    host.addEventListener("pointerout", (event) => event.target.closest(".term") && this.leave());
    host.addEventListener("click", (event) => this.onOver(event));
    host.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.hide()) event.stopPropagation();
    });
    this.away = new AbortController();
    const everywhere = { capture: true, passive: true, signal: this.away.signal };
    document.addEventListener("scroll", () => this.hide(), everywhere);
    document.addEventListener(
      "pointerdown",
      (event) => this.isOutside(event) && this.hide(),
      everywhere,
    );
  }

  isOutside(event) {
    const path = event.composedPath();
    return !path.includes(this.bubble) && !path.includes(this.anchor);
  }

  dispose() {
    this.away.abort();
  }

  apply({ terms, words }) {
    const text = JSON.stringify([terms, words]);
    if (text === this.text) return;
    this.text = text;
    this.words = words;
    this.terms = new Map(terms.map((term) => [term.id, term]));
    this.forms = new Map(
      terms.flatMap(({ id, forms }) => forms.map((form) => [form.toLowerCase(), id])),
    );
    const longestFirst = [...this.forms.keys()].sort((a, b) => b.length - a.length);
    const parts = longestFirst.map((form) => {
      const literal = form.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
      const isLatin = /^[\x20-\x7e]+$/.test(form);
      return isLatin ? `(?<![\\p{L}\\p{N}_])${literal}(?:e?s)?(?![\\p{L}\\p{N}_])` : literal;
    });
    this.pattern = parts.length ? new RegExp(parts.join("|"), "giu") : null;
    this.written = new WeakMap();
  }

  /** Where terms stand in a text: [place, length, id], each term once. */
  find(text) {
    if (!this.pattern || !text) return [];
    const found = new Map();
    for (const match of text.matchAll(this.pattern)) {
      const word = match[0].toLowerCase();
      const id =
        this.forms.get(word) ??
        this.forms.get(word.slice(0, -1)) ??
        this.forms.get(word.slice(0, -2));
      if (!found.has(id)) found.set(id, [match.index, match[0].length, id]);
    }
    return [...found.values()];
  }

  /** Write a text with its terms marked. */
  write(element, text) {
    if (this.written.get(element) === text) return;
    this.written.set(element, text);
    let end = 0;
    const parts = [];
    for (const [place, length, id] of this.find(text)) {
      parts.push(text.slice(end, place));
      parts.push(make("span", "term", { "data-term": id }, text.slice(place, place + length)));
      end = place + length;
    }
    element.replaceChildren(...parts, text.slice(end));
  }

  onOver(event) {
    const marked = event.target.closest?.(".term");
    if (marked) this.show(marked, [this.terms.get(marked.dataset.term)]);
  }

  /** Show terms beside an element; ``values(term)`` may add a line with the current number. */
  show(anchor, terms, values = this.values) {
    clearTimeout(this.leaving);
    if (this.anchor === anchor && this.bubble.matches(":popover-open")) return;
    this.anchor = anchor;
    this.bubble.replaceChildren(
      ...terms.map((term) => this.paragraph(term, values?.(anchor, term))),
    );
    this.bubble.showPopover();
    this.place(anchor.getBoundingClientRect());
  }

  paragraph({ name, text }, now) {
    const paragraph = make("p");
    paragraph.append(make("b", "", {}, name), ` ${text}`);
    if (now)
      paragraph.append(
        make(
          "span",
          "now-value",
          {},
          this.words.now.replace("{values}", () => now),
        ),
      );
    return paragraph;
  }

  place({ left, top, bottom }) {
    const { bubble } = this;
    const { width, height } = bubble.getBoundingClientRect();
    const below = bottom + TIP_GAP + height <= innerHeight || top < height + TIP_GAP;
    bubble.style.left = `${Math.max(8, Math.min(left, document.documentElement.clientWidth - width - 8))}px`;
    bubble.style.top = `${below ? bottom + TIP_GAP : top - TIP_GAP - height}px`;
  }

  leave() {
    clearTimeout(this.leaving);
    this.leaving = setTimeout(() => this.hide(), LEAVE_MS);
  }

  hide() {
    if (!this.bubble.matches(":popover-open")) return false;
    this.bubble.hidePopover();
    this.anchor = null;
    return true;
  }
}

let explained = 0; // for ids

/** A question mark that explains all terms of the texts that it is given. */
export class Explain {
  constructor(tips, values) {
    this.tips = tips;
    this.values = values;
    explained += 1;
    this.said = make("span", "", { id: `explained-${explained}`, hidden: "" });
    this.button = make(
      "button",
      "explain",
      { type: "button", "aria-describedby": this.said.id, hidden: "" },
      "?",
    );
    this.box = make("span", "explains");
    this.box.append(this.button, this.said);
    this.button.onfocus = () => this.button.matches(":focus-visible") && this.show();
    this.button.onblur = () => this.tips.hide();
    this.button.onclick = () => this.show();
    this.button.onpointerenter = ({ pointerType }) => pointerType === "mouse" && this.show();
    this.button.onpointerleave = () => this.tips.leave();
  }

  apply(title, texts, more = []) {
    const text = JSON.stringify([title, texts, more, this.tips.text]);
    if (text === this.text) return;
    this.text = text;
    const ids = new Set(texts.flatMap((text) => this.tips.find(text).map(([, , id]) => id)));
    this.terms = [...ids, ...more].map((id) => this.tips.terms.get(id));
    this.button.hidden = !this.terms.length;
    this.button.setAttribute(
      "aria-label",
      (this.tips.words?.explain ?? "").replace("{title}", () => title),
    );
    this.said.textContent = this.terms.map(({ name, text }) => `${name}: ${text}`).join(" ");
  }

  show() {
    this.tips.show(this.button, this.terms, (_, term) => this.values?.(term));
  }
}
