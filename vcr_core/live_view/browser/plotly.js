// Plotly itself: loaded once per page, whoever asks first.

/** @type {Promise<any> | null} */
let loading = null;

/** Plotly, from the address that `find()` comes to; a page may hold it already. */
export function loadPlotly(find) {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  loading ??= Promise.resolve(find())
    .then(runScript)
    .catch((error) => {
      loading = null;
      throw error;
    });
  return loading;
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

const copies = new WeakMap(); // by shadow root

/** Plotly writes its style rules into the document's head; a shadow root needs them too. */
export function copyPlotlyStyles(root) {
  if (!(root instanceof ShadowRoot)) return;
  const own = document.getElementById("plotly.js-style-global");
  const written = own instanceof HTMLStyleElement ? own.sheet : null;
  if (!written) return;
  if (!copies.has(root)) {
    copies.set(root, new CSSStyleSheet());
    root.adoptedStyleSheets.push(copies.get(root));
  }
  const rules = Array.from(written.cssRules, (rule) => rule.cssText);
  copies.get(root).replaceSync(rules.join("\n"));
}
