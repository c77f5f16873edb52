import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join, dirname } from "node:path";
import {
  isRecord,
  type JsonObject,
  asObject,
  listAt,
  objectAt,
  parseObject,
  numberAt,
  textAt,
} from "../../shared/json-fields.ts";
import type { ClientDetails, ProgramSite, SessionProgram } from "../adapter/client-details.ts";
import { type HookLaunch, jsonExtensions } from "../adapter/client-form.ts";
import { missingText } from "../adapter/hook-program.ts";
import { readObject, refusal, type Row } from "../adapter/session-files.ts";
import {
  type CallResult,
  type Conversation,
  type Item,
  plainName,
  responsesOf,
  timesOf,
  type Exchange,
  type NewSession,
  type SessionWriter,
  type ClientModel,
} from "../conversation/conversation.ts";
import { headOf } from "../transcript/transcript-file.ts";
import { isDatabase, openCodeStore, readDatabase } from "./opencode-database.ts";
import { openCodeContents, openCodeSteps, readOpenCodeMessage, toFirstVersion } from "./opencode-messages.ts";
import { opencode } from "./opencode.ts";

/** Bits of the time in an id of OpenCode, whose last 12 count the ids of a millisecond. */
const timeBits = 48n;
const idsOfMs = 4_096n;

/**
 * Pure. Ids in the order in which they are made, and before those that OpenCode makes later.
 *
 * @param now epoch ms
 * @param letters that make the ids of this session its own: 14 characters of [0-9A-Za-z]
 */
function openCodeIds(now: number, letters: string): (prefix: "msg" | "prt") => string {
  let count = 0n;
  // So many come before the ids of this moment.
  const first = BigInt(now - 60_000) * idsOfMs;
  return (prefix) => `${prefix}_${timeHex(first + count++)}${letters}`;
}

/** Newer sessions come first. */
function openCodeSessionId(now: number, letters: string): string {
  return `ses_${timeHex(~(BigInt(now) * idsOfMs))}${letters}`;
}

function timeHex(value: bigint): string {
  return BigInt.asUintN(Number(timeBits), value).toString(16).padStart(12, "0");
}

/** Tools of OpenCode, by Claude Code's names. */
const tools: ReadonlyMap<string, string> = new Map([
  ["Bash", "bash"],
  ["Write", "write"],
  ["Edit", "edit"],
  ["Read", "read"],
  ["Agent", "task"],
  ["Task", "task"],
  ["TodoWrite", "todowrite"],
  ["Glob", "glob"],
  ["Grep", "grep"],
  ["WebFetch", "webfetch"],
  ["AskUserQuestion", "question"],
]);
const fields: ReadonlyMap<string, string> = new Map([
  ["file_path", "filePath"],
  ["old_string", "oldString"],
  ["new_string", "newString"],
  ["replace_all", "replaceAll"],
]);

/** One document, as `opencode export` prints it. */
const openCodeWriter: SessionWriter = {
  hasTool: (name) => tools.has(name) || name.startsWith("mcp__"),
  write(conversation, to) {
    const letters = to.uuid().replaceAll("-", "").slice(-14);
    const id = openCodeSessionId(to.now, letters);
    const messages = new Messages(conversation, to, { id, letters }).all();
    const first = conversation.items.find((item) => item.kind === "prompt");
    const title = first?.kind === "prompt" ? first.text.slice(0, 80) : `Continues ${conversation.session}`;
    const info = {
      id,
      slug: `shim-${letters}`,
      projectID: "global",
      directory: to.cwd,
      title,
      version: opencode.verifiedWith,
      time: { created: to.now, updated: to.now },
    };
    return { id, path: null, rows: [{ info, messages }] };
  },
};

/** Counts of no request: what the session has used stands at the client that ran it. */
const noTokens = { input: 0, output: 0, reasoning: 0, cache: { read: 0, write: 0 } };

class Messages {
  readonly #items: readonly Item[];
  readonly #model: { readonly providerID: string; readonly modelID: string };
  readonly #cwd: string;
  readonly #sessionID: string;
  readonly #results: ReadonlyMap<string, CallResult>;
  readonly #nextId: ReturnType<typeof openCodeIds>;
  readonly #timeOf: (item: Item) => number;
  /** The newest message of the user, which an answer names. */
  #prompt = "";

  constructor(
    { items, model }: Conversation,
    { cwd, now, model: known }: NewSession,
    { id, letters }: { readonly id: string; readonly letters: string },
  ) {
    this.#items = items;
    this.#model = { providerID: known?.providerID ?? "unknown", modelID: known?.modelID ?? model ?? "unknown" };
    this.#cwd = cwd;
    this.#sessionID = id;
    this.#nextId = openCodeIds(now, letters);
    this.#timeOf = timesOf(items, now);
    this.#results = new Map(items.flatMap((item) => (item.kind === "result" ? [[item.of, item] as const] : [])));
  }

