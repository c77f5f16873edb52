import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join, dirname } from "node:path";
import {
  asObject,
  listAt,
  objectAt,
  parseObject,
  numberAt,
  textAt,
  type JsonObject,
} from "../../shared/json-fields.ts";
import type { ClientDetails, ProgramSite, SessionProgram } from "../adapter/client-details.ts";
import { type HookLaunch, jsonExtensions } from "../adapter/client-form.ts";
import { readObject, refusal, type Row } from "../adapter/session-files.ts";
import type { ClientModel } from "../conversation/session-writer.ts";
import { headOf } from "../transcript/transcript-head.ts";
import { openCodeContents, openCodeSteps, readOpenCodeMessage, toFirstVersion } from "./opencode-messages.ts";
import { isDatabase, openCodeStore, readDatabase } from "./opencode-database.ts";
import { openCodeWriter } from "./opencode-writer.ts";

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
  readDatabase: (path, driver) => (isDatabase(path) ? readDatabase(path, driver) : null),
  database: openCodeStore,
  program: openCodeProgram,
  form: {
    program: "opencode",
    reads: jsonExtensions,
    base: { variable: "XDG_CONFIG_HOME", folder: ".config" },
    hooks: { file: ".config/opencode/plugin/shim.js", form: "own", text: openCodePluginFile },
    servers: {
      file: ".config/opencode/opencode.json",
      key: "mcp",
      entry: (command, args) => ({ type: "local", command: [command, ...args], enabled: true }),
    },
  },
};

/** OpenCode calls every export of the file as a plugin. */
function openCodePluginFile({ node, hookScript }: HookLaunch): string {
  const plugin = join(dirname(hookScript), "opencode-plugin.mjs");
  return `// Written by shim init; shim init --remove removes it.
import { openCodePlugin } from ${JSON.stringify(plugin)};

export const Shim = openCodePlugin(${JSON.stringify([node, hookScript])});
`;
}
