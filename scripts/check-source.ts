/** `npm run lint` runs it: names, comments and imports of `src` that no linter checks. Prints each fault as `file:line: why`. */
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const root = join(import.meta.dirname, "..");

/** Words that do not say what a thing is, with the word to use instead. [docs/internals/glossary.md] */
const banned: Readonly<Record<string, string>> = {
  around: "deps",
  circumstances: "the name of what it holds",
  desk: "rig in tests, otherwise the name of what it does",
  gathering: "groupCommit",
  heed: "onSignal, watch",
  look: "check, scan, poll",
  looked: "scanned, checked",
  looks: "checks, looksLike",
  outside: "platform",
  place: "path, position, waiter",
  places: "paths, positions, waiters",
  seat: "availableChat",
  seats: "availableChats",
  surplus: "retention",
  surroundings: "deps",
  taker: "claimant",
  takers: "claimants",
  told: "the noun of the result: toLease, reported",
  undoing: "rollback",
  whoever: "a noun",
  wish: "request",
};

const comment = /\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/[^\n]*/g;
const text = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/g;
const identifier = /(?<![\w$])[A-Za-z_$][\w$]*/g;

/** Faults of one file's identifiers; comments, strings and templates are not read. */
export function namingFaults(path: string, source: string): string[] {
  const code = source.replaceAll(comment, blank).replaceAll(text, blank);
  return [...code.matchAll(identifier)].flatMap(({ 0: name, index }) => {
    const word = wordsOf(name).find((one) => Object.hasOwn(banned, one));
    const line = code.slice(0, index).split("\n").length;
    return word === undefined ? [] : [`${path}:${line}: the name ${name} has the word "${word}"; use ${banned[word]}`];
  });
}

const maxCommentColumns = 100;
/** First words without a noun to refer to; "Null:" stands for what the type says already. */
const danglingWords = /^(?:Of|It|What|Who|Also|That|As|He|They|Which|Null:)(?=\s|$)/;
const bannedInComments = /\b(?:told|whoever|nobody|somebody|he|she|his|her|in vain|goes on|gone on|anew)\b/;

/** Lines that are comments as a whole; directives of tools are none. */
const commentLine = /^ *(?:\/\*\*|\/\/|\*(?!\/)) *(?!.*(?:oxlint-|@ts-|istanbul))(.*)$/gm;
const ruleIds = /^(?:\[[A-Z]+\d+\],? *|Pure\. )+/;

export function commentFaults(path: string, source: string): string[] {
  return [...source.matchAll(commentLine)].flatMap(({ 0: whole, 1: content = "", index }) => {
    const words = content.replace(ruleIds, "");
    const [dangling] = whole.trim().startsWith("*") ? [] : (danglingWords.exec(words) ?? []);
    const [banned] = bannedInComments.exec(words) ?? [];
    const line = source.slice(0, index).split("\n").length;
    const faults = [
      whole.length > maxCommentColumns ? `has ${whole.length} columns, at most ${maxCommentColumns}` : null,
      dangling === undefined ? null : `begins with "${dangling}": name its noun`,
      banned === undefined ? null : `has the word "${banned}": name the noun`,
    ];
    return faults.filter((fault) => fault !== null).map((fault) => `${path}:${line}: the comment ${fault}`);
  });
}

function blank(found: string): string {
  return found.replaceAll(/[^\n]/g, " ");
}

/** Snake case is left alone: these are columns of tables and fields of stored rows. */
function wordsOf(name: string): string[] {
  return name.includes("_") ? [] : (name.match(/[A-Z]?[a-z]+|[A-Z]+(?![a-z])/g) ?? []).map((one) => one.toLowerCase());
}

/**
 * Cycles of imports between folders.
 *
 * @param imports the files that each file imports, by path; entries, which no file imports, may be in any folder
 * @returns the folders of each cycle, each folder once
 */
export function folderCycles(imports: ReadonlyMap<string, readonly string[]>): string[][] {
  const next = new Map<string, Set<string>>();
  for (const [file, targets] of imports) {
    if (/-entry\.tsx?$/.test(file)) continue;
    const folders = next.get(dirname(file)) ?? new Set<string>();
    for (const target of targets) if (dirname(target) !== dirname(file)) folders.add(dirname(target));
    next.set(dirname(file), folders);
  }
  const cycles = [...next.keys()].map((folder) => {
    const reached = reachable(folder, next);
    return [...reached].filter((other) => reachable(other, next).has(folder)).sort();
  });
  return [...new Map(cycles.filter(({ length }) => length > 1).map((cycle) => [cycle.join(), cycle])).values()];
}

function reachable(from: string, next: ReadonlyMap<string, ReadonlySet<string>>): Set<string> {
  const found = new Set<string>();
  const open = [from];
  for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
    for (const other of next.get(folder) ?? []) if (!found.has(other)) open.push(other);
    for (const other of next.get(folder) ?? []) found.add(other);
  }
  return found;
}

function importsOf(path: string, source: string): string[] {
  const found = source.matchAll(/(?:from|import\(|import)\s*"(\.[^"]+)"/g);
  return [...found].map(([, to = ""]) => join(dirname(path), to));
}

/** Folders of surfaces: views of operations, which reach state only through a host. */
const surface = /^src\/(?:cli|web)\//;
/** What opens, reads or changes state. */
const authority = /^src\/(?:store|coordination|runtime|snapshots|redaction|coordinator-client|machine|local-mcp)\//;
/** The interface of a host. */
const open = "src/machine/operations/host.ts";
/** Files that make the host of a program. */
const makers: ReadonlySet<string> = new Set(["src/cli/cli.ts", "src/cli/io.ts", "src/cli/system-io.ts"]);

/** Tools of a chat: views of what the chat and the host do. */
const tool = /^src\/local-mcp\/mcp\/tools\//;
const state = /^src\/(?:store|coordination|snapshots)\/|^src\/shared\/sql\.ts$/;

/** Use of the store by a tool. @param imports the files that it imports */
export function toolFaults(path: string, source: string, imports: readonly string[]): string[] {
  if (!tool.test(path)) return [];
  const imported = imports.filter((target) => state.test(target));
  return [
    ...imported.map((target) => `${path}: imports ${target}; a tool calls what the chat or the host does`),
    ...(/\bstore\.(?:read|write)\b/.test(source) ? [`${path}: uses the store; a tool calls what the host does`] : []),
  ];
}

/** Imports by which a surface would pass the host by. @param imports the files that each file imports, by path */
export function boundaryFaults(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const surfaces = [...imports].filter(
    ([path]) => surface.test(path) && !makers.has(path) && !path.endsWith("-entry.ts"),
  );
  return surfaces.flatMap(([path, targets]) =>
    targets
      .filter((target) => authority.test(target) && target !== open)
      .map((target) => `${path}: imports ${target}; a surface calls operations of a host instead`),
  );
}

if (import.meta.main) {
  const files = globSync("src/**/*.{ts,tsx}", { cwd: root }).map((path) => ({
    path,
    source: readFileSync(join(root, path), "utf8"),
  }));
  const imports = new Map(files.map(({ path, source }) => [path, importsOf(path, source)]));
  const cycles = folderCycles(imports);
  const faults = [
    ...files.flatMap(({ path, source }) => namingFaults(path, source)),
    ...files.flatMap(({ path, source }) => commentFaults(path, source)),
    ...boundaryFaults(imports),
    ...files.flatMap(({ path, source }) => toolFaults(path, source, imports.get(path) ?? [])),
    ...cycles.map((folders) => `folders that import each other: ${folders.join(", ")}`),
  ];
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) process.exitCode = 1;
}
