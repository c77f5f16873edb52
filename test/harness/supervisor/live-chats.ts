import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as checkpoints from "#src/machine/checkpoints/checkpoints.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import type { TempRuntime } from "#harness/machine/temp-runtime.ts";

export interface LiveChat {
  readonly id: string;
  readonly pid: number;
  readonly client?: string;
  readonly origin?: string;
  readonly prompt?: string;
  /** Null: it has none. */
  readonly transcript?: string | null;
  /** Where it works; default: a folder of its own. */
  readonly folder?: string;
}

/** A chat that works, as its hooks leave it: a prompt in the journal, no checkpoint yet. @returns its folder */
export function aLiveChat(runtime: TempRuntime, chat: LiveChat): string {
  const { id, pid, client = "claude-code", origin = "startup", prompt = "make the parser accept empty input" } = chat;
  const { folder = join(runtime.paths.home, "..", `project-${id.slice(0, 8)}`) } = chat;
  mkdirSync(folder, { recursive: true });
  const { transcript = `${JSON.stringify({ type: "user", sessionId: id })}\n` } = chat;
  const transcriptPath = join(folder, "transcript.jsonl");
  if (transcript !== null) writeFileSync(transcriptPath, transcript);
  const owner = runtime.processes.start(pid);
  runtime.store.write((sql) => {
    const where = { project: folder, cwd: folder, transcriptPath: transcript === null ? null : transcriptPath };
    sessions.recordSighting(sql, runtime.now(), { id, client, origin, ...where, parentId: null, owner, isAlive: true });
    journal.append(sql, id, runtime.now(), "start", { kind: "start", source: "startup" });
    journal.append(sql, id, runtime.now(), `prompt:${runtime.now()}`, { kind: "prompt", text: prompt });
  });
  return folder;
}

export function sessionOf(runtime: TempRuntime, id: string): sessions.Session | null {
  return runtime.store.read((sql) => sessions.get(sql, id), null);
}

export function checkpointsOf(runtime: TempRuntime, id: string): string[] {
  return runtime.store.read((sql) => {
    const last = checkpoints.latest(sql, id);
    return last ? [`${last.trigger}: ${last.summary}`] : [];
  }, []);
}
