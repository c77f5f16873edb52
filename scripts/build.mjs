// Bundles the programs into dist/ and plugin/dist/. Only better-sqlite3 (a native module) stays outside.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { build } from "esbuild";
import { rolldown } from "rolldown";
import { pageHeaders } from "../src/shared/page-security.ts";
import { bundlePrograms, closureOf, loaderOf, loadedPrograms, shimHookScript, licensesOf } from "./programs.ts";

const browser = { platform: "browser", transform: { target: "es2022" } };
const script = { minify: true, comments: { legal: false } };

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
const licenses = licensesOf(".", [...bundled.modules, ...page.modules]);
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
  const [style] = (
    await build({
      entryPoints: { app: join(folder, "app.css") },
      outdir: join("dist", "web"),
      entryNames: "[name]-[hash]",
      write: false,
      bundle: true,
      minify: true,
    })
  ).outputFiles;
  const chunks = await pageScripts(folder);
  const fileOf = (source) => chunks.find(({ moduleIds }) => moduleIds.at(-1)?.endsWith(source)).fileName;
  const named = (name) =>
    readFileSync(join(folder, name), "utf8")
      .replaceAll(/[\w-]+-entry\.tsx?/g, fileOf)
      .replace("app.css", basename(style.path));
  const page = named("index.html");
  const others = ["icon.svg", "icon-maskable.svg", "manifest.webmanifest"];
  const shown = [
    [basename(style.path), style.contents],
    ...chunks.map(({ fileName, code }) => [fileName, Buffer.from(code)]),
    ...others.map((name) => [name, readFileSync(join(folder, name))]),
    // The icon of the desktop bundle: iPhones show no SVG, nor do some systems in a notification.
    ["icon.png", readFileSync(join("desktop", "icon.png"))],
  ];
  const files = [
    ...shown,
    ["index.html", Buffer.from(page)],
    ["worker.js", await serviceWorker(shown, page)],
    ["take.html", Buffer.from(named("take.html"))],
    ["_headers", Buffer.from(headersFile())],
  ];
  return { files, modules: chunks.flatMap(({ moduleIds }) => moduleIds) };
}

/** All that the page needs before its first view is one file, since each file waits for a connection of few. */
async function pageScripts(folder) {
  const entries = { start: "start-entry.ts", page: "app-entry.tsx", take: "take-entry.ts" };
  const chunksOf = async (codeSplitting) => {
    const bundle = await rolldown({
      ...browser,
      input: Object.fromEntries(Object.entries(entries).map(([name, file]) => [name, join(folder, file)])),
      preserveEntrySignatures: false,
      // The schemas of the contract, which no page validates with, stay out.
      treeshake: { moduleSideEffects: [{ test: /\/src\/contract\//, sideEffects: false }] },
    });
    const name = "app-[name]-[hash].js";
    const names = { entryFileNames: name, chunkFileNames: name, hashCharacters: "base36" };
    const { output } = await bundle.generate({ ...script, format: "esm", ...names, codeSplitting });
    await bundle.close();
    return output;
  };
  const apart = await chunksOf(true);
  const byName = new Map(apart.map((chunk) => [chunk.fileName, chunk]));
  const modulesFrom = (source) => {
    const own = apart.filter(({ moduleIds }) => moduleIds.includes(join(process.cwd(), folder, source)));
    return new Set([...closureOf(byName, own)].flatMap(({ moduleIds }) => moduleIds));
  };
  const [start, app] = [modulesFrom("start-entry.ts"), modulesFrom("app-entry.tsx")];
  const name = (module) => (start.has(module) ? "start" : app.has(module) ? "page" : null);
  return chunksOf({ groups: [{ debugName: "first", name }], includeDependenciesRecursively: false });
}

/** Its name stays, for browsers ask for it again; its content changes with the files that it keeps. */
async function serviceWorker(shown, page) {
  const hash = createHash("sha256").update(page);
  for (const [, contents] of shown) hash.update(contents);
  const define = {
    pageFiles: JSON.stringify(shown.map(([name]) => `/${name}`)),
    pageVersion: JSON.stringify(hash.digest("hex").slice(0, 16)),
  };
  const input = join("src", "web", "service-worker", "service-worker-entry.ts");
  const bundle = await rolldown({ ...browser, input, transform: { ...browser.transform, define } });
  const { output } = await bundle.generate({ ...script, format: "iife" });
  await bundle.close();
  return output[0].code;
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
