// Bundles the programs into dist/ and plugin/dist/. Only better-sqlite3 (a native module) stays outside.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { build } from "esbuild";
import { pageHeaders } from "../src/shared/page-security.ts";
import { bundlePrograms, loaderOf, loadedPrograms, shimHookScript, licensesOf } from "./programs.ts";

const browser = {
  write: false,
  bundle: true,
  platform: "browser",
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  minify: true,
  legalComments: "none",
  // The schemas of the contract, which no page validates with, stay out.
  plugins: [
    {
      name: "contract",
      setup: ({ onResolve, resolve }) =>
        onResolve({ filter: /\/contract\// }, async ({ path, pluginData, ...from }) =>
          pluginData === "contract"
            ? undefined
            : { ...(await resolve(path, { ...from, pluginData: "contract" })), sideEffects: false },
        ),
    },
  ],
};

const bundled = await bundlePrograms(process.cwd());
const page = await buildPage();
/** OpenCode imports it into its own process. */
const plugin = await build({
  entryPoints: { "opencode-plugin": "src/clients/opencode/opencode-plugin.ts" },
  outdir: "dist",
  outExtension: { ".js": ".mjs" },
  write: false,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
});
const loaders = loadedPrograms.map((name) => [`${name}.cjs`, loaderOf(name)]);
const licenses = licensesOf(".", [...bundled.modules, ...Object.keys(page.metafile.inputs)]);
const [openCodePlugin] = plugin.outputFiles;
fill("dist", [
  ...Object.entries(bundled.files),
  ...loaders,
  ["opencode-plugin.mjs", openCodePlugin.contents],
  ["shim-hook", shimHookScript()],
  ["third-party-licenses.txt", licenses],
]);
const forPlugin = /^(mcp|hook|parts\/(?!commands))/;
fill("plugin/dist", [
  ...Object.entries(bundled.files).filter(([name]) => forPlugin.test(name)),
  ...loaders.filter(([name]) => forPlugin.test(name)),
  ["shim-hook", shimHookScript("launch.mjs")],
]);

fill(join("dist", "web"), page.files);

/**
 * The live page: a bundle without data, which the machine and the Worker serve as it is. Beside it
 * the page behind the link of a hand-over, at `/take`.
 */
async function buildPage() {
  const folder = join("src", "web");
  const { outputFiles, metafile } = await build({
    ...browser,
    entryPoints: [
      { in: join(folder, "app-entry.tsx"), out: "app" },
      { in: join(folder, "app.css"), out: "app" },
      { in: join(folder, "take-entry.ts"), out: "app-take" },
    ],
    outdir: join("dist", "web"),
    entryNames: "[name]-[hash]",
    chunkNames: "app-[name]-[hash]",
    splitting: true,
    metafile: true,
  });
  const assets = outputFiles.map(({ path, contents }) => [basename(path), contents]);
  const outputs = Object.entries(metafile.outputs);
  const [script, { imports }] = outputs.find(([, { entryPoint }]) => entryPoint?.endsWith("app-entry.tsx"));
  const [style] = outputs.find(([name]) => name.endsWith(".css"));
  const first = imports.filter(({ kind }) => kind === "import-statement").map(({ path }) => basename(path));
  const preloads = first.map((name) => `<link rel="modulepreload" href="/${name}" />`);
  const page = readFileSync(join(folder, "index.html"), "utf8")
    .replace("app-entry.tsx", basename(script))
    .replace("app.css", basename(style))
    .replace("<script", () => [...preloads, "<script"].join("\n    "));
  const others = ["icon.svg", "icon-maskable.svg", "manifest.webmanifest"];
  const shown = [
    ...assets,
    ...others.map((name) => [name, readFileSync(join(folder, name))]),
    // The icon of the desktop bundle: iPhones show no SVG, nor do some systems in a notification.
    ["icon.png", readFileSync(join("desktop", "icon.png"))],
  ];
  const [takeScript] = outputs.find(([, { entryPoint }]) => entryPoint?.endsWith("take-entry.ts"));
  const takePage = readFileSync(join(folder, "take.html"), "utf8")
    .replace("take-entry.ts", basename(takeScript))
    .replace("app.css", basename(style));
  const files = [
    ...shown,
    ["index.html", Buffer.from(page)],
    ["worker.js", await serviceWorker(shown, page)],
    ["take.html", Buffer.from(takePage)],
    ["_headers", Buffer.from(headersFile())],
  ];
  return { files, metafile };
}

/** Its name stays, for browsers ask for it again; its content changes with the files that it keeps. */
async function serviceWorker(shown, page) {
  const hash = createHash("sha256").update(page);
  for (const [, contents] of shown) hash.update(contents);
  const { outputFiles } = await build({
    ...browser,
    entryPoints: [join("src", "web", "service-worker", "service-worker-entry.ts")],
    format: "iife",
    define: {
      pageFiles: JSON.stringify(shown.map(([name]) => `/${name}`)),
      pageVersion: JSON.stringify(hash.digest("hex").slice(0, 16)),
    },
  });
  return outputFiles[0].contents;
}

/** For the Worker's static assets, which are answered before its program runs. */
function headersFile() {
  const lines = Object.entries(pageHeaders).map(([name, value]) => `  ${name}: ${value}`);
  return ["/*", ...lines, "/app-*", "  cache-control: public, max-age=31536000, immutable", ""].join("\n");
}

function depth(name) {
  return name.split("/").length;
}

/** A program is written after its parts, and its loader after it. */
function fill(folder, wanted) {
  for (const [name, contents] of wanted.toSorted(([one], [other]) => depth(other) - depth(one))) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    replace(join(folder, name), Buffer.from(contents));
  }
  const kept = new Set(wanted.map(([name]) => join(name)));
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = relative(folder, path);
    if (entry.isFile() && !kept.has(name) && !name.startsWith("web") && !name.endsWith(".next")) rmSync(path);
  }
}

/** Hooks of running chats start these files at any moment: each is there whole, the old one or the new one. */
function replace(path, contents) {
  if (existsSync(path) && readFileSync(path).equals(contents)) return;
  const next = `${path}.${process.pid}.next`;
  writeFileSync(next, contents);
  renameSync(next, path);
}
