// The first screen's cards: three experiments to choose from, and what will be seen.

const shown = new WeakMap(); // by the element that Streamlit gives a component

export default function ({ data, parentElement, setTriggerValue }) {
  if (!shown.has(parentElement)) shown.set(parentElement, new Welcome(parentElement));
  const welcome = shown.get(parentElement);
  welcome.choose = (name) => setTriggerValue("chosen", name);
  welcome.show(data);
}

class Welcome {
  constructor(parent) {
    this.root = Tips.make("div", "welcome");
    this.tips = new Tips(this.root);
    this.head = Tips.make("h2");
    this.cards = Tips.make("div", "cards", { role: "group" });
    this.more = Tips.make("p", "more");
    this.next = Tips.make("h2");
    this.steps = Tips.make("ol", "steps");
    this.root.append(this.head, this.cards, this.more, this.next, this.steps);
    parent.append(this.root);
  }

  show({ words, tips, cards, chosen, steps }) {
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
    const button = Tips.make("button", "card", { type: "button", "data-preset": name });
    const picture = Tips.make("span", "icon", { "aria-hidden": "true" });
    picture.innerHTML = icon; // one of our own drawings
    const body = Tips.make("span", "body");
    body.append(Tips.make("b", "", {}, title), Tips.make("span", "text", {}, text), Tips.make("span", "takes", {}, takes));
    button.append(picture, body);
    button.onclick = () => this.choose(name);
    return button;
  }

  step(head, text) {
    const step = Tips.make("li");
    const words = Tips.make("p");
    this.tips.write(words, text);
    step.append(Tips.make("b", "", {}, head), words);
    return step;
  }
}
