import type { Failure } from "../../../contract/errors.ts";
import type * as z from "zod";
import type { teamTools, machineTools } from "../../../contract/tools.ts";
import type { Call } from "../../../coordinator-client/edge/calls.ts";
import type { Session } from "../../../machine/sessions/sessions.ts";
import type { TeamChat } from "../../../machine/team/team-chat.ts";
import { redactJson } from "../../../redaction/redact-json.ts";
import { dataWarning, fence } from "../../../shared/format.ts";
import { badInputText } from "../../../shared/bad-input.ts";
import { err, ok, fail, type Result } from "../../../shared/result.ts";
import type { Chat } from "../chat/chat.ts";

type Tools = typeof machineTools & typeof teamTools;

export type ToolName = keyof Tools;
export type ToolInput<Name extends ToolName> = z.output<Tools[Name]["input"]>;
export type ToolOutput<Name extends ToolName> = z.input<Tools[Name]["output"]>;

export interface ToolAnswer<Output> {
  readonly text: string;
  readonly output: Output;
}

type Answered<Name extends ToolName> = Result<ToolAnswer<ToolOutput<Name>>>;

/**
 * The code of a tool; its input is checked.
 *
 * @throws {StoreError} if the store can be neither read nor written
 */
export type ToolHandler<Name extends ToolName> = (
  chat: Chat,
  input: ToolInput<Name>,
) => Answered<Name> | Promise<Answered<Name>>;

export interface Caller {
  readonly chat: Chat;
  readonly session: Session;
  readonly member: TeamChat;
  readonly removed: number;
  /** Calls an operation of the workspace. */
  readonly call: Call;
}

const callTimeoutMs = 8_000;

interface TeamAnswer<Output> {
  /** SHIM's own text. */
  readonly message: string;
  /** Text of other chats, for clients that do not read the structured answer. */
  readonly quoted?: { readonly as: string; readonly text: string };
  readonly output: Omit<Output, "session" | "message">;
}

type TeamToolName = keyof typeof teamTools;
export type TeamResult<Name extends TeamToolName> = Result<TeamAnswer<ToolOutput<Name>>>;
type Act<Name extends TeamToolName> = (caller: Caller, input: ToolInput<Name>) => Promise<TeamResult<Name>>;

export function teamTool<Name extends TeamToolName>(act: Act<Name>): ToolHandler<Name> {
  return async (chat, input) => {
    const entered = chat.enter(input);
    if (!entered.ok) return entered;
    if (!chat.team) return fail("no_team", 'The team is turned off: config.json says "team": {"isEnabled": false}.');
    const joined = await chat.team.chatFor(entered.value);
    if (!joined.ok) return err(toRefusal(joined.error));
    const member = joined.value;
    // Redaction maps strings to strings, so the shape stays.
    const { value, count: removed } = redactJson(input);
    const call: Call = (name, given) => member.openedLink.link.call(name, given, callTimeoutMs);
    const acted = await act({ chat, session: entered.value, member, removed, call }, value as ToolInput<Name>);
    return acted.ok ? ok(toAnswer(entered.value.id, acted.value)) : err(toRefusal(acted.error));
  };
}

function toAnswer<Output>(session: string, { message: lead, quoted, output }: TeamAnswer<Output>): ToolAnswer<Output> {
  const message = quoted ? `${lead} ${dataWarning}` : lead;
  const text = quoted ? [message, fence(quoted.as, quoted.text)].join("\n") : message;
  return { text, output: { session, message, ...output } as Output };
}

const adviceByCode: Readonly<Record<string, string>> = {
  unreachable:
    "The coordinator cannot be reached, so nothing was changed. Continue with other work and call again later.",
  outcome_unknown: "The call may or may not have taken effect. Check first, then call again.",
  not_registered: "This chat is not registered yet. Call again in a few seconds.",
  session_in_use: "Another process is working on this session; only one of the two can be in the team.",
  chat_replaced: "Another process has taken over this chat.",
  stale_claim: "Stop the work on that task; shim_next takes another.",
  version_mismatch: "Read the key again, then decide whether to write.",
  chat_draining: "This chat has been asked to finish its tasks and to take no new ones.",
  forbidden: "The access token of this machine does not permit it; tell the user.",
};

/** A refusal of a workspace names its operation, which the tool does not. */
function toRefusal({ code, message }: Failure): Failure {
  const text = badInputText(message);
  const more = adviceByCode[code];
  return { code, message: more === undefined ? text : `${text} ${more}` };
}

/** Characters of a text that the structured answer has whole. */
export const maxQuotedChars = 4_000;
