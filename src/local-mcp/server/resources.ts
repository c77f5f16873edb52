import type { Sql } from "../../shared/sql.ts";
import { currentState } from "../checkpoints/capture.ts";
import * as checkpoints from "../checkpoints/checkpoints.ts";
import { brief } from "../recovery/brief.ts";
import { findIncomplete } from "../recovery/detect.ts";
import { restore } from "../recovery/restoration.ts";
import { findSession } from "../sessions/session-prefix.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Chat } from "./chat.ts";

/** Clients show lists of resources in full. */
const maxListed = 50;

export function session(chat: Chat, id: string): string | null {
  return chat.runtime.store.read((sql) => {
    const found = sessions.get(sql, id);
    return found ? JSON.stringify({ ...found, work: currentState(sql, id) }, null, 1) : null;
  }, null);
}

export function checkpoint(chat: Chat, id: string): string | null {
  return chat.runtime.store.read((sql) => {
    const [found] = checkpoints.byPrefix(sql, id);
    return found?.id === id
      ? JSON.stringify({ ...found, work: checkpoints.requireState(sql, found.seq) }, null, 1)
      : null;
  }, null);
}

export function listSessions(chat: Chat): { name: string; uri: string }[] {
  return chat.runtime.store
    .read((sql) => sessions.list(sql, { limit: maxListed }), [])
    .map(({ id, title }) => ({ name: title ?? id, uri: `shim://sessions/${id}` }));
}

export function listCheckpoints(chat: Chat): { name: string; uri: string }[] {
  return chat.runtime.store
    .read((sql) => checkpoints.search(sql, { limit: maxListed }), [])
    .map(({ id, summary }) => ({ name: summary.split("\n")[0] || id, uri: `shim://checkpoints/${id}` }));
}

export function recoverPrompt(chat: Chat, sessionId: string | undefined): string {
  const { runtime } = chat;
  const now = runtime.now();
  const except = chat.current() ?? "";
  const session = runtime.store.read(
    (sql) =>
      sessionId
        ? findNamed(sql, sessionId)
        : (findIncomplete(sql, runtime.processes, now, { limit: 1, except })[0]?.session ?? null),
    null,
  );
  const from = session && restore(runtime, session);
  if (!from)
    return sessionId ? `SHIM knows no session "${sessionId}".` : "SHIM knows of no session that died unfinished.";
  return `Continue this work.\n\n${brief(from, now, "resume")}`;
}

function findNamed(sql: Sql, given: string): sessions.Session | null {
  const found = findSession(sql, given);
  return found.kind === "one" ? found.session : null;
}
