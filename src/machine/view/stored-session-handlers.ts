import { pickFields } from "../../shared/json-fields.ts";
import { existsSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, isAbsolute } from "node:path";
import type { MachineOutput, CheckedMachineInput } from "../../contract/machine/operations.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { oneLine } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import { readContent } from "../sessions/session-content.ts";
import { readState } from "../recovery/session-state.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Handlers } from "../recovery/handler-context.ts";
import { findCheckpoint, findSession, readSession, projectGiven, projectOfFolder } from "../recovery/resolve-id.ts";
import { describeEntry } from "../recovery/session-view.ts";
import { readFileLines, writeLines } from "../../platform/data-files.ts";
import { listBackups } from "../../store/backup.ts";
import { backUp } from "../../store/copy-store.ts";
import { exportLines, importLines } from "../../store/transfer.ts";
import { dropMarked } from "../../snapshots/stored-snapshots.ts";
import * as audit from "../sessions/machine-audit.ts";
import { forget, isPurgePending, purge, type ForgetTarget } from "./keeping/forget.ts";
import { checkGiven } from "../team/handover/watch.ts";

export const storedSessionHandlers = {
  "sessions.stored": (context, { session: id }) =>
    readSession(context, id, (sql, runtime, session) => {
      const { journal, ...others } = readContent(sql, session.id);
      return {
        session: { ...session, ...pickFields(readState(sql, runtime, session), ["state", "detail"]) },
        journal: journal.map(({ at, seq, entry }) => {
          return { at, seq, entry, text: describeEntry(entry, oneLine) };
        }),
        ...(others as unknown as Omit<MachineOutput<"sessions.stored">, "session" | "journal" | "copies">),
        copies: { backups: listBackups(runtime.paths.backups).length },
      };
    }),
  "sessions.forget": async ({ runtime, by = "command line" }, input) => forgetTarget(await runtime(), input, by),
  async "sessions.export"({ runtime: load }, { file: given, session: id, project: folder, since }) {
    if (given !== undefined && existsSync(given))
      return fail("file_exists", `${given} already exists. Name a new file.`);
    const runtime = await load();
    const found = id === undefined ? null : findSession(runtime, id);
    if (found && !found.ok) return found;
    const session = found?.value.id;
    const file = given ?? join(tmpdir(), `shim-export-${Buffer.from(runtime.random(8)).toString("hex")}`);
    const filter = omitUndefined({ session, project: projectGiven(runtime, folder), since });
    // One transaction, so the lines agree.
    const lines = runtime.store.read<number | null>(
      (sql) => writeLines(file, exportLines(sql, runtime.now(), filter)),
      null,
    );
    return lines === null
      ? fail("not_found", "nothing is stored yet, so there is nothing to export.")
      : ok({ file, isTemporary: given === undefined, lines, session: session ?? null });
  },
  async "sessions.import"({ runtime }, { file }) {
    const found = statSync(file, { throwIfNoEntry: false });
    if (!found) return fail("not_found", `there is no file ${file}.`);
    if (found.isDirectory()) {
      const message = `${file} is a folder. Name a file that \`shim sessions export\` wrote.`;
      return fail("not_a_file", message);
    }
    const { store } = await runtime();
    const { added, skipped, refused } = importLines(store, () => readFileLines(file));
    const reasons = refused.map(({ line, reason }) => `\n  line ${line}: ${reason}`).join("");
    if (refused.length > 0) return fail("import_refused", `nothing was imported:${reasons}`);
    return ok({ file, added, skipped });
  },
} satisfies Partial<Handlers>;

type Input = CheckedMachineInput<"sessions.forget">;
type Output = MachineOutput<"sessions.forget">;

/** An unknown target changes nothing. */
export async function forgetTarget(
  runtime: Runtime,
  input: Input,
  by: audit.MachineAction["by"],
): Promise<Result<Output>> {
  const { store, config, now } = runtime;
  const { keepsCopies } = input;
  const target = targetOf(runtime, input);
  if (!target.ok) {
    const isLeft = target.error.code === "not_found" && !keepsCopies && store.read(isPurgePending, false);
    return isLeft ? finish(runtime, nothing, false) : target;
  }
  if (by === "live page" && !("session" in target.value))
    return fail("bad_input", "the live page forgets one session at a time; name a session.");
  const backup = keepsCopies ? await backUp(store, now(), config.retention.backups) : null;
  const action = { ...toAudited(target.value), by };
  const [{ sessions: all, checkpoints, rows }, begun] = store.write((sql) => {
    const found = forget(sql, target.value, keepsCopies);
    return [found, audit.append(sql, now(), { ...action, result: "begun", rows: found.rows })] as const;
  });
  const forgotten = { sessions: all.length, checkpoints: checkpoints.length, rows, backup };
  const finished = await finish(runtime, forgotten, keepsCopies);
  store.write((sql) => audit.settle(sql, begun, { result: finished.ok ? "done" : finished.error.code, rows }));
  return finished;
}

/** Ids of checkpoints are similar, so each is named as a whole. */
function targetOf(runtime: Runtime, { target: given, isCheckpoint }: Input): Result<ForgetTarget> {
  if (isCheckpoint) {
    const found = findCheckpoint(runtime, given);
    if (found.ok && found.value.id === given) return ok({ checkpoint: given });
    return fail("not_found", `there is no checkpoint "${given}".`);
  }
  if (!isAbsolute(given)) {
    const found = findSession(runtime, given);
    return found.ok ? ok({ session: found.value.id }) : found;
  }
  const project = projectOfFolder(runtime, given);
  const isKnown = runtime.store.read((sql) => sessions.list(sql, { project, limit: 1 }).length > 0, false);
  if (isKnown) return ok({ project });
  const message = `no session of the project ${project} is stored. \`shim sessions\` lists those that are.`;
  return fail("not_found", message);
}

function toAudited(target: ForgetTarget): Pick<audit.MachineAction, "kind" | "session"> {
  if ("session" in target) return { kind: "session.forgotten", session: target.session };
  return { kind: "project" in target ? "project.forgotten" : "checkpoint.forgotten", session: null };
}

type Forgotten = Omit<Output, "snapshots">;

const nothing: Forgotten = { sessions: 0, checkpoints: 0, rows: 0, backup: null };

async function finish(runtime: Runtime, forgotten: Forgotten, keepsCopies: boolean): Promise<Result<Output>> {
  const { dropped, failures } = await dropMarked(runtime, { maxGarbage: 0, isAll: !keepsCopies });
  // Without the purge, doctor and a repeat of the command still know that files are left.
  if (failures.length > 0) {
    const reasons = failures.map(({ repository, message }) => `${repository}: ${message}`).join("; ");
    const message = `not all saved files could be deleted: ${reasons}. Repeat the command.`;
    return fail("files_left", message);
  }
  if (!keepsCopies) await purge(runtime);
  // Where the coordinator does not answer, the host asks it again.
  await checkGiven(runtime);
  return ok({ ...forgotten, snapshots: dropped });
}
