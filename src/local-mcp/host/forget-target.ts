import { isAbsolute } from "node:path";
import type { CheckedMachineInput, MachineOutput } from "../../contract/machine/operations.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { err, ok } from "../../shared/result.ts";
import { dropMarked } from "../../snapshots/stored-snapshots.ts";
import { backUp } from "../../store/backup.ts";
import * as audit from "../audit/machine-audit.ts";
import { forget, isPurgePending, purge, type ForgetTarget } from "../retention/forget.ts";
import * as sessions from "../sessions/sessions.ts";
import type { HostResult } from "./host.ts";
import { findCheckpoint, findSession, projectOfFolder } from "./resolve-id.ts";

type Input = CheckedMachineInput<"sessions.forget">;
type Output = MachineOutput<"sessions.forget">;

/** [CL16] [MC7] [WP20] An unknown target changes nothing. */
export async function forgetTarget(
  runtime: Runtime,
  input: Input,
  by: audit.MachineAction["by"],
): Promise<HostResult<Output>> {
  const { store, config, now } = runtime;
  const { keepsCopies } = input;
  const target = targetOf(runtime, input);
  if (!target.ok) {
    const isLeft = target.error.code === "not_found" && !keepsCopies && store.read(isPurgePending, false);
    return isLeft ? finish(runtime, nothing, false) : target;
  }
  if (by === "live page" && !("session" in target.value))
    return err({ code: "bad_input", message: "the live page forgets one session at a time; name a session." });
  const backup = keepsCopies ? await backUp(store, now(), config.retention.backups) : null;
  const { sessions: all, checkpoints, rows } = store.write((sql) => forget(sql, target.value, keepsCopies));
  const forgotten = { sessions: all.length, checkpoints: checkpoints.length, rows, backup };
  const finished = await finish(runtime, forgotten, keepsCopies);
  const { kind, session } = toAudited(target.value);
  audit.record(runtime, { kind, session, by, result: finished.ok ? "done" : finished.error.code, rows });
  return finished;
}

/** Ids of checkpoints are similar, so each is named as a whole. */
function targetOf(runtime: Runtime, { target: given, isCheckpoint }: Input): HostResult<ForgetTarget> {
  if (isCheckpoint) {
    const found = findCheckpoint(runtime, given);
    if (found.ok && found.value.id === given) return ok({ checkpoint: given });
    return err({ code: "not_found", message: `there is no checkpoint "${given}".` });
  }
  if (!isAbsolute(given)) {
    const found = findSession(runtime, given);
    return found.ok ? ok({ session: found.value.id }) : found;
  }
  const project = projectOfFolder(runtime, given);
  const isKnown = runtime.store.read((sql) => sessions.list(sql, { project, limit: 1 }).length > 0, false);
  if (isKnown) return ok({ project });
  const message = `no session of the project ${project} is stored. \`shim sessions\` lists those that are.`;
  return err({ code: "not_found", message });
}

function toAudited(target: ForgetTarget): Pick<audit.MachineAction, "kind" | "session"> {
  if ("session" in target) return { kind: "session.forgotten", session: target.session };
  return { kind: "project" in target ? "project.forgotten" : "checkpoint.forgotten", session: null };
}

type Forgotten = Omit<Output, "snapshots">;

const nothing: Forgotten = { sessions: 0, checkpoints: 0, rows: 0, backup: null };

async function finish(runtime: Runtime, forgotten: Forgotten, keepsCopies: boolean): Promise<HostResult<Output>> {
  const { dropped, failures } = await dropMarked(runtime, { maxGarbage: 0, isAll: !keepsCopies });
  // Without the purge, doctor and a repeat of the command still know that files are left.
  if (failures.length > 0) {
    const reasons = failures.map(({ repository, message }) => `${repository}: ${message}`).join("; ");
    const message = `not all saved files could be deleted: ${reasons}. Repeat the command.`;
    return err({ code: "files_left", message });
  }
  if (!keepsCopies) await purge(runtime);
  return ok({ ...forgotten, snapshots: dropped });
}
