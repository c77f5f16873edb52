import { CheckRecovery } from "../../../contract/tools.ts";
import { err, ok } from "../../../shared/result.ts";
import { brief } from "../../recovery/brief.ts";
import type * as z from "zod";
import { concerning, findIncomplete } from "../../recovery/detect.ts";
import { offer, take } from "../../recovery/recover.ts";
import { restoration, type Restoration } from "../../recovery/restoration.ts";
import * as sessions from "../../sessions/sessions.ts";
import type { Chat } from "../chat.ts";
import { heldByAnother, OtherSessions, type Choice } from "../other-sessions.ts";
import { defineTool, type ToolError } from "../tool.ts";

type Incomplete = z.infer<typeof CheckRecovery.output>["incomplete"][number];

const listed = { concise: 3, detailed: 20 };

export const checkRecovery = defineTool({
  name: "shim_check_recovery",
  title: "Find work of sessions that died",
  description:
    "Call at the start of a chat. Lists sessions that died unfinished and briefs you on the newest of this project: goal, done, next step, files, cause.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  ...CheckRecovery,
  async run(chat, input) {
    const entered = chat.enter(input, "look");
    if (!entered.ok) return entered;
    const session = entered.value;
    const elsewhere = await OtherSessions.of(chat, session, input.of);
    const others = elsewhere === "unreachable" ? null : elsewhere;
    const choice = await choose(chat, session, others, input.of);
    const refused = await refusalOf(choice, input);
    if (refused !== null || choice === "unknown") return err(refused ?? unknown(input.of));
    const incomplete = await listAll(chat, session, others, listed[input.detail]);
    const text = told(chat, choice, incomplete.length);
    const briefed = choice ? { brief: text, score: choice.from.score.total } : {};
    const output = { session: session.id, incomplete, ...briefed };
    if (elsewhere !== "unreachable") return ok({ text, output });
    return ok({ text: `${text}\n${cannotTell}`, output: { ...output, message: cannotTell } });
  },
});

function told({ runtime }: Chat, choice: Choice | null, others: number): string {
  return choice ? brief(choice.from, runtime.now(), runtime.config.recovery) : nothing(others);
}

async function listAll(
  chat: Chat,
  session: sessions.Session,
  others: OtherSessions | null,
  limit: number,
): Promise<Incomplete[]> {
  const elsewhere = others === null ? [] : await others.list(limit);
  return [...here(chat, session, limit), ...elsewhere].slice(0, limit);
}

function unknown(of: string | undefined): ToolError {
  const message = `SHIM knows no session "${of}". Call without "of" to see the incomplete ones.`;
  return { code: "unknown_session", message };
}

/** Why it is not gone on with, where that is wished; else null. */
async function refusalOf(
  choice: Choice | "unknown" | null,
  { take: isToTake }: { readonly take?: boolean | undefined },
): Promise<ToolError | null> {
  if (isToTake !== true || choice === "unknown") return null;
  return choice === null ? nothingToTake : choice.take();
}

const cannotTell =
  "Sessions of other machines are not among these: whoever decides for the workspace does not answer now.";
const nothingToTake: ToolError = {
  code: "nothing_to_take",
  message: 'No session of this project died unfinished; "of" names another.',
};

/** One of this machine comes first: more is known of it. */
async function choose(
  chat: Chat,
  session: sessions.Session,
  others: OtherSessions | null,
  of: string | undefined,
): Promise<Choice | "unknown" | null> {
  const own = of === undefined ? offered(chat, session) : named(chat, of);
  if (own) return { from: own, take: () => takeUp(chat, session, own) };
  if (of === undefined) return (await others?.newest()) ?? null;
  return (await others?.named(of)) ?? "unknown";
}

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

function named(chat: Chat, id: string): Restoration | null {
  const { runtime } = chat;
  return runtime.store.read((sql) => {
    const session = sessions.get(sql, id);
    return session ? restoration(sql, runtime.processes, session, runtime.now()) : null;
  }, null);
}

/** [MC17] Why it cannot be taken up; null when it is. */
async function takeUp(chat: Chat, session: sessions.Session, from: Restoration): Promise<ToolError | null> {
  const { id, endedAt, recovery, recoveryBy } = from.session;
  const refused = (why: string): ToolError => ({ code: "not_to_take", message: `${id} ${why}` });
  if (id === session.id) return refused("is this chat itself.");
  if (endedAt !== null) return refused("was finished: there is nothing to go on with.");
  if (from.cause === null) return refused("is still running.");
  if (recovery === "recovered" && recoveryBy !== session.id) {
    return refused(
      `is continued by ${recoveryBy}. If the user wants it here: \`shim resume --undo ${id}\`, then again.`,
    );
  }
  if (recovery === "recovered") return null;
  const held = await heldByAnother(chat, session, id);
  if (held === null) take(chat.runtime, from, session.id);
  return held;
}

function here(chat: Chat, session: sessions.Session, limit: number): Incomplete[] {
  const { runtime } = chat;
  const now = runtime.now();
  const found = runtime.store.read(
    (sql) => findIncomplete(sql, runtime.processes, now, { except: session.id, limit }),
    [],
  );
  return found.map((one) => ({
    session: one.session.id,
    title: one.session.title ?? "untitled",
    diedMsAgo: now - one.session.lastSeenAt,
    cause: one.cause,
    project: one.session.project ?? "",
  }));
}

function nothing(others: number): string {
  return others === 0
    ? "No session died unfinished."
    : `No session of this project died unfinished; ${others} elsewhere (give "of" for a brief).`;
}
