import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { codeOf } from "../../shared/error.ts";
import { numberAt, objectAt, parseObject, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { SessionDatabase, StoredSession, UnreadFolder } from "../adapter/client-details.ts";
import { readBytes } from "../transcript/transcript-file.ts";

/**
 * Sessions that OpenCode 1 kept in a file for each session, message and part before it had a
 * database: `session/<project>/<id>.json`, and so on below `message/<session>`, `part/<message>`.
 * OpenCode 1.18.33 reads none of them, with a database or without, and `opencode import` takes
 * one document of a session, its messages and their parts: both were seen.
 *
 * @param root the folder `storage`
 * @param known ids of sessions that are in a database
 */
export function listFolders(root: string, known: ReadonlySet<string>): ReturnType<OldFolder["list"]> {
  const unread: UnreadFolder[] = [];
  const namesIn = (folder: string): string[] => {
    const read = readNames(folder);
    if (!read.ok) unread.push({ file: folder, why: read.error });
    return read.ok ? read.value : [];
  };
  const jsonIn = (folder: string): string[] => jsonOf(folder, namesIn(folder));
  const files = namesIn(join(root, "session")).flatMap((project) => jsonIn(join(root, "session", project)));
  const fileOf = new Map(files.map((path) => [idOf(path), path]));
  // The file of a session may be lost, and its messages not.
  const ids = new Set([...fileOf.keys(), ...namesIn(join(root, "message"))]);
  const lost = [...ids].filter((id) => !known.has(id));
  return { sessions: lost.map((id) => readSession(root, id, fileOf.get(id) ?? null, jsonIn)), unread };
}

type OldFolder = NonNullable<SessionDatabase["before"]>;

function idOf(path: string): string {
  return basename(path, ".json");
}

/** Names in a folder; none where it is absent, or a file. */
function readNames(folder: string): Result<string[], string> {
  try {
    return ok(readdirSync(folder).toSorted());
  } catch (error) {
    const code = codeOf(error);
    if (code === null) throw error;
    return code === "ENOENT" || code === "ENOTDIR" ? ok([]) : err(`it cannot be read (${code})`);
  }
}

function jsonOf(folder: string, names: readonly string[]): string[] {
  return names.filter((name) => name.endsWith(".json")).map((name) => join(folder, name));
}

const hidden =
  "OpenCode does not read its old folder `storage`, and no database has it: `opencode import` takes it as one file, {info, messages: [{info, parts}]}";

/** @param jsonIn paths of the documents in a folder */
function readSession(
  root: string,
  id: string,
  path: string | null,
  jsonIn: (folder: string) => readonly string[],
): StoredSession {
  const damages: { what: string; bytes: number; file?: string }[] = [];
  let [rows, bytes, prompts] = [0, 0, 0];
  const read = (file: string): JsonObject | null => {
    rows += 1;
    const found = readJson(file);
    bytes += found.bytes;
    if (found.problem !== null) damages.push({ what: found.problem, bytes: found.bytes, file });
    return found.value;
  };
  const info = path === null ? null : read(path);
  if (path === null) damages.push({ what: "the file that names the session is gone", bytes: 0 });
  for (const message of jsonIn(join(root, "message", id))) {
    if (read(message)?.["role"] === "user") prompts += 1;
    for (const part of jsonIn(join(root, "part", idOf(message)))) read(part);
  }
  return {
    id,
    title: textAt(info, "title", 200),
    folder: textAt(info, "directory", 4_096),
    changedAt: numberAt(objectAt(info, "time"), "updated") ?? 0,
    rows,
    bytes,
    prompts,
    damages,
    subagents: 0,
    file: path ?? join(root, "message", id),
    hidden,
  };
}

interface ReadJson {
  readonly value: JsonObject | null;
  readonly bytes: number;
  /** Ends no sentence; null: there is none. */
  readonly problem: string | null;
}

function readJson(file: string): ReadJson {
  try {
    const { bytes } = readBytes(file);
    const value = parseObject(bytes.toString("utf8"));
    return { value, bytes: bytes.length, problem: value === null ? basename(file) : null };
  } catch (error) {
    const code = codeOf(error);
    if (code === null) throw error;
    return { value: null, bytes: 0, problem: `${basename(file)} cannot be read (${code})` };
  }
}
