import type { Failure } from "../../../contract/errors.ts";
import { stateText, offeredText } from "../../../contract/chat-state.ts";
import type { Risk } from "../../../contract/machine/sessions.ts";
import type { Readings } from "../../../contract/readings.ts";
import type { ListedSession } from "../../../contract/tools.ts";
import { Id } from "../../../contract/values.ts";
import type { OpenedLink } from "../../../coordinator-client/client.ts";
import { timerTrigger } from "../../../machine/sessions/signals/risk.ts";
import { recentStates } from "../../../machine/sessions/checkpoints/capture.ts";
import { checkedEffects } from "../../../machine/view/effects-handlers.ts";
import { acknowledgeNotices } from "../../../machine/view/overview-handlers.ts";
import { shortSession } from "../../../machine/recovery/resolve-id.ts";
import { forgetTarget } from "../../../machine/view/stored-session-handlers.ts";
import { readSessionStatus } from "../../../machine/recovery/session-view.ts";
import type { Brief } from "../../../machine/recovery/brief/brief.ts";
import { projectHere, reachFrom, type Reach } from "../../../machine/recovery/elsewhere/candidates.ts";
import { dismiss } from "../../../machine/recovery/marks.ts";
import { RecoverySource } from "../../../machine/recovery/source.ts";
import { besideOthers, examine, judge } from "../../../machine/recovery/rescue/diagnose.ts";
import { displayTitle, type Session } from "../../../machine/sessions/sessions.ts";
import { findStoredSession } from "../../../machine/sessions/session-identity.ts";
import { pullSome } from "../../../machine/sharing/pull.ts";
import { observeNow, refresh } from "../../../machine/sessions/signals/observe.ts";
import { takeUserWords } from "../../../machine/team/deliver-news.ts";
import { neutralize } from "../../../machine/sessions/text/neutralize.ts";
import { shimCommand, withShimCommand } from "../../../platform/shim-command.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { age, quotedTitle } from "../../../shared/format.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok, err, fail, type Result } from "../../../shared/result.ts";
import { captureNotes, captureRefusal, finish, recordUserWords } from "../chat/capture-notes.ts";
import type { Chat } from "../chat/chat.ts";
import { linesOfOtherChats } from "../chat/other-chats.ts";
import type { ToolHandler, ToolInput, ToolOutput, ToolAnswer } from "./tool.ts";

export const autoCheckpoint: ToolHandler<"shim_auto_checkpoint"> = (chat, input) => {
  const entered = chat.enter(input);
  if (!entered.ok) return entered;
  const session = entered.value;
  const { runtime } = chat;
  const { risk, facts, config } = observeNow(runtime, session);
  const isNews = recordUserWords(runtime, session, input.user);
  const due = timerTrigger(facts, config.checkpoint) ?? (risk.level === "critical" ? "risk" : null);
  const { doing, next: nextStep } = input;
  const notes = omitUndefined({ inProgress: doing === undefined ? undefined : [doing], nextStep });
  const trigger = isNews || Object.keys(notes).length > 0 ? "on_demand" : due;
  const reasons = input.detail === "detailed" ? { reasons: risk.reasons.map(formatReason) } : {};
  const answer = { session: session.id, risk: risk.score, level: risk.level, ...reasons };
  if (!trigger)
    return ok({ text: `Nothing due, risk ${risk.level}.`, output: { ...answer, saved: false, reason: "not due" } });
  const saved = captureNotes(chat, session.id, trigger, notes);
  if (saved.ok) {
    const { checkpoint, isNew } = saved.value;
    return ok({
      text: isNew ? `Saved ${checkpoint.id}.` : `Unchanged since ${checkpoint.id}.`,
      output: { ...answer, saved: isNew, reason: isNew ? trigger : "unchanged", checkpoint: checkpoint.id },
    });
  }
  if (saved.error.code !== "nothing_to_save") return captureRefusal(saved.error);
  return ok({ text: "Nothing to save yet.", output: { ...answer, saved: false, reason: "nothing to save yet" } });
};

export const forceCheckpoint: ToolHandler<"shim_force_checkpoint"> = (chat, input) => {
  const entered = chat.enter(input);
  if (!entered.ok) return entered;
  const sessionId = entered.value.id;
  const { session: _session, project: _project, finish: isFinished, detail, ...given } = input;
  const saved = captureNotes(chat, sessionId, "on_demand", given);
  if (!saved.ok) return captureRefusal(saved.error);
  if (isFinished) finish(chat, sessionId);
  const { checkpoint, isNew, redactions } = saved.value;
  const end = isFinished ? " The session is marked finished." : "";
  return ok({
    text: `${isNew ? "Saved" : "Unchanged since"} ${checkpoint.id} (${checkpoint.rawBytes} bytes).${end}`,
    output: {
      session: sessionId,
      checkpoint: checkpoint.id,
      isNew,
      bytes: checkpoint.rawBytes,
      redactions,
      ...(detail === "detailed" ? { summary: checkpoint.summary } : {}),
    },
  });
};

