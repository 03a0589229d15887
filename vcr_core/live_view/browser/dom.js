// Small pieces of the page.

export function element(tag, className = "", attributes = {}, text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  if (text) made.textContent = text;
  return made;
}

/** A short piece of a run's line, in its colour and dash. */
export function swatch({ tone, dash }) {
  const piece = element("i", "swatch", { "aria-hidden": "true" });
  piece.dataset.dash = dash;
  piece.style.setProperty("--tone", `var(--${tone})`);
  return piece;
}

/** Soon, in a moment without work; within half a second in any case. */
export function whenIdle(act) {
  return window.requestIdleCallback
    ? requestIdleCallback(act, { timeout: 500 })
    : setTimeout(act, 30);
}
