// What can be chosen for the enlarged layer: which matrix, in which order.

import { element } from "./dom.js";
import { filledIn } from "./wording.js";

export class Choices {
  constructor(view) {
    this.view = view;
    this.box = element("section", "choices", { hidden: "" });
    this.title = element("h2", "enlarged", { "aria-live": "polite" });
    this.groups = element("div", "groups");
    this.box.append(this.title, this.groups);
  }

  apply(choices, network) {
    this.box.hidden = !network;
    if (!network) return;
    this.title.textContent = filledIn(this.view.words.enlarged, { layer: network.selected });
    const text = JSON.stringify(choices);
    if (text === this.text) return;
    this.text = text;
    this.groups.replaceChildren(...choices.map((choice) => this.group(choice)));
  }

  group({ id, label, options, value }) {
    const group = element("div", "group", {
      role: "group",
      "aria-label": label,
      "data-choice": id,
    });
    for (const [name, text] of options) {
      const button = element("button", "option", { type: "button" }, text);
      button.setAttribute("aria-pressed", String(name === value));
      button.onclick = () => {
        for (const other of group.children)
          other.setAttribute("aria-pressed", String(other === button));
        this.view.choose(id, name);
      };
      group.append(button);
    }
    return group;
  }
}