export const monitorSignals: ToolHandler<"shim_monitor_signals"> = (chat, input) => {
  const entered = chat.enter(input, "look");
  if (!entered.ok) return entered;
  const { runtime } = chat;
  const session = entered.value;
  const { contextTokens: tokens } = input;
  const reported: Readings =
    tokens === undefined ? {} : { contextTokens: { value: tokens, source: "reported", at: runtime.now() } };
  const { risk, readings } = refresh(runtime, session, reported);
  const reasons = risk.reasons.map(formatReason);
  return ok({
    text: `Risk ${risk.score} (${risk.level}). ${reasons.join("; ") || "No reason above its threshold."}`,
    output: {
      session: session.id,
      risk: risk.score,
      level: risk.level,
      reasons,
      ...(input.detail === "detailed" ? { readings } : {}),
    },
  });
};

function formatReason({ name, value, threshold, weight, source }: Risk["reasons"][number]): string {
  return `${name} ${round(value)} over ${round(threshold)} (+${weight}, ${source})`;
}

function round(value: number): number {
  return Math.abs(value) < 10 ? Math.round(value * 100) / 100 : Math.round(value);
}

export const sessionStatus: ToolHandler<"shim_session_status"> = async (chat, input) => {
  const entered = chat.enter(input, "look");
  if (!entered.ok) return entered;
  const { runtime } = chat;
  const status = readSessionStatus(runtime, entered.value);
  if (!status) return captureRefusal({ code: "unknown_session" });
  const { view, latest, died, offeredHere, driver } = status;
  const effects = input.detail === "detailed" ? await checkedEffects(runtime, entered.value) : [];
  const { id, client, title, project, state, detail, savedAt, checkpoints: count } = view;
  const savedMsAgo = savedAt === null ? undefined : runtime.now() - savedAt;
  const saved = savedMsAgo === undefined ? "not saved yet" : `saved ${age(savedMsAgo)} ago`;
  const dead = offeredHere === 0 ? String(died) : `${died}, ${offeredHere} of them offered to this chat`;
  return ok({
    text: `Session ${id}: ${stateText(view)}; ${saved}; checkpoints: ${count}; other sessions that died: ${dead}.`,
    output: {
      session: id,
      client,
      state,
      detail,
      ...(title === null ? {} : { title: neutralize(title) }),
      ...(project ? { project } : {}),
      ...(savedMsAgo === undefined ? {} : { savedMsAgo }),
      checkpoints: count,
      died,
      ...(offeredHere === 0 ? {} : { offeredHere }),
      store: driver ?? "closed",
      ...(input.detail === "detailed" && latest ? { latest: { ...latest } } : {}),
      ...(effects.length > 0 ? { effects } : {}),
    },
  });
};

export const clearState: ToolHandler<"shim_clear_state"> = async (chat, input) => {
  const entered = chat.enter({ session: input.session, project: input.project }, "delete");
  if (!entered.ok) return entered;
  const cleared = await clear(chat.runtime, input);
  if (!cleared.ok) return cleared;
  recentStates(chat.runtime.store).clear();
  const { deleted, rows, backup } = cleared.value;
  const where = backup ? ` Backup: ${backup}` : "";
  return ok({
    text: `Deleted ${deleted} (${input.scope}).${where}`,
    output: {
      session: entered.value.id,
      deleted,
      ...(backup ? { backup } : {}),
      ...(input.detail === "detailed" && rows !== undefined ? { rows } : {}),
    },
  });
};

interface Cleared {
  readonly deleted: number;
  readonly rows?: number;
  readonly backup?: string | null;
}

/** An unknown id changes nothing. */
async function clear(runtime: Runtime, { scope, id, forget }: ToolInput<"shim_clear_state">): Promise<Result<Cleared>> {
  if (scope === "notices") return ok({ deleted: acknowledgeNotices(runtime).length });
  const isCheckpoint = scope === "checkpoint";
  const kind = isCheckpoint ? "checkpoint" : "session";
  if (id === undefined) return fail("id_missing", `scope "${scope}" needs the id of the ${kind}.`);
  const unknown = fail("unknown_id", `SHIM knows no ${kind} "${id}". Nothing was deleted.`);
  const found = isCheckpoint ? ok({ id }) : findStoredSession(runtime, id);
  if (!found.ok) return found;
  if (found.value === null) return unknown;
  const target = found.value.id;
  if (scope === "offer") return ok({ deleted: dismiss(runtime, target) ? 1 : 0 });
  const forgotten = await forgetTarget(runtime, { target, isCheckpoint, keepsCopies: forget !== true }, "chat");
  if (!forgotten.ok) return forgotten.error.code === "not_found" ? unknown : forgotten;
  const { sessions, checkpoints, ...rest } = forgotten.value;
  return ok({ ...rest, deleted: isCheckpoint ? checkpoints : sessions });
}

