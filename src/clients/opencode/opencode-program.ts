import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import {
  asObject,
  listAt,
  objectAt,
  parseObject,
  numberAt,
  textAt,
  type JsonObject,
} from "../../shared/json-fields.ts";
import type { ProgramSite, SessionProgram } from "../adapter/session-program.ts";
import type { ClientModel } from "../conversation/session-writer.ts";
import { readObject } from "../adapter/read-object.ts";
import { refusal, type Row } from "../adapter/session-files.ts";

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
export async function openCodeModel(site: ProgramSite): Promise<ClientModel | null> {
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
export const openCodeProgram: SessionProgram = {
  command: "opencode",
  isId: isOpenCodeId,
  exportSession,
  importCopy,
  importDocument,
  rowOf: openCodeRow,
};
