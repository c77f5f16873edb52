// Bundles the programs into dist/ and plugin/dist/. Only better-sqlite3 (a native module) stays outside.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { build } from "esbuild";
import { pageHeaders } from "../src/shared/page-security.ts";
import { newestSource } from "./newest-source.ts";
import { shimHookScript } from "./shim-hook.ts";
import { licensesOf } from "./third-party-licenses.ts";

/**
 * Loads costly built-in modules at their first call instead of at the start: crypto, zlib, child_process and http take 3 to 5 ms each, and
 * most hook events need none of them. Functions only; what is imported as a class or a value must not be listed here.
 */
const lazyBuiltins = {
  name: "lazy-builtins",
  setup(bundle) {
    bundle.onResolve({ filter: /^node:(crypto|zlib|child_process|http)$/ }, ({ path, importer }) =>
      importer.includes("node_modules") ? null : { path, namespace: "lazy" },
    );
    bundle.onLoad({ filter: /.*/, namespace: "lazy" }, ({ path }) => {
      const names = Object.entries(process.getBuiltinModule(path))
        .filter(([name, value]) => typeof value === "function" && /^[a-z]\w*$/.test(name))
        .map(([name]) => name);
      const lines = names.map(
        (name) =>
          `export const ${name} = (...args) => process.getBuiltinModule(${JSON.stringify(path)}).${name}(...args);`,
      );
      return { contents: lines.join("\n") };
    });
  },
};

/**
 * The SDK's validator of JSON schemas for Workers instead of ajv, which is 216 kB and compiles at every start. SHIM checks its input with zod;
 * the validator is only loaded.
 */
const smallValidator = {
  name: "small-validator",
  setup(bundle) {
    bundle.onResolve({ filter: /^@modelcontextprotocol\/server\/_shims$/ }, () => ({
      path: "shims",
      namespace: "validator",
    }));
    bundle.onLoad({ filter: /.*/, namespace: "validator" }, () => ({
      resolveDir: import.meta.dirname,
      contents: `export { CfWorkerJsonSchemaValidator as DefaultJsonSchemaValidator } from "@modelcontextprotocol/server/validators/cf-worker";
export { default as process } from "node:process";`,
    }));
  },
};

/**
 * The library of cron expressions as a file of its own, loaded at the first time that is computed: every program with a coordinator has
 * it, and hardly any has a schedule.
 */
const lazyCron = {
  name: "lazy-cron",
  setup(bundle) {
    bundle.onResolve({ filter: /^croner$/ }, ({ path }) => ({ path, namespace: "lazy-cron" }));
    bundle.onResolve({ filter: /^\.\/mcp-cron\.cjs$/ }, ({ path }) => ({ path, external: true }));
    bundle.onLoad({ filter: /.*/, namespace: "lazy-cron" }, () => ({
      contents: `export function Cron(...args) { return new (require("./mcp-cron.cjs").Cron)(...args); }`,
    }));
  },
};

/**
 * Starts a program with V8's compiled code of the last run: it saves a hook about 5 ms. CommonJS, because Node's ESM loader takes
 * another 5 ms. The cache lies in the user's own folder; in a shared one another user could plant code.
 */
const loader = (name) => `"use strict";
const { homedir } = require("node:os");
const { join } = require("node:path");
const { emitWarning } = process;
// Node 22 warns of its own SQLite at each start.
process.emitWarning = (warning, ...rest) =>
  String(warning).startsWith("SQLite is an experimental feature") || emitWarning.call(process, warning, ...rest);
// Node writes the cache when it ends: after \`init --remove\` has deleted it.
if (!process.argv.includes("--remove"))
  require("node:module").enableCompileCache(join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "shim"));
module.exports = require("./${name}-main.cjs");
`;

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
};

const programs = {
  mcp: "src/local-mcp/front/front-entry.ts",
  "mcp-host": "src/local-mcp/server/host-entry.ts",
  hook: "src/local-mcp/hooks/hook-entry.ts",
  "hook-service": "src/local-mcp/assignment/service-entry.ts",
  statusline: "src/cli/statusline-entry.ts",
  cli: "src/cli/cli-entry.ts",
  "commit-guard": "src/cli/commit-guard-entry.ts",
  "mcp-cron": "node_modules/croner/dist/croner.js",
  demo: "demo/chat-entry.ts",
  start: "demo/start-entry.ts",
};

