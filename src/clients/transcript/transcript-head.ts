import type { HookClient } from "../../contract/clients.ts";
import { textAt, type JsonObject } from "../../shared/json-fields.ts";
import { basename } from "node:path";

export interface SessionHead {
  readonly session: string;
  readonly cwd: string | null;
  /** SHA-256 of the folder, or a name of the client's own for it, where `cwd` is not known. */
  readonly folderHash?: string | null;
  /** Session whose subagent it is; null: none. */
  readonly parent: string | null;
}

export interface TranscriptHead extends SessionHead {
  readonly client: HookClient;
}

export interface TranscriptDocument {
  readonly head: TranscriptHead;
  readonly messages: readonly unknown[];
}

export function headOf(holder: JsonObject | null, idKey: string): SessionHead | null {
  const session = textAt(holder, idKey, 200);
  return session === null ? null : { session, cwd: textAt(holder, "cwd", 4_096), parent: null };
}

const uuid = /[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/i;

/** @param path of a file, or of a folder, that is named by its session */
export function headNamedBy(path: string, cwd: string | null): SessionHead {
  const name = basename(path).replace(/\.jsonl?(?:\.zst)?$/, "");
  return { session: idIn(path) ?? name, cwd, parent: null };
}

export function idIn(path: string): string | null {
  return uuid.exec(basename(path))?.[0] ?? null;
}