type Answer = ToolAnswer<ToolOutput<"shim_check_recovery">>;

type Incomplete = ListedSession[];
type Input = ToolInput<"shim_check_recovery">;

const maxListed = { concise: 3, detailed: 20 };

const unreachableNote =
  "Sessions of other machines are not included: the coordinator of the workspace is not answering.";
const nothingToTake = fail(
  "nothing_to_take",
  'No session of this project died unfinished; pass "of" to name another.',
).error;

const listAlone = fail("contradiction", "Pass list alone: it neither takes nor dismisses.").error;

export const checkRecovery: ToolHandler<"shim_check_recovery"> = async (chat, input) => {
  const { list, of, take, dismiss, detail } = input;
  // A list makes no offer.
  const entered = list ? chat.enter(input, "look") : chat.begin(input);
  if (!entered.ok) return entered;
  if (list && (of !== undefined || take || dismiss)) return err(listAlone);
  const session = entered.value;
  const reach = await reachOthers(chat, session, of);
  const isUnreachable = reach === "unreachable";
  const openLink = (): Promise<OpenedLink | null> => openedLink(chat, session);
  const source = new RecoverySource(chat.runtime, { chat: session, reach: isUnreachable ? null : reach, openLink });
  const listed = (): Promise<Incomplete> => source.list(maxListed[detail]);
  if (list) return ok(withReach(listAnswer(session, await listed()), isUnreachable));
  const chosen = await choose(source, of);
  if (!chosen.ok) return chosen;
  const refusal = await act(source, chosen.value, input);
  if (refusal !== null) return err(refusal);
  if (dismiss && chosen.value) return ok(dismissedAnswer(chat, session, chosen.value));
  const brief = briefAnswer(chat, session, chosen.value, await listed());
  const answer = take ? withWords(chat, session, withSummary(chat, chosen.value, brief)) : brief;
  return ok(withReach(withObstacle(answer, await obstacleOf(chat, chosen.value)), isUnreachable));
};

/** The chat that continues a session gets what its brief had no room for. */
function withSummary({ runtime }: Chat, chosen: Brief | null, { text, output }: Answer): Answer {
  const whole = chosen?.whole(runtime.config.recovery, "tool");
  return { text: whole === undefined ? text : withShimCommand(whole, () => shimCommand(runtime)), output };
}

/** The chat that continues a session gets what the user wrote to that one. */
function withWords({ runtime }: Chat, { id }: Session, { text, output }: Answer): Answer {
  const words = takeUserWords(runtime, id);
  return { text: words === null ? text : `${text}\n\n${words}`, output };
}

function withReach({ text, output }: Answer, isUnreachable: boolean): Answer {
  if (!isUnreachable) return { text, output };
  const message = output.message === undefined ? unreachableNote : `${output.message} ${unreachableNote}`;
  return { text: `${text}\n${unreachableNote}`, output: { ...output, message } };
}

/** Why its own client cannot continue the session; null: nothing is known to be wrong. */
async function obstacleOf({ runtime }: Chat, chosen: Brief | null): Promise<string | null> {
  if (!chosen || chosen.from.elsewhere) return null;
  const { session } = chosen.from;
  const deps = { env: runtime.env, processes: runtime.processes, ...besideOthers };
  const { reason, why } = judge(deps, await examine(deps, session, session.cwd ?? "/"), false);
  if (reason === null || reason === "refused") return null;
  const text = `Its client cannot continue it (${reason}): ${why}. The user can, in a terminal: \`shim rescue ${shortSession(runtime, session.id)}\`.`;
  return withShimCommand(text, () => shimCommand(runtime));
}

function withObstacle({ text, output }: Answer, obstacle: string | null): Answer {
  return obstacle === null
    ? { text, output }
    : { text: `${text}\n${obstacle}`, output: { ...output, message: obstacle } };
}

async function openedLink(chat: Chat, session: Session): Promise<OpenedLink | null> {
  const member = await chat.team?.chatFor(session);
  return member?.ok ? member.value.openedLink : null;
}

