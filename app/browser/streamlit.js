// The adapter between Streamlit and our components: runs one whose code came with an earlier
// message (browser_code.py says why), in the order of the messages. Where the code does not come, it
// is asked for. Streamlit sends this file with every message, so it is kept small.

const ASK_AFTER_MS = 1500;

// By id of the code; shared by all components of the page, and kept while they come and go.
window.vcrLabCode ??= new Map();
const known = window.vcrLabCode;

export default function ({ data: bytes, parentElement, setTriggerValue }) {
  const data = JSON.parse(new TextDecoder().decode(bytes));
  const call = { data, element: parentElement, tell: setTriggerValue, address };
  const { id, js, css } = data.code;
  const code = known.get(id) ?? expected(id);
  if (js && !code.isComing) {
    Object.assign(code, { isComing: true, css });
    load(js).then(
      (module) => {
        code.show = module.show;
        code.arrived();
      },
      (error) => {
        known.delete(id); // the next message asks for it again
        code.failed(error);
      },
    );
  }
  if (code.show) return run(code, call);
  if (!code.isComing) setTimeout(() => code.isComing || call.tell("code", id), ASK_AFTER_MS);
  return code.ready.then(() => run(code, call));
}

function expected(id) {
  const code = { id };
  code.ready = new Promise((resolve, reject) => {
    Object.assign(code, { arrived: resolve, failed: reject });
  });
  known.set(id, code);
  return code;
}

async function load(js) {
  const url = URL.createObjectURL(new Blob([js], { type: "text/javascript" }));
  try {
    return await import(url);
  } finally {
    URL.revokeObjectURL(url);
  }
}

function run({ id, css, show }, call) {
  const { element } = call;
  if (!element.querySelector(`:scope > style[data-code="${id}"]`)) {
    const style = document.createElement("style");
    style.dataset.code = id;
    style.textContent = css;
    element.prepend(style);
  }
  return show(call);
}

/** Where a file of the app lies: below the address its own scripts come from, proxies and all. */
function address(path) {
  const own = document.querySelector('script[src*="/static/js/"], script[src^="static/js/"]');
  const root =
    own instanceof HTMLScriptElement ? new URL("../../", own.src) : `${location.origin}/`;
  const { href } = new URL(path, root);
  return path.startsWith("component/") ? kept(href) : href;
}

/**
 * An address from which a script of 5 MB comes without Streamlit's route, whose answers carry
 * nothing by which a browser may keep them, and which packs the script anew for every visitor.
 * Where a browser keeps nothing (no secure context, no room) it is the server's own address.
 */
async function kept(href) {
  try {
    const cache = await caches.open("vcr-lab");
    if (!(await cache.match(href))) {
      for (const older of await cache.keys()) await cache.delete(older);
      await cache.add(href);
    }
    return URL.createObjectURL(await (await cache.match(href)).blob());
  } catch {
    return href;
  }
}
