import { basename, dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { findSnapshot, type StoredSnapshotRow } from "../../../local-mcp/sessions/session-content.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { restoreFiles } from "../../../snapshots/restore-files.ts";
import { failed, wrongUsage } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import { findCheckpoint, shortCheckpoint } from "../../resolve-id.ts";
import { restoreElsewhere } from "./restore-elsewhere.ts";
import {
  toRestoreAnswer,
  timeoutMs,
  type ExcludedFile,
  type RestoreOptions,
  type RestoreTarget,
} from "./restore-answer.ts";

export function addRestore(program: Command, cli: Cli): void {
  const command = program
    .command("restore <checkpoint>")
    .description("files as they were, into a new folder or branch")
    .option("--files", "the files (must be given)")
    .option("--into <folder>", "into this new or empty folder (default: beside the project)")
    .option("--branch <name>", "as a new branch of the project");
  cli.define(command, (options: RestoreOptions, id: string) => restore(cli, options, id));
}

/** [CL13] */
async function restore(cli: Cli, options: RestoreOptions, id: string): Promise<CommandResult> {
  if (!options.files)
    return wrongUsage(
      "add --files: a checkpoint's files are what can be restored. `shim resume` goes on with its session.",
    );
  if (options.into !== undefined && options.branch !== undefined) return wrongUsage("give either --into or --branch.");
  const runtime = await cli.runtime();
  const found = findCheckpoint(runtime, id);
  if (!found.ok) {
    const isUnknown = found.error.code === "not_found";
    return (isUnknown ? await restoreElsewhere(cli, options, id) : null) ?? found;
  }
  const snapshot = runtime.store.read((sql) => findSnapshot(sql, found.value.id), null);
  if (snapshot?.state === "done")
    return restoreSnapshot(cli, runtime, toTarget(cli, runtime, options, snapshot), snapshot);
  return failed(
    "no_snapshot",
    `${missingSnapshotText(cli, snapshot)}${findOtherCheckpoint(runtime, found.value.sessionId)}`,
  );
}

async function restoreSnapshot(
  cli: Cli,
  runtime: Runtime,
  into: RestoreTarget,
  snapshot: StoredSnapshotRow,
): Promise<CommandResult> {
  cli.progress("Restoring the files ...");
  const { env, processes } = runtime;
  const { repository, commit } = snapshot as StoredSnapshotRow & { repository: string; commit: string };
  const restoreResult = await restoreFiles({ env, processes, repository, commit, into, now: runtime.now(), timeoutMs });
  if (!restoreResult.ok) return failed(restoreResult.error.code, restoreResult.error.message);
  const leftOut = parseExcluded(snapshot.detail);
  return toRestoreAnswer({ into, result: restoreResult.value, leftOut, checkpoint: snapshot.checkpointId });
}

function toTarget(
  cli: Cli,
  runtime: Runtime,
  options: RestoreOptions,
  { project, checkpointId }: StoredSnapshotRow,
): RestoreTarget {
  if (options.branch !== undefined) return { project, branch: options.branch };
  if (options.into !== undefined) return resolve(cli.io.cwd, options.into);
  return join(dirname(project), `${basename(project)}-${shortCheckpoint(runtime, checkpointId)}`);
}

function missingSnapshotText(cli: Cli, snapshot: StoredSnapshotRow | null): string {
  if (!snapshot)
    return "no files were saved with this checkpoint: its project is not in git, or snapshots are switched off.";
  if (snapshot.state === "pending" || snapshot.state === "running") {
    return `the files of this checkpoint (${cli.ago(snapshot.at)}) are not saved. The chat's own process takes them within a minute, never late: try again when that minute is over. When that process is gone, they cannot be taken any more.`;
  }
  return `the files of this checkpoint were not saved: ${snapshot.reason ?? snapshot.state}. Files are never taken late, so they cannot be had any more.`;
}

function findOtherCheckpoint(runtime: Runtime, sessionId: string): string {
  const [other] = runtime.store.read(
    (sql) =>
      sql.all<{ id: string }>(
        "SELECT checkpoint_id AS id FROM snapshots WHERE session_id = ? AND state = 'done' ORDER BY at DESC LIMIT 1",
        sessionId,
      ),
    [],
  );
  return other
    ? ` The newest files of the session: \`shim restore ${shortCheckpoint(runtime, other.id)} --files\`.`
    : "";
}

function parseExcluded(detail: unknown): ExcludedFile[] {
  const list = typeof detail === "object" && detail !== null && "leftOut" in detail ? detail.leftOut : [];
  return Array.isArray(list) ? (list as ExcludedFile[]) : [];
}
