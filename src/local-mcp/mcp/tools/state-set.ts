import type { Leader } from "../../../contract/leases.ts";
import type { Json } from "../../../contract/json.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { err, ok } from "../../../shared/result.ts";
import type { TeamChat } from "../../../machine/team/team-chat.ts";
import { cut, teamTool, type Caller, type TeamResult, type ToolInput } from "./tool.ts";

type Input = ToolInput<"shim_state_set">;
type StateResult = TeamResult<"shim_state_set">;

const leaderPrefix = "$leader/";

export const stateSet = teamTool<"shim_state_set">(async (caller, input) => {
  if (input.delete === true && input.value !== undefined) {
    return err({ code: "bad_input", message: 'pass "value" or "delete": true, not both; without either it reads.' });
  }
  if (input.key.startsWith(leaderPrefix)) return campaign(caller.member, input);
  if (input.delete === true) return remove(caller, input);
  return input.value === undefined ? read(caller, input.key) : write(caller, input);
});

/** Serves clients that read no resources. */
async function read({ call }: Caller, key: string): Promise<StateResult> {
  const found = await call("state.get", { key });
  if (!found.ok) return found;
  const { entry } = found.value;
  if (entry === null) return ok({ message: `${key} is not set.`, output: { version: 0 } });
  return ok({
    message: `${key}, version ${entry.version}.`,
    quoted: { as: "state", text: cut(JSON.stringify(entry.value)) },
    output: { version: entry.version, value: entry.value },
  });
}

async function write({ session, call }: Caller, { key, ifVersion, ttlMs, value }: Input): Promise<StateResult> {
  const limits = omitUndefined({ ifVersion, ttlMs });
  const written = await call("state.set", { key, by: session.id, value: value as Json, ...limits });
  if (!written.ok) return written;
  const { version } = written.value;
  return ok({ message: `Set ${key}, version ${version}.`, output: { version } });
}

async function remove({ session, call }: Caller, { key, ifVersion }: Input): Promise<StateResult> {
  const deleted = await call("state.delete", { key, by: session.id, ...omitUndefined({ ifVersion }) });
  if (!deleted.ok) return deleted;
  const { isDeleted, version } = deleted.value;
  return ok({ message: isDeleted ? `Deleted ${key}.` : `${key} was not set.`, output: { version, isDeleted } });
}

async function campaign(member: TeamChat, input: Input): Promise<StateResult> {
  const name = input.key.slice(leaderPrefix.length);
  if (input.delete === true) return resign(member, name);
  if (input.value === undefined) {
    const found = await member.leadership.leaderOf(name);
    return found.ok ? toLeadership(member, name, found.value) : found;
  }
  if (input.value !== true) {
    return err({
      code: "bad_input",
      message: `${input.key} takes true (campaign), "delete": true (resign) or no value.`,
    });
  }
  const answer = await member.leadership.campaign(name);
  if (!answer.ok) return answer;
  const { leader, state } = answer.value;
  if (state === "leading") return toLeadership(member, name, leader);
  const now = leader === null ? `${name} has no leader yet` : `${leader.leader} leads ${name}`;
  return ok({
    message: `${now}; this chat is waiting, and gets a notification when it leads.`,
    output: { leader: leader && toLeader(member, leader) },
  });
}

async function resign(member: TeamChat, name: string): Promise<StateResult> {
  const resigned = await member.leadership.resign(name);
  if (!resigned.ok) return resigned;
  const message = resigned.value
    ? `This chat no longer leads ${name}.`
    : `This chat did not lead ${name}, and is no longer waiting.`;
  return ok({ message, output: { isDeleted: resigned.value } });
}

function toLeadership(member: TeamChat, name: string, leader: Leader | null): StateResult {
  if (leader === null) return ok({ message: `${name} has no leader.`, output: { leader: null } });
  const shownLeader = toLeader(member, leader);
  const message = shownLeader.isSelf
    ? `This chat leads ${name}, term ${leader.term}, until it resigns or ends. It gets a notification if it loses the leadership.`
    : `${leader.leader} leads ${name}, term ${leader.term}.`;
  return ok({ message, output: { leader: shownLeader } });
}

function toLeader(member: TeamChat, { leader: chat, term }: Leader) {
  return { chat, isSelf: chat === member.sessionId, term };
}
