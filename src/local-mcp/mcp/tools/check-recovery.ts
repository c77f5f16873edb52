import { offeredText } from "../../../contract/chat-state.ts";
import { age, quotedTitle } from "../../../shared/format.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import { shimCommand, withShimCommand } from "../../../platform/shim-command.ts";
import type { Chat, ToolError } from "../chat/chat.ts";
import type { OpenedLink } from "../../../coordinator-client/client.ts";
import { shortSession } from "../../../machine/operations/resolve-id.ts";
import type { Brief } from "../../../machine/recovery/brief/brief.ts";
import { RecoverySource } from "../../../machine/recovery/source.ts";
import { examine, judge } from "../../../machine/rescue/diagnose.ts";
import { displayTitle, type Session } from "../../../machine/sessions/sessions.ts";
import { linesOfOtherChats } from "../chat/other-chats.ts";
import { Id } from "../../../contract/values.ts";
import { projectHere, reachFrom, type Reach } from "../../../machine/recovery/elsewhere/reach.ts";
import { pullSome } from "../../../machine/sharing/pull.ts";
import type { ToolHandler, ToolInput, ToolOutput, ToolAnswer } from "./tool.ts";

type Answer = ToolAnswer<ToolOutput<"shim_check_recovery">>;

type Incomplete = Answer["output"]["incomplete"];
type Input = ToolInput<"shim_check_recovery">;

const maxListed = { concise: 3, detailed: 20 };

const unreachableNote =
  "Sessions of other machines are not included: the coordinator of the workspace is not answering.";
const nothingToTake: ToolError = {
  code: "nothing_to_take",
  message: 'No session of this project died unfinished; pass "of" to name another.',
};

const listAlone: ToolError = { code: "contradiction", message: "Pass list alone: it neither takes nor dismisses." };

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
  const answer = briefAnswer(chat, session, chosen.value, await listed());
  return ok(withReach(withObstacle(answer, await obstacleOf(chat, chosen.value)), isUnreachable));
};

function withReach({ text, output }: Answer, isUnreachable: boolean): Answer {
  if (!isUnreachable) return { text, output };
  const message = output.message === undefined ? unreachableNote : `${output.message} ${unreachableNote}`;
  return { text: `${text}\n${unreachableNote}`, output: { ...output, message } };
}

/** Why its own client cannot continue the session; null: nothing is known to be wrong. */
async function obstacleOf({ runtime }: Chat, chosen: Brief | null): Promise<string | null> {
  if (!chosen || chosen.from.elsewhere) return null;
  const { session } = chosen.from;
  const deps = { env: runtime.env, processes: runtime.processes, versionOf: () => null, isShared: true };
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

async function choose(source: RecoverySource, of: string | undefined): Promise<Result<Brief | null, ToolError>> {
  if (of === undefined) return ok(await source.offer());
  const found = await source.inspect(of);
  if (!found.ok || found.value) return found;
  const message = `SHIM knows no session "${of}". Call without "of" to see the incomplete ones.`;
  return err({ code: "unknown_session", message });
}

/** Codes of a verdict that the tool answers with one of its own. */
const verdictCodes: ReadonlySet<string> = new Set(["this_chat", "finished", "still_running", "held"]);

/** Takes or dismisses the session. Returns the refusal, or null. */
async function act(source: RecoverySource, chosen: Brief | null, { take, dismiss }: Input): Promise<ToolError | null> {
  if (!take && !dismiss) return null;
  if (take && dismiss) return { code: "contradiction", message: "Pass take or dismiss, not both." };
  if (!chosen) return nothingToTake;
  const { session, elsewhere } = chosen.from;
  if (take) {
    const refusal = await source.claim(chosen);
    return refusal && { ...refusal, code: verdictCodes.has(refusal.code) ? "not_to_take" : refusal.code };
  }
  const refusal = elsewhere ? null : await source.check(session.id);
  if (refusal && refusal.code !== "held") return { ...refusal, code: "not_to_dismiss" };
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
  const { openedLink: opened, naming } = member.value;
  const alone = reachFrom(chat.runtime, opened, session.id);
  if (!alone) return null;
  if (alone.link.self === null) return "unreachable";
  const reach = { ...alone, here: await projectHere(naming, session.project) };
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
