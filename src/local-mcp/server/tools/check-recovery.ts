import { CheckRecovery } from "../../../contract/tools.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import { brief } from "../../recovery/brief.ts";
import { formatFinishedTask } from "../../recovery/brief-lines.ts";
import { recordFinishedHere } from "../../recovery/finished-tasks.ts";
import type * as z from "zod";
import { searchFor, findIncomplete } from "../../recovery/detect.ts";
import { dismiss, offer, take } from "../../recovery/recover.ts";
import { quotedTitle } from "../../recovery/user-lines.ts";
import { restore, type Restoration } from "../../recovery/restoration.ts";
import * as sessions from "../../sessions/sessions.ts";
import { shimCommand, withShimCommand } from "../../../platform/shim-command.ts";
import { neutralize } from "../../words/neutralize.ts";
import type { Chat } from "../chat/chat.ts";
import { heldByAnother, OtherSessions, type RecoveryChoice } from "./other-sessions.ts";
import { findSessionArgument, type ToolError } from "../chat/session-argument.ts";
import { defineTool, type ToolAnswer } from "./tool.ts";

type IncompleteAnswer = z.infer<typeof CheckRecovery.output>["incomplete"][number];

const maxListed = { concise: 3, detailed: 20 };

export const checkRecovery = defineTool({
  name: "shim_check_recovery",
  title: "Find work of sessions that died",
  description: "Lists sessions that died unfinished, with a brief of the newest of this project.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  ...CheckRecovery,
  async run(chat, input) {
    const entered = chat.enter(input, "look");
    if (!entered.ok) return entered;
    const session = entered.value;
    const elsewhere = await OtherSessions.open(chat, session, input.of);
    const others = elsewhere === "unreachable" ? null : elsewhere;
    const chosen = await choose(chat, session, others, input.of);
    if (!chosen.ok) return chosen;
    const choice = chosen.value;
    if (input.dismiss === true) return dismissChoice(session, choice, input);
    const refused = await takeRefusal(choice, input);
    if (refused !== null) return err(refused);
    const incomplete = await listAll(chat, session, others, maxListed[input.detail]);
    const text = formatBrief(chat, choice, incomplete.length);
    const briefed = choice ? { brief: text, score: choice.from.score.total } : {};
    const output = { session: session.id, incomplete, ...briefed };
    if (elsewhere !== "unreachable") return ok({ text, output });
    return ok({ text: `${text}\n${unreachableNote}`, output: { ...output, message: unreachableNote } });
  },
});

/** [RE55] */
async function dismissChoice(
  session: sessions.Session,
  choice: RecoveryChoice | null,
  { take: isToTake }: { readonly take?: boolean | undefined },
): Promise<Result<ToolAnswer<z.infer<typeof CheckRecovery.output>>, ToolError>> {
  if (isToTake === true) return err({ code: "contradiction", message: "Give take or dismiss, not both." });
  if (!choice) return err(nothingToTake);
  const refused = await choice.dismiss();
  if (refused) return err(refused);
  const text = `${quotedTitle(choice.from.session.title)} (${choice.from.session.id}) is not offered any more. The user can take that back: \`shim resume --undo\`.`;
  return ok({ text, output: { session: session.id, incomplete: [], message: text } });
}

function formatBrief({ runtime }: Chat, choice: RecoveryChoice | null, others: number): string {
  if (choice === null) return nothingText(others);
  const text = brief(choice.from, runtime.now(), runtime.config.recovery);
  return withShimCommand(text, () => shimCommand(runtime));
}

async function listAll(
  chat: Chat,
  session: sessions.Session,
  others: OtherSessions | null,
  limit: number,
): Promise<IncompleteAnswer[]> {
  const elsewhere = others === null ? [] : await others.list(limit);
  return [...listLocal(chat, session, limit), ...elsewhere].slice(0, limit);
}

function unknownSession(of: string | undefined): ToolError {
  const message = `SHIM knows no session "${of}". Call without "of" to see the incomplete ones.`;
  return { code: "unknown_session", message };
}

async function takeRefusal(
  choice: RecoveryChoice | null,
  { take: isToTake }: { readonly take?: boolean | undefined },
): Promise<ToolError | null> {
  if (isToTake !== true) return null;
  return choice === null ? nothingToTake : choice.take();
}

const unreachableNote =
  "Sessions of other machines are not included: the coordinator of the workspace does not answer now.";
