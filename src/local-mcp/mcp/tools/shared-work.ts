import type { Leader } from "../../../contract/leases.ts";
import type { Json } from "../../../contract/values.ts";
import { foldsCase } from "../../../platform/paths.ts";
import { type ReservationError, formatResource, toRealLeasePath } from "../../../machine/team/file-reservations.ts";
import type { Reservation } from "../../../machine/sessions/reservation-table.ts";
import type { TeamChat } from "../../../machine/team/team-chat.ts";
import { age } from "../../../shared/format.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok, type Result, fail } from "../../../shared/result.ts";
import { beginningOf } from "../../../shared/shorten.ts";
import { maxQuotedChars, teamTool, type Caller, type TeamResult, type ToolInput } from "./tool.ts";

type Input = ToolInput<"shim_state_set">;
type StateResult = TeamResult<"shim_state_set">;

const leaderPrefix = "$leader/";

export const stateSet = teamTool<"shim_state_set">(async (caller, input) => {
  if (input.delete === true && input.value !== undefined) {
    return fail("bad_input", 'pass "value" or "delete": true, not both; without either it reads.');
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
    quoted: { as: "state", text: beginningOf(JSON.stringify(entry.value), maxQuotedChars) },
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
    return fail("bad_input", `${input.key} takes true (campaign), "delete": true (resign) or no value.`);
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

type FilesResult = TeamResult<"shim_files">;

interface ProjectPaths {
  readonly project: string;
  readonly paths: readonly string[];
  readonly isFolded: boolean;
}

export const files = teamTool<"shim_files">(async (caller, { action, paths = [], project }) => {
  if (action === "list") return list(caller);
  if (action === "reserve" && paths.length === 0) {
    return fail("paths_missing", "reserve needs paths: file, dir/* or dir/**.");
  }
  const requestedRoot = await projectPathsOf(caller, paths, project);
  if (!requestedRoot.ok) return requestedRoot;
  return action === "reserve" ? reserve(caller, requestedRoot.value) : release(caller, requestedRoot.value);
});

async function projectPathsOf(
  { session, member }: Caller,
  given: readonly string[],
  requestedRoot: string | undefined,
): Promise<Result<ProjectPaths>> {
  const root = requestedRoot ?? session.project;
  if (root === null) {
    return fail("no_project", 'SHIM does not know the project of this chat: pass "project".');
  }
  const paths = given.map((path) => toRealLeasePath(root, path));
  const invalidPath = paths.find((path) => !path.ok);
  if (invalidPath && !invalidPath.ok) return fail("bad_path", `${invalidPath.error}. Nothing was changed.`);
  const named = await member.naming.project(root);
  if (!named.ok) return fail("no_key", `${named.error}.`);
  return ok({
    project: named.value,
    isFolded: foldsCase(root),
    paths: paths.flatMap((path) => (path.ok ? [path.value] : [])),
  });
}

async function reserve(caller: Caller, { project, paths, isFolded }: ProjectPaths): Promise<FilesResult> {
  const reserved = await caller.member.files.reserve(project, paths, isFolded);
  if (!reserved.ok) return toReserveRefusal(caller, reserved.error);
  const names = reserved.value.map(({ resource }) => formatResource(resource)).join(", ");
  return ok({
    message: `Reserved: ${names}. Release them when you are done.`,
    output: outputOf(caller, reserved.value),
  });
}

function toReserveRefusal(caller: Caller, { code, message, holder }: ReservationError): FilesResult {
  if (!holder) return fail(code, message);
  const path = formatResource(holder.resource);
  if (holder.holder === caller.member.sessionId) {
    return fail(code, `This chat already holds ${path}, which overlaps. Release it first, then reserve both.`);
  }
  const since = age(caller.chat.runtime.now() - holder.since);
  return fail(
    code,
    `Nothing was reserved: ${path} is held by ${holder.holder} "${holder.holderName}" on ${holder.machine}, for ${since}. Ask it with shim_send (to "${holder.holder}"), or work elsewhere.`,
  );
}

async function release(caller: Caller, { project, paths }: ProjectPaths): Promise<FilesResult> {
  const released = await caller.member.files.release(project, paths);
  if (!released.ok) return released;
  const names = released.value.map(formatResource).join(", ");
  return ok({
    message: names === "" ? "This chat held none of them." : `Released: ${names}.`,
    output: outputOf(caller, []),
  });
}

async function list(caller: Caller): Promise<FilesResult> {
  const found = await caller.member.files.list();
  if (!found.ok) return found;
  const output = outputOf(caller, found.value);
  const lines = output.files.map(
    ({ path, holder, name, machine, isSelf, heldForMs }) =>
      `${path}: ${isSelf ? "this chat" : `${holder} "${name}" on ${machine}`}, for ${age(heldForMs)}`,
  );
  if (lines.length === 0) return ok({ message: "No file is reserved.", output });
  return ok({ message: `Reserved: ${lines.length}.`, quoted: { as: "files", text: lines.join("\n") }, output });
}

function outputOf({ chat, member }: Caller, found: readonly Reservation[]) {
  const now = chat.runtime.now();
  const reservations = found.map(({ resource, holder, holderName, machine, since }) => ({
    path: formatResource(resource),
    holder,
    name: holderName,
    machine,
    isSelf: holder === member.sessionId,
    heldForMs: Math.max(0, now - since),
  }));
  return { files: reservations };
}
