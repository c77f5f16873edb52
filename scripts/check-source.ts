/** `npm run lint` runs it: names, comments and imports of `src`, and waits of `test`, that no linter checks. Prints each fault as `file:line: why`. */
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { numbersPath, roomOf, sizeFaults } from "./room-sizes.ts";

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
const bannedInComments = /\b(?:told|whoever|nobody|somebody|he|she|his|her|in vain|goes on|gone on|anew)\b/i;

/** Lines that are comments as a whole; directives of tools are none. */
const commentLine = /^ *(?:\/\*\*|\/\/|\*(?!\/)) *(?!.*(?:oxlint-|@ts-|istanbul))(.*)$/gm;

export function commentFaults(path: string, source: string): string[] {
  return [...source.matchAll(commentLine)].flatMap(({ 0: whole, 1: content = "", index }) => {
    const words = content.replace(/^Pure\. /, "");
    const isLater = whole.trim().startsWith("*") && !source.slice(0, index).trimEnd().endsWith("/**");
    const [dangling] = isLater ? [] : (danglingWords.exec(words) ?? []);
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
  return cyclesIn(next);
}

/** Cycles of imports between files, each file once; imports of types count. */
export function fileCycles(imports: ReadonlyMap<string, readonly string[]>): string[][] {
  return cyclesIn(new Map([...imports].map(([file, targets]) => [file, new Set(targets)])));
}

function cyclesIn(next: ReadonlyMap<string, ReadonlySet<string>>): string[][] {
  const inCycles = [...next.keys()].flatMap((one) => {
    const reached = reachable(one, next);
    return reached.has(one) ? [[one, reached] as const] : [];
  });
  const reachedBy = new Map(inCycles);
  const cycles = inCycles.map(([one, reached]) =>
    [...reached].filter((other) => reachedBy.get(other)?.has(one)).sort(),
  );
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
/** The interface of a host, and of the workspace that it has opened. */
const open: ReadonlySet<string> = new Set([
  "src/machine/context/operation-context.ts",
  "src/machine/sharing/operations/workspace.ts",
]);
/** Files that make the host of a program. */
const makers: ReadonlySet<string> = new Set(["src/cli/cli.ts", "src/cli/io.ts"]);

/** Rooms of `src` by what they may import, besides themselves. [docs/internals/architecture.md] */
const below: Readonly<Record<string, readonly string[]>> = rooms();

function rooms(): Record<string, string[]> {
  const tools = ["contract", "shared", "platform", "redaction", "store", "clients", "runtime", "learning"];
  const local = [...tools, "pairing", "coordination", "coordinator-client", "snapshots", "installer"];
  const machine = ["context", "sessions", "sharing", "recovery", "files", "team", "learning", "view"].map(
    (room) => `machine/${room}`,
  );
  return {
    contract: [],
    shared: ["contract"],
    pairing: ["contract"],
    coordination: ["contract", "shared"],
    durable: ["contract", "shared", "coordination"],
    worker: ["contract", "shared", "redaction", "pairing", "durable"],
    web: ["contract", "pairing"],
    learning: ["contract", "shared"],
    platform: ["contract", "shared"],
    redaction: ["contract", "shared"],
    store: ["contract", "shared", "platform"],
    clients: ["contract", "shared", "platform", "redaction", "store"],
    runtime: ["contract", "shared", "platform", "store"],
    snapshots: ["contract", "shared", "platform", "redaction", "store", "runtime"],
    installer: ["contract", "shared", "platform", "clients"],
    "coordinator-client": ["contract", "shared", "platform", "store", "runtime", "coordination"],
    ...Object.fromEntries(machine.map((room, index) => [room, [...local, ...machine.slice(0, index)]])),
    "local-mcp": [...local, ...machine],
    runner: [...local, ...machine, "local-mcp"],
    code: [...local, ...machine, "local-mcp", "runner"],
    cli: [...local, ...machine, "local-mcp", "runner", "code"],
  };
}

/** Imports that point upward. @param imports the files that each file imports, by path */
export function arrowFaults(imports: ReadonlyMap<string, readonly string[]>): string[] {
  return [...imports].flatMap(([path, targets]) =>
    targets.flatMap((target) => {
      const [from, to] = [roomOf(path), roomOf(target)];
      if (from === to || below[from]?.includes(to)) return [];
      return [`${path}: imports ${target}; ${from} may import ${below[from]?.join(", ") || "no other room"}`];
    }),
  );
}

/** Modules by which a file starts a process, opens a socket or waits. */
const running =
  /["'](?:node:)?(?:child_process|cluster|dgram|http|http2|https|net|timers|tls|worker_threads)(?:\/[a-z]+)?["']/;
/** Globals by which a file asks a server or waits; methods of these names are none. */
const runningCall = /(?<![.\w])(?<!async )(?:fetch|setTimeout|setInterval|setImmediate)\(/;
/** Files of `machine` that run something, with what. */
const runners: Readonly<Record<string, string>> = {
  "src/machine/sessions/effects/probe.ts": "programs that say whether a command has had its effect",
  "src/machine/view/keeping/forget.ts": "waits between two tries to empty the log of the store",
  "src/machine/learning/assignment-service.ts": "the program of an assignment service, with a limit of time",
  "src/machine/learning/review-schedule.ts": "a process of low priority that examines records",
  "src/machine/recovery/rescue/client-files.ts": "lsof, which names the process that holds a file",
  "src/machine/sessions/signals/observe.ts": "gives other chats a turn between two parts of a transcript",
};

/** What `machine` would run: it decides, and `local-mcp` runs. */
export function runningFaults(path: string, source: string): string[] {
  if (!path.startsWith("src/machine/") || Object.hasOwn(runners, path)) return [];
  const code = source.replaceAll(comment, blank);
  const found = [running, runningCall].flatMap((one) => one.exec(code) ?? []);
  return found.map((one) => `${path}: uses ${one}; machine decides, local-mcp runs`);
}

const clientName = /(?<![A-Za-z])(?:codex|copilot|gemini|opencode|qwen)|Codex|Copilot|Gemini|Open[Cc]ode|Qwen/;
/** Files beside `clients` that may name a client, with the reason. */
const namers: Readonly<Record<string, string>> = {
  "src/contract/clients.ts": "the list of them",
  "src/contract/metrics.ts": "families of models",
  "src/contract/slash-commands.ts": "texts for a model, which knows clients by name",
  "src/cli/commands/init.ts": "the option that has Codex trust hooks",
  "src/installer/client-entries.ts": "Codex alone asks for trust in hooks",
  "src/installer/hook-trust.ts": "Codex alone asks for trust in hooks",
  "src/local-mcp/doctor/machine-checks.ts": "Codex alone asks for trust in hooks",
  "src/machine/sessions/usage/tokens.ts": "models of these names",
  "src/machine/sessions/text/neutralize.ts": "words that pretend to be a role in a conversation",
};

/** Names of clients outside their folders; comments are not read. */
export function clientFaults(path: string, source: string): string[] {
  if (path.startsWith("src/clients/") || Object.hasOwn(namers, path)) return [];
  const code = source.replaceAll(comment, blank);
  const found = clientName.exec(code.replaceAll(/^import [^\n]*$/gm, blank));
  if (!found) return [];
  const line = code.slice(0, found.index).split("\n").length;
  return [`${path}:${line}: names the client ${found[0]}; what is of one client is in src/clients`];
}

const wait = /\b(?:vi\s*\.wait(?:For|Until)|expect\s*\.poll)\(/g;

/** Waits of a test that end after a second, as vitest's default is: on a loaded machine they would measure time. */
export function waitFaults(path: string, source: string): string[] {
  const code = source.replaceAll(comment, blank).replaceAll(text, blank);
  return [...code.matchAll(wait)].flatMap(({ index }) => {
    const line = code.slice(0, index).split("\n").length;
    const isPatient = /\b(?:patience|polling)\b[^()]*$/.test(callAt(code, index));
    return isPatient
      ? []
      : [`${path}:${line}: waits without \`patience\`, declared in test/harness/machine/programs.ts`];
  });
}

/** From a name to the bracket that ends its call, without that bracket. */
function callAt(code: string, index: number): string {
  let depth = 0;
  for (let end = index; end < code.length; end++) {
    if (code[end] === "(") depth += 1;
    if (code[end] === ")" && --depth === 0) return code.slice(index, end);
  }
  return code.slice(index);
}

/** Files whose short texts stand beside the whole, or name it: a title, a client, a line of a diff. */
const cutters: ReadonlySet<string> = new Set([
  "src/shared/shorten.ts",
  "src/shared/format.ts",
  "src/web/views/chat.tsx",
  "src/worker/consent.ts",
  "src/installer/setup-overview.ts",
]);
const ownCut = /\$\{[^`]*slice\([^`]*\} ?(?:\.\.\.|…|\[cut)/;

/** Texts that are cut with a mark of their own: the next cut would count it as text. */
export function cutFaults(path: string, source: string): string[] {
  if (cutters.has(path)) return [];
  return source
    .split("\n")
    .flatMap((line, at) =>
      ownCut.test(line)
        ? [`${path}:${at + 1}: cuts a text with a mark of its own; src/shared/shorten.ts does that`]
        : [],
    );
}

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
      .filter((target) => authority.test(target) && !open.has(target))
      .map((target) => `${path}: imports ${target}; a surface calls operations of a host instead`),
  );
}

if (import.meta.main) {
  const files = globSync("src/**/*.{ts,tsx}", { cwd: root, exclude: ["**/worker-env.d.ts"] }).map((path) => ({
    path,
    source: readFileSync(join(root, path), "utf8"),
  }));
  const tests = globSync("test/**/*.ts", { cwd: root });
  const imports = new Map(files.map(({ path, source }) => [path, importsOf(path, source)]));
  const cycles = folderCycles(imports);
  const faults = [
    ...files.flatMap(({ path, source }) => namingFaults(path, source)),
    ...files.flatMap(({ path, source }) => commentFaults(path, source)),
    ...files.flatMap(({ path, source }) => runningFaults(path, source)),
    ...files.flatMap(({ path, source }) => clientFaults(path, source)),
    ...files.flatMap(({ path, source }) => cutFaults(path, source)),
    ...arrowFaults(imports),
    ...boundaryFaults(imports),
    ...files.flatMap(({ path, source }) => toolFaults(path, source, imports.get(path) ?? [])),
    ...tests.flatMap((path) => waitFaults(path, readFileSync(join(root, path), "utf8"))),
    ...sizeFaults(readFileSync(join(root, numbersPath), "utf8"), files),
    ...fileCycles(imports).map((cycle) => `files that import each other: ${cycle.join(", ")}`),
    ...cycles.map((folders) => `folders that import each other: ${folders.join(", ")}`),
  ];
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) process.exitCode = 1;
}
