import { mayChangeFiles } from "../../clients/adapter/tools.ts";
import * as checkpoints from "../../machine/sessions/checkpoints/checkpoints.ts";
import { eventTrigger } from "../../machine/sessions/checkpoints/triggers.ts";
import { isTooSlowForTurns } from "../../snapshots/stored-snapshots.ts";
import { isLargeAndUnread } from "../../snapshots/unchanged.ts";
import { mayBeProject } from "../../snapshots/work-tree.ts";
import type { Concern, Recording } from "./concern.ts";

/** Why a checkpoint is due at once. */
export const checkpoint: Concern = {
  name: "checkpoint",
  on: ["PreToolUse", "PreCompact", "PostCompact", "Stop", "StopFailure", "SessionEnd", "PreModelSwitch"],
  isForLate: true,
  inTransaction(recording, draft) {
    const { event, input, isLate = false } = recording.incoming;
    draft.trigger = eventTrigger(event, input, recording.machine.config.checkpoint);
    const isCall = event === "PreToolUse" && !isLate;
    if (draft.trigger === null && isCall && isTurnDue(recording)) draft.trigger = "turn";
  },
};

/** Before the first tool of a turn that may change files. */
function isTurnDue({ sql, machine, incoming: { input }, session }: Recording): boolean {
  const { config, env, now, paths } = machine;
  const { project } = session;
  if (project === null || !config.snapshots.isEnabled || !mayChangeFiles(input.tool_name ?? "")) return false;
  if (checkpoints.hasTurnStart(sql, session.id)) return false;
  if (!mayBeProject(env, project) || isTooSlowForTurns(sql, project, now())) return false;
  return !isLargeAndUnread(paths.snapshots, project);
}