const nothingToTake: ToolError = {
  code: "nothing_to_take",
  message: 'No session of this project died unfinished; "of" names another.',
};

/** Prefers a session of this machine: more is known of it. */
async function choose(
  chat: Chat,
  session: sessions.Session,
  others: OtherSessions | null,
  of: string | undefined,
): Promise<Result<RecoveryChoice | null, ToolError>> {
  const localOffer = of === undefined ? ok(findOffer(chat, session)) : findNamed(chat, of);
  if (!localOffer.ok) return localOffer;
  const from = localOffer.value;
  if (from) {
    return ok({
      from,
      take: () => takeUp(chat, session, from),
      dismiss: () => Promise.resolve(dismissOwn(chat, session, from)),
    });
  }
  if (of === undefined) return ok((await others?.newest()) ?? null);
  const elsewhere = await others?.named(of);
  return elsewhere ? ok(elsewhere) : err(unknownSession(of));
}

function dismissOwn({ runtime }: Chat, session: sessions.Session, from: Restoration): ToolError | null {
  const { id, endedAt } = from.session;
  const refuse = (why: string): ToolError => ({ code: "not_to_dismiss", message: `${id} ${why}` });
  if (id === session.id) return refuse("is this chat itself.");
  if (endedAt !== null) return refuse("was finished, so it is not offered.");
  if (from.cause === null) return refuse("is still running, so it is not offered.");
  dismiss(runtime, id);
  return null;
}

/** The offer stands until this chat's first checkpoint completes the succession. */
function findOffer(chat: Chat, session: sessions.Session): Restoration | null {
  const { runtime } = chat;
  recordFinishedHere(runtime);
  const now = runtime.now();
  const alreadyOffered = runtime.store.read((sql) => sessions.listOfferedTo(sql, session.id)[0] ?? null, null);
  return (
    (alreadyOffered && restore(runtime, alreadyOffered, now)) ??
    offer(runtime, session.id, searchFor(session))?.from ??
    null
  );
}

function findNamed(chat: Chat, given: string): Result<Restoration | null, ToolError> {
  const { runtime } = chat;
  const sessionResult = runtime.store.read<Result<sessions.Session | null, ToolError>>(
    (sql) => findSessionArgument(sql, given),
    ok(null),
  );
  if (!sessionResult.ok || !sessionResult.value) return sessionResult.ok ? ok(null) : sessionResult;
  return ok(restore(runtime, sessionResult.value, runtime.now()));
}

/** [MC17] Returns the refusal, or null on success. */
async function takeUp(chat: Chat, session: sessions.Session, from: Restoration): Promise<ToolError | null> {
  const { id, endedAt, recovery, recoveryBy } = from.session;
  const refuse = (why: string): ToolError => ({ code: "not_to_take", message: `${id} ${why}` });
  if (id === session.id) return refuse("is this chat itself.");
  if (endedAt !== null) return refuse("was finished: there is nothing to go on with.");
  if (from.cause === null) return refuse("is still running.");
  if (recovery === "recovered" && recoveryBy !== session.id) {
    return refuse(`${doneText(from)}. If the user wants it here: \`shim resume --undo ${id}\`, then again.`);
  }
  if (recovery === "recovered") return null;
  const held = await heldByAnother(chat, session, id);
  if (held === null) take(chat.runtime, from, session.id);
  return held;
}

function doneText({ session, finished = [] }: Restoration): string {
  const [done] = finished;
  return done ? `is not unfinished: ${formatFinishedTask(done)}` : `is continued by ${session.recoveryBy}`;
}

function listLocal(chat: Chat, session: sessions.Session, limit: number): IncompleteAnswer[] {
  const { runtime } = chat;
  const now = runtime.now();
  const incomplete = runtime.store.read(
    (sql) => findIncomplete(sql, runtime.processes, now, { except: session.id, limit }),
    [],
  );
  return incomplete.map((one) => ({
    session: one.session.id,
    title: neutralize(sessions.displayTitle(one.session) ?? "untitled"),
    diedMsAgo: now - one.session.lastSeenAt,
    cause: one.cause,
    project: one.session.project ?? "",
  }));
}

function nothingText(others: number): string {
  return others === 0
    ? "No session died unfinished."
    : `No session of this project died unfinished; ${others} elsewhere (give "of" for a brief).`;
}
