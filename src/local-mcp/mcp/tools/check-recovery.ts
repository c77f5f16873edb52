import { offeredText } from "../../../contract/chat-state.ts";
import { age } from "../../../shared/format.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import { shimCommand, withShimCommand } from "../../../platform/shim-command.ts";
import type { Chat, ToolError } from "../chat/chat.ts";
import type { OpenedLink } from "../../../coordinator-client/open-link.ts";
import { shortSession } from "../../../machine/operations/resolve-id.ts";
import type { Brief } from "../../../machine/recovery/brief/brief.ts";
import { localSource } from "../../../machine/recovery/local-source.ts";
import type { RecoverySource } from "../../../machine/recovery/source.ts";
import { examine, judge } from "../../../machine/rescue/diagnose.ts";
import { quotedTitle } from "../../../shared/quoted-title.ts";
import { displayTitle, type Session } from "../../../machine/sessions/sessions.ts";
import { linesOfOtherChats } from "../chat/other-chats.ts";
import { Id } from "../../../contract/values.ts";
import {
  projectHere,
  remoteContext,
  type ProjectHere,
  type RemoteContext,
} from "../../../machine/recovery/elsewhere/remote-context.ts";
import { remoteSource } from "../../../machine/recovery/elsewhere/remote-source.ts";
import { pullSome } from "../../../machine/sharing/pull.ts";
import type { ToolHandler, ToolInput, ToolOutput, ToolAnswer } from "./tool.ts";

type Answer = ToolAnswer<ToolOutput<"shim_check_recovery">>;

type Incomplete = Answer["output"]["incomplete"];
type Input = ToolInput<"shim_check_recovery">;

interface Choice {
  readonly source: RecoverySource;
  readonly brief: Brief;
}

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
  const reached = await reach(chat, session, of);
  if (list) return ok(withReach(listAnswer(session, await listFrom(reached, detail)), reached));
  const chosen = await choose(reached.sources, of);
  if (!chosen.ok) return chosen;
  const refusal = await act(chosen.value, input);
  if (refusal !== null) return err(refusal);
  if (dismiss && chosen.value) return ok(dismissedAnswer(chat, session, chosen.value));
  const answer = briefAnswer(chat, session, chosen.value, await listFrom(reached, detail));
  return ok(withReach(withObstacle(answer, await obstacleOf(chat, chosen.value)), reached));
};

interface Reached {
  readonly sources: readonly RecoverySource[];
  readonly isUnreachable: boolean;
}

async function reach(chat: Chat, session: Session, of: string | undefined): Promise<Reached> {
  const own = localSource(chat.runtime, session, () => openedLink(chat, session));
  const elsewhere = await otherSessions(chat, session, of);
  const isUnreachable = elsewhere === "unreachable";
  // A session of this machine comes first: more is known of it.
  return { sources: isUnreachable || elsewhere === null ? [own] : [own, elsewhere], isUnreachable };
}

async function listFrom({ sources }: Reached, detail: keyof typeof maxListed): Promise<Incomplete> {
  const limit = maxListed[detail];
  const listed = await Promise.all(sources.map((source) => source.list(limit)));
  return listed.flat().slice(0, limit);
}

function withReach({ text, output }: Answer, { isUnreachable }: Reached): Answer {
  if (!isUnreachable) return { text, output };
  const message = output.message === undefined ? unreachableNote : `${output.message} ${unreachableNote}`;
  return { text: `${text}\n${unreachableNote}`, output: { ...output, message } };
}

/** Why its own client cannot continue the session; null: nothing is known to be wrong. */
async function obstacleOf({ runtime }: Chat, choice: Choice | null): Promise<string | null> {
  if (!choice || choice.brief.from.elsewhere) return null;
  const { session } = choice.brief.from;
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

async function choose(
  sources: readonly RecoverySource[],
  of: string | undefined,
): Promise<Result<Choice | null, ToolError>> {
  for (const source of sources) {
    const found = of === undefined ? ok(await source.offer()) : await source.inspect(of);
    if (!found.ok) return found;
    if (found.value) return ok({ source, brief: found.value });
  }
  if (of === undefined) return ok(null);
  const message = `SHIM knows no session "${of}". Call without "of" to see the incomplete ones.`;
  return err({ code: "unknown_session", message });
}

/** Codes of a verdict that the tool answers with one of its own. */
const verdictCodes: ReadonlySet<string> = new Set(["this_chat", "finished", "still_running", "held"]);

/** Takes or dismisses the session. Returns the refusal, or null. */
async function act(choice: Choice | null, { take, dismiss }: Input): Promise<ToolError | null> {
  if (!take && !dismiss) return null;
  if (take && dismiss) return { code: "contradiction", message: "Pass take or dismiss, not both." };
  if (!choice) return nothingToTake;
  const { source, brief } = choice;
  const { from } = brief;
  if (take) {
    const refusal = await source.claim(brief);
    return refusal && { ...refusal, code: verdictCodes.has(refusal.code) ? "not_to_take" : refusal.code };
  }
  const refusal = from.elsewhere ? null : await source.check(from);
  if (refusal && refusal.code !== "held") return { ...refusal, code: "not_to_dismiss" };
  source.dismiss(from.session.id);
  return null;
}

function dismissedAnswer({ runtime }: Chat, { id }: Session, { brief: { from } }: Choice): Answer {
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

function briefAnswer(chat: Chat, { id }: Session, choice: Choice | null, incomplete: Incomplete): Answer {
  const { length } = incomplete;
  const { runtime } = chat;
  if (choice) {
    const { score, text: textFor } = choice.brief;
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
 * The sessions of other machines. Pulls at once: a new chat knows no other machine.
 * @returns null without a workspace on an edge, "unreachable" if its coordinator does not answer
 */
async function otherSessions(
  chat: Chat,
  session: Session,
  idOrPrefix: string | undefined,
): Promise<RecoverySource | "unreachable" | null> {
  const reader = await chat.team?.reader();
  if (!reader?.edge || !chat.team) return null;
  const member = await chat.team.chatFor(session);
  if (!member.ok) return "unreachable";
  const context = remoteContext(chat.runtime, member.value.openedLink, session.id);
  if (!context) return null;
  if (context.link.self === null) return "unreachable";
  const here = await projectHere(member.value.naming, session.project);
  return (await pullFor(context, here, idOrPrefix)) ? remoteSource(context, here) : "unreachable";
}

async function pullFor(
  context: RemoteContext,
  here: ProjectHere | null,
  idOrPrefix: string | undefined,
): Promise<boolean> {
  const ofProject = here === null || (await pullSome(context, { project: here.project })).ok;
  // A prefix can only match a session that is known here.
  const id = Id.safeParse(idOrPrefix);
  const ofNamed = !id.success || (await pullSome(context, { session: id.data })).ok;
  return ofProject && ofNamed;
}
