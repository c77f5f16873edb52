import { CheckRecovery } from "../../../contract/tools.ts";
import { err, ok } from "../../../shared/result.ts";
import { brief } from "../../recovery/brief.ts";
import { concerning, findIncomplete } from "../../recovery/detect.ts";
import { offer } from "../../recovery/recover.ts";
import { restoration, type Restoration } from "../../recovery/restoration.ts";
import * as sessions from "../../sessions/sessions.ts";
import type { Chat } from "../chat.ts";
import { defineTool } from "../tool.ts";

const listed = { concise: 3, detailed: 20 };

export const checkRecovery = defineTool({
  name: "shim_check_recovery",
  title: "Find work of sessions that died",
  description:
    "Call at the start of a chat. Lists sessions that died unfinished and gives a brief of the newest one of this project: goal, done, next step, files checked, why it died.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  ...CheckRecovery,
  run(chat, input) {
    const entered = chat.enter(input, "look");
    if (!entered.ok) return entered;
    const session = entered.value;
    const from = input.of === undefined ? offered(chat, session) : named(chat, input.of);
    if (from === "unknown") {
      return err({
        code: "unknown_session",
        message: `SHIM knows no session "${input.of}". Call without "of" to see the incomplete ones.`,
      });
    }
    const now = chat.runtime.now();
    const incomplete = others(chat, session, listed[input.detail]).map((one) => ({
      session: one.session.id,
      title: one.session.title ?? "untitled",
      diedMsAgo: now - one.session.lastSeenAt,
      cause: one.cause,
      project: one.session.project ?? "",
    }));
    const text = from ? brief(from, now, chat.runtime.config.recovery) : nothing(incomplete.length);
    return ok({
      text,
      output: { session: session.id, incomplete, ...(from ? { brief: text, score: from.score.total } : {}) },
    });
  },
});

/** The session already offered to this chat stays its offer until its first checkpoint takes it over. */
function offered(chat: Chat, session: sessions.Session): Restoration | null {
  const { runtime } = chat;
  const now = runtime.now();
  const earlier = runtime.store.read((sql) => {
    const [mine] = sessions.offeredTo(sql, session.id);
    return mine ? restoration(sql, runtime.processes, mine, now) : null;
  }, null);
  return earlier ?? offer(runtime, session.id, concerning(session))?.from ?? null;
}

function named(chat: Chat, id: string): Restoration | "unknown" {
  const { runtime } = chat;
  const found = runtime.store.read((sql) => {
    const session = sessions.get(sql, id);
    return session ? restoration(sql, runtime.processes, session, runtime.now()) : null;
  }, null);
  return found ?? "unknown";
}

function others(chat: Chat, session: sessions.Session, limit: number): ReturnType<typeof findIncomplete> {
  const { runtime } = chat;
  return runtime.store.read(
    (sql) => findIncomplete(sql, runtime.processes, runtime.now(), { except: session.id, limit }),
    [],
  );
}

function nothing(others: number): string {
  return others === 0
    ? "No session died unfinished."
    : `No session of this project died unfinished; ${others} elsewhere (give "of" for a brief).`;
}
