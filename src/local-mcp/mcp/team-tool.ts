import type * as z from "zod";
import { err, type Result } from "../../shared/result.ts";
import type { Trouble } from "../link/chat-link.ts";
import type { Session } from "../sessions/sessions.ts";
import type { TeamChat } from "../team/team-chat.ts";
import type { Chat } from "./chat.ts";
import { defineTool, type Tool, type ToolAnswer, type ToolError } from "./tool.ts";

/** Who calls a tool of the team. */
export interface Caller {
  readonly chat: Chat;
  readonly session: Session;
  readonly member: TeamChat;
}

interface TeamTool<Input extends z.ZodType, Output extends z.ZodType> extends Omit<Tool<Input, Output>, "run"> {
  readonly act: (caller: Caller, input: z.infer<Input>) => Promise<Result<ToolAnswer<z.infer<Output>>, ToolError>>;
}

/** A tool of a chat that is in a team: the session is found as for every tool, and has joined. */
export function defineTeamTool<
  Input extends z.ZodType<{ session?: string | undefined; project?: string | undefined }>,
  Output extends z.ZodType,
>(tool: TeamTool<Input, Output>): Tool {
  const { act, ...rest } = tool;
  return defineTool<Input, Output>({
    ...rest,
    async run(chat, input) {
      const { session, project } = input;
      const entered = chat.enter({ session, project });
      if (!entered.ok) return entered;
      if (!chat.team) return err({ code: "no_team", message: 'config.json says "team": {"isEnabled": false}.' });
      const joined = await chat.team.of(entered.value);
      if (!joined.ok) return refusal(joined.error);
      return act({ chat, session: entered.value, member: joined.value }, input);
    },
  });
}

const advice: Readonly<Record<string, string>> = {
  unreachable: "Nobody can be reached now, so nothing was changed. Go on with other work and call again later.",
  outcome_unknown: "It may or may not have happened. Look first, then call again.",
  not_registered: "This chat is not registered yet. Call again in a few seconds.",
  session_in_use: "Another process works on this session; only one of the two can be in the team.",
  chat_replaced: "Another process goes on as this chat.",
  stale_claim: "Stop the work on that task; shim_next takes another.",
  version_mismatch: "Read the key again, then decide anew.",
  chat_draining: "Somebody has asked this chat to finish what it has and to take nothing new.",
  forbidden: "The token of this machine does not allow it; tell the user.",
};

/** A refusal of the coordinator, with what to do. */
export function refusal({ code, message }: Trouble): { readonly ok: false; readonly error: ToolError } {
  const text = message.replace(/^[a-z]+\.[a-z-]+: /, "").replace(/\.?$/, ".");
  const more = advice[code];
  return err({ code, message: more === undefined ? text : `${text} ${more}` });
}

/** [TE16] Words of other chats, between two lines that they cannot write themselves. */
export function fenced(what: string, text: string): string {
  const inside = text.replaceAll(/shim-team/gi, "[fence]");
  return [`<shim-team-${what}>`, inside, `</shim-team-${what}>`].join("\n");
}