  all(): JsonObject[] {
    return responsesOf(this.#items).flatMap((exchange) => {
      if (exchange.isOfModel) return this.#promptBefore(exchange).concat(this.#answer(exchange));
      return exchange.items.flatMap((item) => {
        if (item.kind === "summary") return this.#summary(item, item.text);
        return item.kind === "prompt" ? [this.#said(item, { type: "text", text: item.text })] : [];
      });
    });
  }

  /** An answer names a message of the user: the beginning of a session may be lost. */
  #promptBefore({ items: [first] }: Exchange): JsonObject[] {
    if (this.#prompt !== "" || !first) return [];
    return [this.#said(first, { type: "text", text: "[The prompt is not in the transcript.]", synthetic: true })];
  }

  #said(item: Item, part: JsonObject): JsonObject {
    this.#prompt = this.#nextId("msg");
    const info = {
      id: this.#prompt,
      sessionID: this.#sessionID,
      role: "user",
      time: { created: this.#timeOf(item) },
      agent: "build",
      model: this.#model,
    };
    return this.#message(info, [part]);
  }

  #answer({ items }: Exchange): JsonObject {
    const calls = items.some(({ kind }) => kind === "call");
    const parts = items.map((item): JsonObject => {
      const start = this.#timeOf(item);
      if (item.kind !== "call")
        return { type: "text", text: item.kind === "answer" ? item.text : "", time: { start, end: start } };
      const { id, name, input } = item;
      const result = this.#results.get(id);
      return {
        type: "tool",
        callID: plainName(id, 200),
        tool: toolOf(name),
        state: stateOf(inputOf(name, input), result, { start, end: result ? this.#timeOf(result) : start }),
      };
    });
    return this.#ofModel(items, parts, { mode: "build", agent: "build", finish: calls ? "tool-calls" : "stop" });
  }

  #summary(item: Item, text: string): JsonObject[] {
    const start = this.#timeOf(item);
    const asked = this.#said(item, { type: "compaction", auto: false });
    const part = { type: "text", text, time: { start, end: start } };
    const marks = { mode: "compaction", agent: "compaction", finish: "stop", summary: true };
    return [asked, this.#ofModel([item], [part], marks)];
  }

  #ofModel(items: readonly Item[], parts: readonly JsonObject[], marks: JsonObject): JsonObject {
    const [created = 0, completed = 0] = [items[0], items.at(-1)].map((item) => item && this.#timeOf(item));
    const info = {
      id: this.#nextId("msg"),
      sessionID: this.#sessionID,
      parentID: this.#prompt,
      role: "assistant",
      path: { cwd: this.#cwd, root: this.#cwd },
      cost: 0,
      tokens: noTokens,
      ...this.#model,
      time: { created, completed },
      ...marks,
    };
    return this.#message(info, parts);
  }

  #message(info: JsonObject, parts: readonly JsonObject[]): JsonObject {
    const own = parts.map((part) =>
      Object.assign({}, part, { id: this.#nextId("prt"), messageID: info["id"], sessionID: this.#sessionID }),
    );
    return { info, parts: own };
  }
}

/** A tool of an MCP server has the server's name before its own. */
function toolOf(name: string): string {
  const [, server, tool] = /^mcp__(.+?)__(.+)$/.exec(name) ?? [];
  return plainName(tools.get(name) ?? (server === undefined ? name : `${server}_${tool}`), 128);
}

function inputOf(name: string, input: unknown): JsonObject {
  if (!isRecord(input)) return { input };
  if (!tools.has(name)) return input;
  return Object.fromEntries(Object.entries(input).map(([field, value]) => [fields.get(field) ?? field, value]));
}

function stateOf(input: JsonObject, result: CallResult | undefined, time: JsonObject): JsonObject {
  const text = result?.text ?? "";
  if (result?.isError === true) return { status: "error", input, error: text, time };
  return { status: "completed", input, output: text, title: "", metadata: {}, time };
}

/** @returns what it prints. Rejects when it fails, or runs for two minutes */
function run({ env, cwd }: ProgramSite, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env, cwd, timeout: 120_000, maxBuffer: 536_870_912 };
    execFile("opencode", args, options, (error, stdout) => (error ? reject(error) : resolve(stdout)));
  });
}

function isOpenCodeId(id: string): boolean {
  return /^ses_\w{10,200}$/.test(id);
}

async function exportSession(site: ProgramSite, id: string): Promise<JsonObject | null> {
  try {
    return parseObject(await run(site, ["export", id]));
  } catch {
    return null;
  }
}

async function importCopy(
  site: ProgramSite,
  document: JsonObject,
  until: number | null,
  letters: string,
): Promise<string> {
  const info = objectAt(document, "info");
  const renew = (id: string): string => `${id.slice(0, -letters.length)}${letters}`;
  const newId = renew(textAt(info, "id") ?? "");
  const renewed = (from: JsonObject | null, ...keys: readonly string[]): JsonObject => ({
    ...from,
    ...Object.fromEntries(keys.flatMap((key) => (textAt(from, key) ? [[key, renew(String(from?.[key]))]] : []))),
    ...(from && "sessionID" in from ? { sessionID: newId } : {}),
  });
  const messages = listAt(document, "messages")
    .slice(0, until ?? undefined)
    .map(asObject);
  const copy = {
    ...document,
    info: { ...info, id: newId },
    messages: messages.map((message) => ({
      info: renewed(objectAt(message, "info"), "id", "parentID"),
      parts: listAt(message, "parts").map((part) => renewed(asObject(part), "id", "messageID")),
    })),
  };
  await importDocument(site, copy);
  return newId;
}

async function importDocument(site: ProgramSite, document: JsonObject): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "shim-import-"));
  try {
    const file = join(folder, "session.json");
    await writeFile(file, JSON.stringify(document), { mode: 0o600 });
    await run(site, ["import", file]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Model of its settings, else the one that was chosen last; null: there is none. */
async function openCodeModel(site: ProgramSite): Promise<ClientModel | null> {
  const settings = await run(site, ["debug", "config"]).then(parseObject, () => null);
  const [, providerID, modelID] = /^([^/]+)\/(.+)$/.exec(textAt(settings, "model") ?? "") ?? [];
  return providerID !== undefined && modelID !== undefined ? { providerID, modelID } : chosenLast(site.env);
}

function chosenLast(env: NodeJS.ProcessEnv): ClientModel | null {
  const state = env["XDG_STATE_HOME"] || join(env["HOME"] || homedir(), ".local", "state");
  const first = asObject(listAt(readObject(join(state, "opencode", "model.json")), "recent")[0]);
  const [providerID, modelID] = [textAt(first, "providerID"), textAt(first, "modelID")];
  return providerID !== null && modelID !== null ? { providerID, modelID } : null;
}

/** Reads a message of a document of `opencode export`. */
function openCodeRow(message: JsonObject): Row | null {
  const info = objectAt(message, "info");
  if (info?.["role"] === "user") return { kind: "prompt" };
  const error = objectAt(info, "error");
  if (error === null) return { kind: "answer", of: textAt(info, "id") };
  if (error["name"] === "MessageAbortedError") return null;
  const data = objectAt(error, "data");
  return refusal(numberAt(data, "statusCode"), [error["name"]], textAt(data, "message"));
}

/** OpenCode keeps sessions in a database, which only its own program opens. */
const openCodeProgram: SessionProgram = {
  command: "opencode",
  isId: isOpenCodeId,
  exportSession,
  importCopy,
  importDocument,
  rowOf: openCodeRow,
};

export const openCodeDetails: ClientDetails = {
  readRow: readOpenCodeMessage,
  partsOf: openCodeSteps,
  contentsOf: openCodeContents,
  writer: openCodeWriter,
  modelOf: openCodeModel,
  documentOf(document) {
    const info = objectAt(document, "info");
    const head = headOf(info, "id");
    const messages = document["messages"];
    if (!head || !Array.isArray(messages)) return null;
    const [cwd, parent] = [textAt(info, "directory", 4_096), textAt(info, "parentID", 200)];
    return { head: { client: "opencode", ...head, cwd, parent }, messages };
  },
  rowOf: toFirstVersion,
  readDatabase: (path, driver, session) => (isDatabase(path) ? readDatabase(path, driver, session) : null),
  database: openCodeStore,
  program: openCodeProgram,
  form: {
    program: "opencode",
    reads: jsonExtensions,
    base: { variable: "XDG_CONFIG_HOME", folder: ".config" },
    hooks: { file: ".config/opencode/plugin/shim.js", form: "own", windowsShell: null, text: openCodePluginFile },
    servers: {
      file: ".config/opencode/opencode.json",
      key: "mcp",
      entry: (command, args) => ({ type: "local", command: [command, ...args], enabled: true }),
    },
  },
};

/** OpenCode calls every export of the file as a plugin, and works on where SHIM is gone. */
function openCodePluginFile({ node, hookScript }: HookLaunch): string {
  const plugin = join(dirname(hookScript), "opencode-plugin.mjs");
  return `// Written by shim init; shim init --remove removes it.
const shim = import(${JSON.stringify(plugin)}).catch(() => null);

export const Shim = async (input) => {
  const found = await shim;
  if (found) return found.openCodePlugin(${JSON.stringify([node, hookScript])})(input);
  const body = { message: ${JSON.stringify(missingText(plugin, node))}, variant: "warning", duration: 15000 };
  let show = () => {
    show = () => undefined;
    void input.client.tui.showToast({ body }).catch(() => undefined);
  };
  return { "chat.message": async () => show() };
};
`;
}
