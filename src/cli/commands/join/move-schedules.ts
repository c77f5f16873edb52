import { createHash } from "node:crypto";
import type { Schedule } from "../../../contract/schedules.ts";
import type { LocalCoordinator } from "../../../coordinator-client/local/local-coordinator.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";

export interface MovedSchedules {
  readonly moved: readonly string[];
  /** Schedules that the workspace refuses; they stay here, where they have no times. */
  readonly left: readonly { readonly name: string; readonly reason: string }[];
}

/** Without those that have ended. */
export function listSchedules(local: LocalCoordinator): Schedule[] {
  const listed = local.call("schedules.list", {});
  return listed.ok ? listed.value.schedules.filter(({ state }) => state !== "ended") : [];
}

/**
 * [SD18] Creates the schedules of this machine there, with what is left of their runs, and deletes
 * them here; idempotent.
 *
 * @param prefix of ids of requests; the same for a repeat
 */
export async function moveSchedules(
  local: LocalCoordinator,
  link: Pick<Workspace, "call">,
  prefix: string,
): Promise<MovedSchedules> {
  const moved: string[] = [];
  const left: { name: string; reason: string }[] = [];
  for (const schedule of listSchedules(local)) {
    const { name } = schedule;
    const created = await create(local, link, schedule, `${prefix}.schedule.${digestOf(name)}`);
    if (created.ok) {
      local.call("schedules.delete", { name });
      moved.push(name);
    } else left.push({ name, reason: created.error });
  }
  return { moved, left };
}

/** A name may be as long as an id of a request. */
function digestOf(name: string): string {
  return createHash("sha256").update(name).digest("hex").slice(0, 32);
}

async function create(
  local: LocalCoordinator,
  link: Pick<Workspace, "call">,
  { name, cron, timeZone, overlap, missed, endAt, maxRuns, runs, state }: Schedule,
  requestId: string,
): Promise<Result<null, string>> {
  const found = local.call("schedules.get", { name });
  if (!found.ok) return err(found.error.message);
  const bounds = omitUndefined({
    endAt: endAt ?? undefined,
    maxRuns: maxRuns === null ? undefined : Math.max(1, maxRuns - runs),
  });
  const { task } = found.value;
  const created = await link.call("schedules.create", {
    name,
    cron,
    timeZone,
    task,
    overlap,
    missed,
    requestId,
    ...bounds,
  });
  if (!created.ok) return err(created.error.message);
  const paused = state === "paused" ? await link.call("schedules.pause", { name }) : created;
  return paused.ok ? ok(null) : err(paused.error.message);
}
