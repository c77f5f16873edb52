import type { ToolError } from "../chat/chat.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import { age } from "../../../shared/format.ts";
import {
  type ReservationError,
  formatResource,
  resolveLinks,
  toLeasePath,
} from "../../../machine/team/file-reservations.ts";
import type { Reservation } from "../../../machine/team/reservation-table.ts";
import { teamTool, type Caller, type TeamResult } from "./tool.ts";

type FilesResult = TeamResult<"shim_files">;

interface ProjectPaths {
  readonly project: string;
  readonly paths: readonly string[];
}

export const files = teamTool<"shim_files">(async (caller, { action, paths = [], project }) => {
  if (action === "list") return list(caller);
  if (action === "reserve" && paths.length === 0) {
    return err({ code: "paths_missing", message: "reserve needs paths: file, dir/* or dir/**." });
  }
  const requestedRoot = await projectPathsOf(caller, paths, project);
  if (!requestedRoot.ok) return requestedRoot;
  return action === "reserve" ? reserve(caller, requestedRoot.value) : release(caller, requestedRoot.value);
});

async function projectPathsOf(
  { session, member }: Caller,
  given: readonly string[],
  requestedRoot: string | undefined,
): Promise<Result<ProjectPaths, ToolError>> {
  const root = requestedRoot ?? session.project;
  if (root === null) {
    return err({ code: "no_project", message: 'SHIM does not know the project of this chat: pass "project".' });
  }
  const paths = given.map((path) => toLeasePath(root, path));
  const invalidPath = paths.find((path) => !path.ok);
  if (invalidPath && !invalidPath.ok)
    return err({ code: "bad_path", message: `${invalidPath.error}. Nothing was changed.` });
  const named = await member.naming.project(root);
  if (!named.ok) return err({ code: "no_key", message: `${named.error}.` });
  return ok({
    project: named.value,
    paths: paths.flatMap((path) => (path.ok ? [resolveLinks(root, path.value)] : [])),
  });
}

async function reserve(caller: Caller, { project, paths }: ProjectPaths): Promise<FilesResult> {
  const reserved = await caller.member.files.reserve(project, paths);
  if (!reserved.ok) return toReserveRefusal(caller, reserved.error);
  const names = reserved.value.map(({ resource }) => formatResource(resource)).join(", ");
  return ok({
    message: `Reserved: ${names}. Release them when you are done.`,
    output: outputOf(caller, reserved.value),
  });
}

function toReserveRefusal(caller: Caller, { code, message, holder }: ReservationError): FilesResult {
  if (!holder) return err({ code, message });
  const path = formatResource(holder.resource);
  if (holder.holder === caller.member.sessionId) {
    return err({
      code,
      message: `This chat already holds ${path}, which overlaps. Release it first, then reserve both.`,
    });
  }
  const since = age(caller.chat.runtime.now() - holder.since);
  return err({
    code,
    message: `Nothing was reserved: ${path} is held by ${holder.holder} "${holder.holderName}" on ${holder.machine}, for ${since}. Ask it with shim_send (to "${holder.holder}"), or work elsewhere.`,
  });
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
