// Runs a component whose code came with an earlier message (browser_code.py says why), in the
// order of the messages. Where the code does not come, it is asked for.

const ASK_AFTER_MS = 1500;

// By id of the code; shared by all components of the page, and kept while they come and go.
const known = (window.vcrLabCode ??= new Map());

export default function (told) {
  const call = { ...told, data: JSON.parse(new TextDecoder().decode(told.data)) };
  const { id, js, css } = call.data.code;
  const code = known.get(id) ?? expected(id);
  if (js && !code.coming) {
    Object.assign(code, { coming: true, css });
    load(js).then((module) => {
      code.run = module.default;
      code.arrived();
    }, (error) => {
      known.delete(id); // the next message asks for it again
      code.failed(error);
    });
  }
  if (code.run) return run(code, call);
  if (!code.coming) setTimeout(() => code.coming || call.setTriggerValue("code", id), ASK_AFTER_MS);
  return code.ready.then(() => run(code, call));
}

function expected(id) {
  const code = { id };
  code.ready = new Promise((resolve, reject) => Object.assign(code, { arrived: resolve, failed: reject }));
  known.set(id, code);
  return code;
}

async function load(js) {
  const address = URL.createObjectURL(new Blob([js], { type: "text/javascript" }));
  try {
    return await import(address);
  } finally {
    URL.revokeObjectURL(address);
  }
}

function run({ id, css, run }, call) {
  const { parentElement } = call;
  if (!parentElement.querySelector(`:scope > style[data-code="${id}"]`)) {
    const style = document.createElement("style");
    style.dataset.code = id;
    style.textContent = css;
    parentElement.prepend(style);
  }
  return run(call);
}
