// Makes the bundles that the app ships from the modules in the folders `browser`:
// `npm run build` writes them, `npm run check` says which of them are not what would be written.
// Style rules become part of the script that imports them, as text.

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const ROOT = fileURLToPath(new URL(".", import.meta.url));
const BUNDLES = {
  "vcr_core/live_view/built/live_view.js": "vcr_core/live_view/browser/views.js",
  "app/built/run_list.js": "app/browser/run_list.js",
  "app/built/streamlit.js": "app/browser/streamlit.js",
  "app/built/welcome.js": "app/browser/welcome.js",
};
const SHARED = {
  absWorkingDir: ROOT,
  bundle: true,
  minify: true,
  charset: "utf8",
  target: "es2022",
  logLevel: "warning",
};

/** Style rules as a text, what they import and all. */
const stylesAsText = {
  name: "styles as text",
  setup({ onLoad }) {
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const made = await build({ ...SHARED, entryPoints: [path], write: false });
      return { contents: made.outputFiles[0].text.trim(), loader: "text" };
    });
  },
};

function made(target, source, write) {
  return build({
    ...SHARED,
    entryPoints: [source],
    outfile: target,
    format: "esm",
    banner: { js: `// Made by "npm run build" from ${source}.` },
    plugins: [stylesAsText],
    write,
  });
}

async function isCurrent(target, source) {
  const { outputFiles } = await made(target, source, false);
  const kept = await readFile(`${ROOT}${target}`, "utf8").catch(() => "");
  return outputFiles[0].text === kept;
}

if (process.argv.includes("--check")) {
  const old = [];
  for (const [target, source] of Object.entries(BUNDLES))
    if (!(await isCurrent(target, source))) old.push(target);
  if (old.length) {
    console.error(`expected bundles made from their modules, got older ones: ${old.join(", ")}`);
    console.error("Run `npm run build` and commit what it writes.");
    process.exitCode = 1;
  }
} else {
  for (const [target, source] of Object.entries(BUNDLES)) await made(target, source, true);
}
