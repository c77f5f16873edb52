import { age, brief, clip } from "../recovery/brief.ts";
import { hasContent, isDead } from "../recovery/detect.ts";
import { offer, offerable } from "../recovery/recover.ts";
import { restoration } from "../recovery/restoration.ts";
import type { Runtime } from "../runtime.ts";
import * as sessions from "../sessions/sessions.ts";
import * as notices from "../store/notices.ts";

/** Characters: with a whole brief the client still shows all of it. */
const maxNotices = 400;

export interface Started {
  readonly session: sessions.Session;
  /** Its row before this start; null for a new session. */
  readonly before: sessions.Session | null;
  readonly source: string;
}

/**
 * What a session is told at its start. [HO2] Only where there is something to recover: a new chat gets the brief of a session that died in
 * its project; a resumed one learns how it died itself and what has changed since; a compacted one gets its own state back.
 */
export function startSession(runtime: Runtime, started: Started): string | null {
  const text = byWhat(runtime, started);
  const warnings = runtime.store.read((sql) => notices.list(sql), []).map((notice) => `SHIM notice: ${notice.text}`);
  const all = [clip(warnings.join("\n"), maxNotices), text ?? ""].filter((part) => part !== "");
  return all.length > 0 ? all.join("\n\n") : null;
}

function byWhat(runtime: Runtime, started: Started): string | null {
  switch (started.source) {
    case "startup":
      return offered(runtime, started);
    case "resume":
      return resumed(runtime, started);
    case "compact":
      return compacted(runtime, started);
    default:
      return null;
  }
}

/**
 * [HO9] A chat that `shim resume` has started with the brief of one session is not offered another. [HO15] What a task goes on with is its
 * worker's to say.
 */
function offered(runtime: Runtime, { session }: Started): string | null {
  if (runtime.env["SHIM_TASK"]) return null;
  if (runtime.store.read((sql) => sessions.offeredTo(sql, session.id).length > 0, false)) return null;
  if (isUnattended(runtime)) return pointer(runtime, session);
  const found = offer(runtime, session.id, { project: session.project });
  if (!found) return null;
  const more = found.more > 0 ? `\n${found.more} more incomplete: \`shim sessions --incomplete\`.` : "";
  return brief(found.from, runtime.now(), runtime.config.recovery) + more;
}

/** `claude -p`: a script or a program reads the answer, and nobody can be asked. */
function isUnattended({ env, config }: Runtime): boolean {
  return env["CLAUDE_CODE_ENTRYPOINT"] === "sdk-cli" && config.recovery !== "resume";
}

/** [HO13] A run that may be about anything is told in one line, and the offer stays for a chat with a user. */
function pointer(runtime: Runtime, { id, project }: sessions.Session): string | null {
  const dead = offerable(runtime, { project, except: id })[0]?.session;
  if (!dead) return null;
  const when = age(runtime.now() - dead.lastSeenAt);
  return `SHIM: session ${dead.id} of this project died ${when} ago. Only if your task is to go on with its work: shim_check_recovery (of "${dead.id}", take true). Else ignore this.`;
}

/** [RE10] The transcript brings back the talk; SHIM adds what it cannot know: why it died, and what is not as it was. */
function resumed(runtime: Runtime, { before }: Started): string | null {
  if (!before) return null;
  if (before.recovery === "recovered") {
    return `SHIM: this session was continued by session ${before.recoveryBy} meanwhile; its work may be done already. Check before you repeat it.`;
  }
  if (before.endedAt !== null || !isDead(before, runtime.processes, runtime.now())) return null;
  const from = runtime.store.read(
    (sql) => (hasContent(sql, before.id) ? restoration(sql, runtime.processes, before, runtime.now()) : null),
    null,
  );
  return from ? brief(from, runtime.now(), "resumed") : null;
}

/** [HO3] What a compaction may drop: goal, decisions, open work. */
function compacted(runtime: Runtime, { session }: Started): string | null {
  const from = runtime.store.read((sql) => restoration(sql, runtime.processes, session, runtime.now()), null);
  return from ? brief(from, runtime.now(), "compacted") : null;
}
