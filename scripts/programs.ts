// The programs of SHIM for Node: which there are, and how each is bundled.
import { join } from "node:path";
import { rolldown, type InputOptions, type OutputChunk, type OutputOptions, type Plugin } from "rolldown";
import { newestSource } from "./newest-source.ts";

/** Files by their names, which hold a `/` for the parts that programs load on demand. */
export interface Bundled {
  readonly files: Readonly<Record<string, string>>;
  /** Paths of the bundled modules. */
  readonly modules: readonly string[];
  /** Names of a program's own file and of all parts that it may load. */
  filesOf(program: string): string[];
}

/** Large programs, which share their parts: a part is loaded when it is first used. */
const dividedPrograms = {
  "mcp-host": "src/local-mcp/server/host-entry.ts",
  cli: "src/cli/cli-entry.ts",
  "commit-guard": "src/cli/commit-guard-entry.ts",
  demo: "demo/chat-entry.ts",
  start: "demo/start-entry.ts",
};

/** Programs that start for each chat, event or status line: one file each, since each file costs a start 0.3 ms. */
const wholePrograms = {
  mcp: "src/local-mcp/front/front-entry.ts",
  hook: "src/local-mcp/hooks/hook-entry.ts",
  "hook-service": "src/local-mcp/assignment/service-entry.ts",
  statusline: "src/cli/statusline-entry.ts",
  "mcp-cron": "node_modules/croner/dist/croner.js",
};

/** Every program that has a loader. */
export const programs = [...Object.keys(dividedPrograms), ...Object.keys(wholePrograms)];

/**
 * Loads costly built-in modules at their first call instead of at the start: crypto, zlib, child_process and http take 3 to 5 ms each, and
 * most hook events need none of them. Functions only; what is imported as a class or a value must not be listed here.
 */
const lazyBuiltins: Plugin = {
  name: "lazy-builtins",
  resolveId(id, importer) {
    const isLazy = /^node:(crypto|zlib|child_process|http)$/.test(id) && !/^\0|node_modules/.test(importer ?? "");
    return isLazy ? `\0lazy:${id}` : null;
  },
  load(id) {
    if (!id.startsWith("\0lazy:")) return null;
    const path = JSON.stringify(id.slice("\0lazy:".length));
    return Object.entries(process.getBuiltinModule(JSON.parse(path) as string) as object)
      .filter(([name, value]) => typeof value === "function" && /^[a-z]\w*$/.test(name))
      .map(([name]) => `export const ${name} = (...args) => process.getBuiltinModule(${path}).${name}(...args);`)
      .join("\n");
  },
};

/**
 * The SDK's validator of JSON schemas for Workers instead of ajv, which is 216 kB and compiles at every start. SHIM checks its input with zod;
 * the validator is only loaded.
 */
const smallValidator: Plugin = {
  name: "small-validator",
  resolveId: (id) =>
    id === "@modelcontextprotocol/server/_shims" ? join(import.meta.dirname, "\0validator.js") : null,
  load: (id) =>
    id.endsWith("\0validator.js")
      ? `export { CfWorkerJsonSchemaValidator as DefaultJsonSchemaValidator } from "@modelcontextprotocol/server/validators/cf-worker";
export { default as process } from "node:process";`
      : null,
};

/**
 * The library of cron expressions as a file of its own, loaded at the first time that is computed: every program with a coordinator has
 * it, and hardly any has a schedule.
 */
const lazyCron: Plugin = {
  name: "lazy-cron",
  resolveId: (id) => (id === "croner" ? "\0croner" : null),
  load: (id) =>
    id === "\0croner"
      ? `import { createRequire } from "node:module";
const load = createRequire(import.meta.url);
export function Cron(...args) { return new (load("../mcp-cron.cjs").Cron)(...args); }`
      : null,
};

/** Bundles all programs. Only better-sqlite3 (a native module) stays outside. */
export async function bundlePrograms(root: string): Promise<Bundled> {
  const options: InputOptions = {
    cwd: root,
    platform: "node",
    external: ["better-sqlite3"],
    // jsonc-parser's "main" is UMD, which no bundler can follow.
    resolve: { mainFields: ["module", "main"] },
    transform: { target: "node22.16", define: { shimBuiltAt: String(newestSource(root)) } },
    plugins: [lazyBuiltins, smallValidator, lazyCron],
  };
  const output: OutputOptions = {
    format: "cjs",
    minify: true,
    comments: { legal: false },
    entryFileNames: "[name]-main.cjs",
    chunkFileNames: "parts/[name]-[hash].cjs",
  };
  const inputs = [dividedPrograms, ...Object.entries(wholePrograms).map(([name, path]) => ({ [name]: path }))];
  const chunks: OutputChunk[] = [];
  for (const input of inputs) {
    await using bundle = await rolldown({ ...options, input });
    const isWhole = input !== dividedPrograms;
    const generated = await bundle.generate({ ...output, ...(isWhole ? { codeSplitting: false } : {}) });
    chunks.push(...generated.output.filter((one) => one.type === "chunk"));
  }
  const byName = new Map(chunks.map((chunk) => [chunk.fileName, chunk]));
  return {
    files: Object.fromEntries(chunks.map(({ fileName, code }) => [fileName, code])),
    modules: chunks.flatMap(({ moduleIds }) => moduleIds),
    filesOf(program) {
      const found = new Set<string>();
      const add = (name: string): void => {
        const chunk = byName.get(name);
        if (chunk === undefined || found.has(name)) return;
        found.add(name);
        for (const next of [...chunk.imports, ...chunk.dynamicImports]) add(next);
      };
      add(`${program}-main.cjs`);
      return [...found];
    },
  };
}

/**
 * Starts a program with V8's compiled code of the last run: it saves a hook about 5 ms. CommonJS, because Node's ESM loader takes
 * another 5 ms. The cache lies in the user's own folder; in a shared one another user could plant code.
 */
export function loaderOf(program: string): string {
  return `"use strict";
const { homedir } = require("node:os");
const { join } = require("node:path");
const { emitWarning } = process;
// Node 22 warns of its own SQLite at each start.
process.emitWarning = (warning, ...rest) =>
  String(warning).startsWith("SQLite is an experimental feature") || emitWarning.call(process, warning, ...rest);
// Node writes the cache when it ends: after \`init --remove\` has deleted it.
if (!process.argv.includes("--remove"))
  require("node:module").enableCompileCache(join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "shim"));
module.exports = require("./${program}-main.cjs");
`;
}
