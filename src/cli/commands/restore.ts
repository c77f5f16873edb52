import { basename, dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { snapshotOf, type StoredSnapshotRow } from "../../local-mcp/sessions/stored.ts";
import type { Runtime } from "../../local-mcp/runtime.ts";
import { restoreFiles } from "../../local-mcp/snapshots/restore-files.ts";
import { failed, wrongUsage } from "../answer.ts";
import type { Cli, Outcome } from "../cli.ts";
import { findCheckpoint, shortCheckpoint } from "../named.ts";
import { restoreElsewhere } from "./restore-elsewhere.ts";
import { restored, timeoutMs, type LeftOut, type RestoreOptions, type Target } from "./restored.ts";

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
async function restore(cli: Cli, options: RestoreOptions, id: string): Promise<Outcome> {
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
  const snapshot = runtime.store.read((sql) => snapshotOf(sql, found.value.id), null);
  if (snapshot?.state === "done") return bringBack(cli, runtime, targetOf(cli, runtime, options, snapshot), snapshot);
  return failed("no_snapshot", `${missing(cli, snapshot)}${otherOf(runtime, found.value.sessionId)}`);
}

async function bringBack(cli: Cli, runtime: Runtime, into: Target, snapshot: StoredSnapshotRow): Promise<Outcome> {
  cli.progress("Restoring the files ...");
  const { env, processes } = runtime;
  // A snapshot that is done has both.
  const { repository, commit } = snapshot as StoredSnapshotRow & { repository: string; commit: string };
  const done = await restoreFiles({ env, processes, repository, commit, into, now: runtime.now(), timeoutMs });
  if (!done.ok) return failed(done.error.code, done.error.message);
  const leftOut = leftOutOf(snapshot.detail);
  return restored({ into, done: done.value, leftOut, checkpoint: snapshot.checkpointId });
}

function targetOf(
  cli: Cli,
  runtime: Runtime,
  options: RestoreOptions,
  { project, checkpointId }: StoredSnapshotRow,
): Target {
  if (options.branch !== undefined) return { project, branch: options.branch };
  if (options.into !== undefined) return resolve(cli.io.cwd, options.into);
  return join(dirname(project), `${basename(project)}-${shortCheckpoint(runtime, checkpointId)}`);
}

/** [GS20] says who takes them, and that nobody does it late. */
function missing(cli: Cli, snapshot: StoredSnapshotRow | null): string {
  if (!snapshot)
    return "no files were saved with this checkpoint: its project is not in git, or snapshots are switched off.";
  if (snapshot.state === "pending" || snapshot.state === "running") {
    return `the files of this checkpoint (${cli.ago(snapshot.at)}) are not saved. The chat's own process takes them within a minute, never late: try again when that minute is over. When that process is gone, they cannot be taken any more.`;
  }
  return `the files of this checkpoint were not saved: ${snapshot.reason ?? snapshot.state}. Files are never taken late, so they cannot be had any more.`;
}

function otherOf(runtime: Runtime, sessionId: string): string {
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

/** As takeSnapshot wrote it into the row. */
function leftOutOf(detail: unknown): LeftOut[] {
  const list = typeof detail === "object" && detail !== null && "leftOut" in detail ? detail.leftOut : [];
  return Array.isArray(list) ? (list as LeftOut[]) : [];
}