const built = await build({
  entryPoints: Object.fromEntries(Object.entries(programs).map(([name, path]) => [`${name}-main`, path])),
  outdir: "dist",
  outExtension: { ".js": ".cjs" },
  write: false,
  bundle: true,
  platform: "node",
  // jsonc-parser's "main" is UMD, which no bundler can follow.
  mainFields: ["module", "main"],
  format: "cjs",
  target: "node22.16",
  external: ["better-sqlite3"],
  plugins: [lazyBuiltins, smallValidator, lazyCron],
  define: { "import.meta.url": "shimUrl", shimBuiltAt: String(newestSource(".")) },
  banner: { js: 'const shimUrl = require("node:url").pathToFileURL(__filename).href;' },
  minifyWhitespace: true,
  minifySyntax: true,
  minifyIdentifiers: true,
  metafile: true,
  legalComments: "none",
});
const page = await buildPage();
const fleetApp = await buildFleetApp();
/** OpenCode imports it into its own process. */
const plugin = await build({
  entryPoints: { "opencode-plugin": "src/clients/opencode-plugin.ts" },
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
const files = [
  ...plugin.outputFiles.map(({ path, contents }) => [basename(path), contents]),
  ...built.outputFiles.map(({ path, contents }) => [basename(path), contents]),
  // Loaders last: they need their programs.
  ...Object.keys(programs).map((name) => [`${name}.cjs`, Buffer.from(loader(name))]),
  ["shim-hook", Buffer.from(shimHookScript())],
];
const licenses = ["third-party-licenses.txt", Buffer.from(licensesOf(".", [built.metafile, page.metafile]))];
fill("dist", [...files, licenses, ["fleet-app.html", fleetApp]]);
fill(
  "plugin/dist",
  files.filter(([name]) => /^(mcp|hook)\b/.test(name)),
);

fill(join("dist", "web"), page.files);

/** The live page: a bundle without data, which the machine and the Worker serve as it is. */
async function buildPage() {
  const folder = join("src", "web");
  const { outputFiles, metafile } = await build({
    ...browser,
    entryPoints: [
      { in: join(folder, "app-entry.tsx"), out: "app" },
      { in: join(folder, "app.css"), out: "app" },
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
  const files = [
    ...assets,
    ["icon.svg", readFileSync(join(folder, "icon.svg"))],
    ["index.html", Buffer.from(page)],
    ["_headers", Buffer.from(headersFile())],
  ];
  return { files, metafile };
}

/** The MCP App: one document, since a client shows it without a server. Its own policy allows what is in it, and nothing else. */
async function buildFleetApp() {
  const { outputFiles } = await build({
    ...browser,
    entryPoints: [
      { in: join("src", "mcp-app", "fleet-app-entry.tsx"), out: "app" },
      { in: join("src", "web", "app.css"), out: "app" },
    ],
    outdir: "dist",
  });
  const textOf = (ending) => outputFiles.find(({ path }) => path.endsWith(ending)).text.trim();
  const [script, style] = [textOf(".js"), textOf(".css")];
  if (/<\/script|<!--|<\/style/i.test(script + style)) throw new Error("the app's code would end its own element");
  const sources = { "script-src": script, "style-src": style };
  const allowed = Object.entries(sources).map(([name, text]) => `${name} '${hashOf(text)}'`);
  const policy = ["default-src 'none'", ...allowed, "base-uri 'none'", "form-action 'none'"].join("; ");
  return Buffer.from(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>SHIM</title>
<style>${style}</style>
<body><script type="module">${script}</script></body>
</html>
`);
}

function hashOf(text) {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}

/** For the Worker's static assets, which are answered before its program runs. */
function headersFile() {
  const lines = Object.entries(pageHeaders).map(([name, value]) => `  ${name}: ${value}`);
  return ["/*", ...lines, "/app-*", "  cache-control: public, max-age=31536000, immutable", ""].join("\n");
}

function fill(folder, wanted) {
  mkdirSync(folder, { recursive: true });
  for (const [name, contents] of wanted) replace(join(folder, name), contents);
  const kept = new Set([...wanted.map(([name]) => name), "web"]);
  for (const name of readdirSync(folder)) {
    if (!kept.has(name) && !name.endsWith(".next")) rmSync(join(folder, name), { recursive: true });
  }
}

/** Hooks of running chats start these files at any moment: each is there whole, the old one or the new one. */
function replace(path, contents) {
  if (existsSync(path) && readFileSync(path).equals(contents)) return;
  const next = `${path}.${process.pid}.next`;
  writeFileSync(next, contents);
  renameSync(next, path);
}
