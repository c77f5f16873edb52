import { hasUser, isOfWorker } from "../../clients/adapter/attendance.ts";
import { acceptOffer, rewoundBrief } from "../../machine/recovery/given-context.ts";
import { isOwnerGone } from "../../machine/sessions/life/presence.ts";
import * as journal from "../../machine/sessions/journal.ts";
import { limitLine } from "../../machine/sessions/usage/at-limit.ts";
import { isAlive } from "../../platform/processes.ts";
import { shimCommand, withShimCommand } from "../../platform/shim-command.ts";
import type { Concern, Recording, StartedSession } from "./concern.ts";

/** Asks of the state that the prompt changes. */
export const beforePrompt: Concern = {
  name: "before the prompt",
  on: ["UserPromptSubmit"],
  isForLate: false,
  inTransaction(event, draft) {
    const { sql, machine, incoming, session } = event;
    draft.start = findMissedStart(event);
    draft.warning = frontWarning(event) ?? missedWarning(draft.missed) ?? limitWarning(event);
    const { prompt = "", agent_id: agent } = incoming.input;
    const isUsers = agent === undefined && !isOfWorker(machine.env);
    if (isUsers) draft.accepted = acceptOffer(sql, machine, session.id, prompt) ?? rewoundBrief(sql, machine, session);
  },
};

/** Shown at a failure by few clients, and so with the prompt after it too. */
export const limitAtFailure: Concern = {
  name: "limit",
  on: ["StopFailure"],
  isForLate: false,
  inTransaction: (event, draft) => void (draft.warning = limitWarning(event)),
};

function limitWarning({ sql, machine, session }: Recording): string | null {
  const line = hasUser(machine.env) ? limitLine(sql, machine, session) : null;
  return line && withShimCommand(`SHIM: ${line}`, () => shimCommand(machine));
}

const deadText = "SHIM: the MCP process has died. Reconnect it with /mcp: until then its tools are missing";

/** The client has lost its front, of which its user does not know yet. */
function frontWarning({ machine: { env, fronts, processes }, known: { client } }: Recording): string | null {
  if (!client || !isAlive(processes, client) || !fronts.hasLost(client)) return null;
  // The plugin's tool events go through it.
  if (env["CLAUDE_PLUGIN_ROOT"] === undefined) return `${deadText}.`;
  return `${deadText}, reserved files and budgets are not guarded, and tool calls are saved with your next prompt.`;
}

/** All tool events have arrived by the end of a turn. */
function missedWarning(missed: number): string | null {
  if (missed === 0) return null;
  const calls = missed === 1 ? "One tool call" : `${missed} tool calls`;
  return `SHIM: ${calls} did not reach the MCP process; what the transcript has of ${missed === 1 ? "it" : "them"} is saved now. If this happens again: /mcp shows the process.`;
}

/**
 * Finds a start that was spooled: the user's next prompt brings its answer.
 * So it does where it comes before the start, which then finds the session alive.
 */
function findMissedStart({ sql, machine, known, session, before, claim }: Recording): StartedSession | null {
  if (before && known.client && isOwnerGone(machine, before)) return { session, before, claim, source: "resume" };
  const [last] = journal.newest(sql, session.id, ["start", "prompt"], 1);
  const isMissed = last?.entry.kind === "start" && last.entry.isUndelivered === true;
  return isMissed ? { session, before: null, claim, source: last.entry.source } : null;
}