async function choose(source: RecoverySource, of: string | undefined): Promise<Result<Brief | null>> {
  if (of === undefined) return ok(await source.offer());
  const found = await source.inspect(of);
  if (!found.ok || found.value) return found;
  const message = `SHIM knows no session "${of}". Call without "of" to see the incomplete ones.`;
  return fail("unknown_session", message);
}

/** Codes of a verdict that the tool answers with one of its own. */
const verdictCodes: ReadonlySet<string> = new Set(["this_chat", "finished", "still_running", "held"]);

/** Takes or dismisses the session. Returns the refusal, or null. */
async function act(source: RecoverySource, chosen: Brief | null, { take, dismiss }: Input): Promise<Failure | null> {
  if (!take && !dismiss) return null;
  if (take && dismiss) return fail("contradiction", "Pass take or dismiss, not both.").error;
  if (!chosen) return nothingToTake;
  const { session, elsewhere } = chosen.from;
  if (take) {
    const refusal = await source.claim(chosen);
    return refusal && { ...refusal, code: verdictCodes.has(refusal.code) ? "not_to_take" : refusal.code };
  }
  const refusal = elsewhere ? null : await source.check(session.id);
  if (refusal && refusal.code !== "held") return fail("not_to_dismiss", refusal.message).error;
  source.dismiss(session.id);
  return null;
}

function dismissedAnswer({ runtime }: Chat, { id }: Session, { from }: Brief): Answer {
  const { session } = from;
  // Only ids of this machine can be shortened here.
  const given = from.elsewhere ? session.id : shortSession(runtime, session.id);
  const undo = withShimCommand(`\`shim resume --undo ${given}\``, () => shimCommand(runtime));
  const text = `${quotedTitle(displayTitle(session))} (${session.id}) is no longer offered. The user can undo this: ${undo}.`;
  return { text, output: { session: id, incomplete: [], message: text } };
}

function listAnswer({ id }: Session, incomplete: Incomplete): Answer {
  const lines = incomplete.map(
    ({ session, title, diedMsAgo, cause, project, machine, offeredHere, offeredTo, offeredMsAgo }) => {
      const where = `${machine === undefined ? "" : ` on ${machine}`}${project === "" ? "" : ` in ${project}`}`;
      const toOther = offeredTo === undefined ? "" : `; ${offeredText(offeredTo, offeredMsAgo ?? 0)}`;
      const offered = offeredHere === true ? "; offered to this chat" : toOther;
      return `- ${quotedTitle(title)} (${session})${where}, ${age(diedMsAgo)} ago: ${cause.replaceAll("_", " ")}${offered}`;
    },
  );
  const text = lines.length === 0 ? "No session died unfinished." : "Sessions that died unfinished:";
  return { text: [text, ...lines].join("\n"), output: { session: id, incomplete } };
}

function briefAnswer(chat: Chat, { id }: Session, chosen: Brief | null, incomplete: Incomplete): Answer {
  const { length } = incomplete;
  const { runtime } = chat;
  if (chosen) {
    const { score, text: textFor } = chosen;
    const text = withShimCommand(textFor(runtime.config.recovery), () => shimCommand(runtime));
    return { text, output: { session: id, incomplete, brief: text, score: score.total } };
  }
  const text =
    length === 0
      ? "No session died unfinished."
      : `No session of this project died unfinished; ${length} elsewhere (pass "of" for a brief).`;
  return { text: [text, ...linesOfOtherChats(chat, id)].join("\n"), output: { session: id, incomplete } };
}

/**
 * Pulls at once: a new chat knows no other machine.
 *
 * @returns null without a workspace on an edge, "unreachable" if its coordinator does not answer
 */
async function reachOthers(
  chat: Chat,
  session: Session,
  idOrPrefix: string | undefined,
): Promise<Reach | "unreachable" | null> {
  const reader = await chat.team?.reader();
  if (!reader?.edge || !chat.team) return null;
  const member = await chat.team.chatFor(session);
  if (!member.ok) return "unreachable";
  const { openedLink: opened } = member.value;
  const alone = reachFrom(chat.runtime, opened, session.id);
  if (!alone) return null;
  if (alone.link.self === null) return "unreachable";
  const reach = { ...alone, here: await projectHere(alone, session.project) };
  return (await pullFor(reach, idOrPrefix)) ? reach : "unreachable";
}

async function pullFor(reach: Reach, idOrPrefix: string | undefined): Promise<boolean> {
  const { here } = reach;
  const ofProject = here === null || (await pullSome(reach, { project: here.project })).ok;
  // A prefix can only match a session that is known here.
  const id = Id.safeParse(idOrPrefix);
  const ofNamed = !id.success || (await pullSome(reach, { session: id.data })).ok;
  return ofProject && ofNamed;
}
