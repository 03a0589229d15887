// The first screen's cards: three experiments to choose from, and what will be seen.

import { element } from "../../vcr_core/live_view/browser/dom.js";
import { Tips } from "../../vcr_core/live_view/browser/tips.js";
import styles from "./welcome_styles.css";

const shown = new WeakMap(); // by the element where it stands

export function show({ data, element: place, tell }) {
  if (!shown.has(place)) shown.set(place, new Welcome(place));
  const welcome = shown.get(place);
  welcome.choose = (name) => tell("chosen", name);
  welcome.show(data);
}

class Welcome {
  constructor(parent) {
    /** @type {(name: string) => void} */
    this.choose = () => {};
    this.root = element("div", "vcr welcome");
    this.tips = new Tips(this.root);
    this.head = element("h2");
    this.cards = element("div", "cards", { role: "group" });
    this.more = element("p", "more");
    this.next = element("h2");
    this.steps = element("ol", "steps");
    this.root.append(this.head, this.cards, this.more, this.next, this.steps);
    parent.append(element("style", "", {}, styles), this.root);
  }

  show({ words, tips, colours, cards, chosen, steps }) {
    for (const [name, colour] of Object.entries(colours))
      this.root.style.setProperty(`--${name}`, colour);
    this.tips.apply(tips);
    this.words = words;
    const text = JSON.stringify([words, cards, steps]);
    if (text !== this.text) this.write(words, cards, steps);
    this.text = text;
    for (const card of this.cards.children)
      card.setAttribute("aria-pressed", String(card.dataset.preset === chosen));
  }

  write(words, cards, steps) {
    this.head.textContent = words.choose;
    this.cards.setAttribute("aria-label", words.choose);
    this.more.textContent = words.more;
    this.next.textContent = words.steps;
    this.cards.replaceChildren(...cards.map((card) => this.card(card)));
    this.steps.replaceChildren(...steps.map(([head, text]) => this.step(head, text)));
  }

  card({ name, title, text, takes, icon }) {
    const button = element("button", "card", { type: "button", "data-preset": name });
    const picture = element("span", "icon", { "aria-hidden": "true" });
    picture.innerHTML = icon; // one of our own drawings
    const body = element("span", "body");
    body.append(
      element("b", "", {}, title),
      element("span", "text", {}, text),
      element("span", "takes", {}, takes),
    );
    button.append(picture, body);
    button.onclick = () => this.choose(name);
    return button;
  }

  step(head, text) {
    const step = element("li");
    const words = element("p");
    this.tips.write(words, text);
    step.append(element("b", "", {}, head), words);
    return step;
  }
}
