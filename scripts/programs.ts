// The programs of SHIM for Node: which there are, and how each is bundled.
import { globSync, statSync, readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { rolldown, type InputOptions, type OutputChunk, type OutputOptions, type Plugin } from "rolldown";
import { headerPrefix, valueVariables } from "../src/clients/adapter/hook-program.ts";
import { startMark } from "../src/local-mcp/host-client/reach-host.ts";

/** Files by their names, which hold a `/` for the parts that programs load on demand. */
export interface Bundled {
  readonly files: Readonly<Record<string, string>>;
  /** Paths of the bundled modules. */
  readonly modules: readonly string[];
}

/** Large programs, which share their parts: a part is loaded when it is first used. */
const dividedPrograms = {
  "mcp-host": "src/local-mcp/host/host-entry.ts",
  cli: "src/cli/cli-entry.ts",
  demo: "demo/chat-entry.ts",
};

/** Programs that start for each chat, event or status line: one file each, since each file costs a start 0.3 ms. */
const wholePrograms = {
  mcp: "src/local-mcp/front/front-entry.ts",
  hook: "src/local-mcp/events/hook-entry.ts",
  "mcp-jobs": "src/local-mcp/host/jobs-entry.ts",
  statusline: "src/cli/statusline-entry.ts",
};

/** Small, or started once a session: no second file starts them faster. */
const plainPrograms = {
  help: "src/cli/help-entry.ts",
  "hook-service": "src/machine/learning/assignment-service-entry.ts",
};

/** Programs whose code is another file than the one that is started. */
export const loadedPrograms = Object.keys(wholePrograms);

/**
 * Loads costly built-in modules at their first call instead of at the start: crypto, zlib, child_process, http and net take 2 to 5 ms each, and
 * most hook events need none of them. Functions only; what is imported as a class or a value must not be listed here.
 */
const lazyBuiltins: Plugin = {
  name: "lazy-builtins",
  resolveId(id, importer) {
    const isLazy = /^node:(crypto|zlib|child_process|http|net)$/.test(id) && !/^\0|node_modules/.test(importer ?? "");
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
 * The process instead of Node's module of it: to give that to ES modules a bundler copies its properties, and so reads
 * its title. On Windows Node ends at that where the console has none, as after Claude Code in the same tab.
 */
export const processModule = "export default process;\nexport const { env, emitWarning } = process;";
const ownProcess: Plugin = {
  name: "own-process",
  resolveId: (id) => (/^(node:)?process$/.test(id) ? "\0process" : null),
  load: (id) => (id === "\0process" ? processModule : null),
};

/**
 * No server of SHIM speaks HTTP/2. The adapter of the page asks whether a request is of it, and Node's module takes 14 ms to load, in each host
 * that has answered a command.
 */
const noHttp2: Plugin = {
  name: "no-http2",
  resolveId: (id) => (id === "node:http2" ? "\0http2" : null),
  load: (id) =>
    id === "\0http2" ? "export class Http2ServerRequest {}\nexport const constants = { NGHTTP2_NO_ERROR: 0 };" : null,
};

/** What is loaded first, by its modules: each part has what those before it have not. */
const startParts: readonly (readonly [part: string, modules: readonly string[]])[] = [
  // Without better-sqlite3, as the npm package is, each host has this driver.
  ["host", [dividedPrograms["mcp-host"], "src/store/driver-node-sqlite.ts"]],
  // A host loads it for its first chat.
  [
    "chat",
    [
      "src/local-mcp/mcp/chat/open-team.ts",
      "src/local-mcp/mcp/tools/handlers.ts",
      "src/local-mcp/host/coordinator-requests.ts",
      "src/machine/sharing/synchronizer.ts",
      "src/machine/team/conflict-watch.ts",
      "node_modules/ws/wrapper.mjs",
    ],
  ],
];
/** Alone, since a part asks for all that it needs from outside as soon as it is loaded. */
const forSqlite = /^src\/store\/driver-better-sqlite3\.ts$/;
/** Loaded for single commands, unless a host loads it on demand. */
const forCommands = /^(src\/(cli|installer|code|runner)|demo)\//;
/** A command that loads more than this (of code, not minified) does its work itself; others ask a host, and print. */
const maxAskingChars = 150_000;

/**
 * Few parts, since each file costs a start and an installation.
 *
 * @param chunks as many as there are ways to load a module
 */
function partsOf(root: string, chunks: readonly OutputChunk[]): (module: string) => string | null {
  const byName = new Map(chunks.map((chunk) => [chunk.fileName, chunk]));
  const modulesOf = (found: readonly OutputChunk[]): ReadonlySet<string> =>
    new Set([...closureOf(byName, found)].flatMap(({ moduleIds }) => moduleIds));
  const from = (paths: readonly string[]): ReadonlySet<string> =>
    modulesOf(chunks.filter(({ moduleIds }) => paths.some((path) => moduleIds.includes(join(root, path)))));
  const entry = from([dividedPrograms.cli]);
  const asking = modulesOf(
    chunks.filter((one) => {
      const isCommand = one.facadeModuleId?.startsWith(join(root, "src", "cli", "commands"));
      const own = [...closureOf(byName, [one])].filter(({ moduleIds }) => !moduleIds.some((id) => entry.has(id)));
      return isCommand && own.reduce((chars, { code }) => chars + code.length, 0) <= maxAskingChars;
    }),
  );
  const starts = new Map<string, string>();
  for (const [part, paths] of startParts)
    for (const module of from(paths)) if (!starts.has(module)) starts.set(module, part);
  // A part asks for all that it needs from outside: so what a command shares with a host is in none of the host's.
  for (const module of [...entry, ...asking])
    if (entry.has(module) || starts.has(module)) starts.set(module, "first");
    else starts.set(module, "asking");
  const host = chunks.filter(({ moduleIds }) => moduleIds.includes(join(root, dividedPrograms["mcp-host"])));
  const ofHost = new Set([...closureOf(byName, host, true)].flatMap(({ moduleIds }) => moduleIds));
  const own = new Set(Object.values(dividedPrograms).map((path) => join(root, path)));
  return (module) => {
    if (own.has(module)) return null;
    const path = relative(root, module);
    if (forSqlite.test(path)) return "sqlite";
    return starts.get(module) ?? (forCommands.test(path) && !ofHost.has(module) ? "commands" : "operations");
  };
}

/** The chunks and those that they import, in any depth; `isAll`: those that they load on demand, too. */
export function closureOf(
  byName: ReadonlyMap<string, OutputChunk>,
  chunks: readonly OutputChunk[],
  isAll = false,
): ReadonlySet<OutputChunk> {
  const found = new Set<OutputChunk>();
  const add = (chunk: OutputChunk | undefined): void => {
    if (chunk === undefined || found.has(chunk)) return;
    found.add(chunk);
    for (const name of chunk.imports) add(byName.get(name));
    if (isAll) for (const name of chunk.dynamicImports) add(byName.get(name));
  };
  for (const chunk of chunks) add(chunk);
  return found;
}

/** Bundles all programs. Only better-sqlite3 (a native module) stays outside. */
export async function bundlePrograms(root: string): Promise<Bundled> {
  const options: InputOptions = {
    cwd: root,
    platform: "node",
    external: ["better-sqlite3"],
    // jsonc-parser's "main" is UMD, which no bundler can follow.
    resolve: { mainFields: ["module", "main"] },
    transform: { target: "node22.16", define: { shimBuiltAt: String(newestSource(root)) } },
    // Entries export nothing.
    preserveEntrySignatures: false,
    // Rolldown takes any static importer for one that loads a module at the start, also one that is itself loaded
    // on demand. And a module of the same part is not run before its dynamic import.
    checks: { ineffectiveDynamicImport: false },
    plugins: [lazyBuiltins, smallValidator, ownProcess, noHttp2],
  };
  const output: OutputOptions = {
    format: "cjs",
    minify: true,
    comments: { legal: false },
    // Merged modules are run when they are imported, not when their part is loaded.
    strictExecutionOrder: true,
    chunkFileNames: "parts/[name]-[hash].cjs",
  };
  const chunksOf = async (input: Record<string, string>, kind: Partial<OutputOptions>): Promise<OutputChunk[]> => {
    await using bundle = await rolldown({ ...options, input });
    const generated = await bundle.generate({ ...output, ...kind });
    return generated.output.filter((one) => one.type === "chunk");
  };
  const partOf = partsOf(root, await chunksOf(dividedPrograms, { codeSplitting: true }));
  const divided = await chunksOf(dividedPrograms, {
    entryFileNames: "[name].cjs",
    // Its parts are what takes long to compile.
    banner: ({ isEntry, name }) => {
      const saysWhy = name === "mcp-host" ? sayLoadError : "";
      return isEntry ? `"use strict";\n{\n${useCompiledCode}${saysWhy}}` : "";
    },
    codeSplitting: { groups: [{ debugName: "parts", name: partOf }], includeDependenciesRecursively: false },
  });
  const whole = Object.entries(wholePrograms).map(([name, path]) =>
    chunksOf({ [name]: path }, { entryFileNames: "[name]-main.cjs", codeSplitting: false }),
  );
  const plain = Object.entries(plainPrograms).map(([name, path]) =>
    chunksOf({ [name]: path }, { entryFileNames: "[name].cjs", codeSplitting: false }),
  );
  const chunks = [...divided, ...(await Promise.all([...whole, ...plain])).flat()];
  return {
    files: Object.fromEntries(chunks.map(({ fileName, code }) => [fileName, inAscii(code)])),
    modules: chunks.flatMap(({ moduleIds }) => moduleIds),
  };
}

/**
 * V8 holds a source with one other character in twice the memory, and takes longer to read and to check it. In a raw template the
 * escape is one of the regular expression that the template becomes.
 *
 * @throws {Error} where a backslash before the character would take the escape for itself
 */
export function inAscii(code: string): string {
  return code.replaceAll(/(\\*)([^\0-\x7F])/g, (all, slashes: string, unit: string) => {
    if (slashes.length % 2 > 0) throw new Error(`a backslash before ${unit}: ${all}`);
    return `${slashes}\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/**
 * Starts a program with V8's compiled code of the last run: it saves a hook about 5 ms. CommonJS, because Node's ESM loader takes
 * another 5 ms. The cache lies in the user's own folder; in a shared one another user could plant code.
 */
const useCompiledCode = `const { homedir } = require("node:os");
const { join } = require("node:path");
const { emitWarning } = process;
// Node 22 warns of its own SQLite at each start.
process.emitWarning = (warning, ...rest) =>
  String(warning).startsWith("SQLite is an experimental feature") || emitWarning.call(process, warning, ...rest);
const { existsSync, mkdirSync } = require("node:fs");
const caches = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
// Node writes the cache when it ends: after \`init --remove\` has deleted it. It would try for ever to make a
// folder where none can be made, as in a home whose server is away: then there is no cache.
if (!process.argv.includes("--remove"))
  try {
    for (const folder of [caches, join(caches, "shim")]) existsSync(folder) || mkdirSync(folder, { mode: 0o700 });
    require("node:module").enableCompileCache(join(caches, "shim"));
  } catch {}
`;

/** A host whose parts are gone runs none of its own code: what starts it learns the reason all the same. */
const sayLoadError = `process.once("uncaughtExceptionMonitor", (error) => {
  try {
    const { readFileSync, writeFileSync } = require("node:fs");
    const mark = ${JSON.stringify(startMark("."))};
    if (Number(readFileSync(mark, "utf8")) === process.pid)
      writeFileSync(mark, process.argv[1] + ": " + String(error?.message ?? error).split("\\n")[0]);
  } catch {}
});
`;

/** The file that is started, of a program whose code is another one. */
export function loaderOf(program: string): string {
  return `"use strict";\n${useCompiledCode}module.exports = require("./${program}-main.cjs");\n`;
}

/**
 * The time of a build, epoch ms: all copies of a build have it, and the newest of two hosts serves.
 * Unchanged sources make an unchanged bundle.
 */
export function newestSource(root: string): number {
  const paths = globSync("src/**/*.{ts,tsx,sh}", { cwd: root });
  return Math.max(...paths.map((path) => Math.floor(statSync(join(root, path)).mtimeMs)));
}

/**
 * The script `shim-hook`, with its program and the variables that it sends.
 *
 * @param launcher path of the launcher from the folder above the script's
 */
export function shimHookScript(launcher = "bin/shim.mjs"): string {
  const program = source("shim-hook.pl")
    .replaceAll(/^\s*#.*\n/gm, "")
    .replace("@variables@", () => valueVariables.join(" "))
    .replace("@prefix@", () => headerPrefix);
  if (program.includes("'")) throw new Error("shim-hook.pl is written between single quotes, so it cannot hold one");
  return source("shim-hook.sh")
    .replace("@perl@", () => program)
    .replaceAll("bin/shim.mjs", launcher);
}

function source(name: string): string {
  return readFileSync(join(import.meta.dirname, "..", "src", "local-mcp", "events", name), "utf8");
}

/**
 * The licenses of what is bundled ask that their text goes with it.
 *
 * @param modules paths of the bundled modules
 */
export function licensesOf(root: string, modules: readonly string[]): string {
  const packages = modules.map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]);
  const found = [...new Set(packages)].filter((name) => name !== undefined).sort();
  return found.map((name) => `${name}\n\n${licenseOf(join(root, "node_modules", name))}\n`).join("\n");
}

function licenseOf(path: string): string {
  const name = readdirSync(path).find((one) => /^licen[cs]e/i.test(one));
  return name === undefined ? licenseSaid(path) : readFileSync(join(path, name), "utf8");
}

/** A package may come without the text: then what it says of itself goes along. */
function licenseSaid(path: string): string {
  const about = JSON.parse(readFileSync(join(path, "package.json"), "utf8")) as Record<string, unknown>;
  if (typeof about["license"] !== "string") throw new Error(`${path} names no license.`);
  return `${about["license"]}, as its package.json says: ${JSON.stringify({ author: about["author"], repository: about["repository"] })}`;
}
