import { basename, dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { findSnapshot, type StoredSnapshotRow } from "../../../local-mcp/sessions/session-content.ts";
import { findById } from "../../../local-mcp/recovery/remote-source.ts";
import type { RemoteContext } from "../../../local-mcp/recovery/remote-context.ts";
import { localClock } from "../../../local-mcp/recovery/remote-session.ts";
import { restoreReceived } from "../../../snapshots/restore-received.ts";
import { fetchFiles } from "../../../local-mcp/sync/fetch-files.ts";
import * as remoteSessions from "../../../local-mcp/sync/remote-sessions.ts";
import type { RemoteSession } from "../../../local-mcp/sync/remote-sessions.ts";
import { ok } from "../../../shared/result.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { restoreFiles, type RestoreResult } from "../../../snapshots/restore-files.ts";
import { failed, wrongUsage } from "../../answer.ts";
import { printedCode } from "../../coordinator-link.ts";
import type { Cli, CommandResult, CommonOptions } from "../../cli.ts";
import { pluralize } from "../../screen-text.ts";
import { currentProject, withOtherMachines, type OtherMachines } from "./other-machines.ts";
import { findCheckpoint, shortCheckpoint } from "../../resolve-id.ts";

interface RestoreOptions extends CommonOptions {
  readonly files?: boolean;
  readonly into?: string;
  readonly branch?: string;
}

type RestoreTarget = string | { readonly project: string; readonly branch: string };

interface ExcludedFile {
  readonly path: string;
  readonly reason: string;
}

const timeoutMs = 600_000;

export function addRestore(program: Command, cli: Cli): void {
  const command = program
    .command("restore <checkpoint>")
    .description("restore files as they were, into a new folder or branch")
    .option("--files", "restore the files (required)")
    .option("--into <folder>", "into this new or empty folder (default: beside the project)")
    .option("--branch <name>", "as a new branch of the project");
  cli.define(command, (options: RestoreOptions, id: string) => restore(cli, options, id));
}

async function restore(cli: Cli, options: RestoreOptions, id: string): Promise<CommandResult> {
  if (!options.files)
    return wrongUsage("add --files: only a checkpoint's files can be restored. `shim resume` continues its session.");
  if (options.into !== undefined && options.branch !== undefined) return wrongUsage("give either --into or --branch.");
  const runtime = await cli.runtime();
  const found = findCheckpoint(runtime, id);
  if (!found.ok) {
    const isUnknown = found.error.code === "not_found";
    return (isUnknown ? await restoreElsewhere(cli, options, id) : null) ?? found;
  }
  const snapshot = runtime.store.read((sql) => findSnapshot(sql, found.value.id), null);
  if (snapshot?.state === "done") {
    const into = toTarget(cli, options, snapshot.project, shortCheckpoint(runtime, snapshot.checkpointId));
    return restoreSnapshot(cli, runtime, into, snapshot);
  }
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

/** @param short names the default folder, beside the project */
function toTarget({ io }: Cli, { branch, into }: RestoreOptions, project: string, short: string): RestoreTarget {
  if (branch !== undefined) return { project, branch };
  return into === undefined ? join(dirname(project), `${basename(project)}-${short}`) : resolve(io.cwd, into);
}

function missingSnapshotText(cli: Cli, snapshot: StoredSnapshotRow | null): string {
  if (!snapshot)
    return "no files were saved with this checkpoint: its project is not in git, or snapshots are switched off.";
  if (snapshot.state === "pending" || snapshot.state === "running") {
    return `the files of this checkpoint (${cli.ago(snapshot.at)}) are not saved yet. The chat's own process saves them within a minute of the checkpoint: try again after that. If that process has ended, they can no longer be saved.`;
  }
  return `the files of this checkpoint were not saved: ${snapshot.reason ?? snapshot.state}. Files are never saved later, so they cannot be restored.`;
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

function restoreElsewhere(cli: Cli, options: RestoreOptions, id: string): Promise<CommandResult | null> {
  return withOtherMachines(cli, async (others) => {
    const row = others && (findById(others.context, id) ?? findByCheckpoint(others.context, id));
    return row ? restoreReceivedFiles(cli, options, others, row) : null;
  });
}

function findByCheckpoint({ runtime, mirror }: RemoteContext, given: string): RemoteSession | null {
  const rows = runtime.store.read((sql) => remoteSessions.list(sql, mirror.workspace), []);
  const matches = rows.filter(({ device, content }) => {
    const checkpoint = content.files?.sent?.checkpoint ?? "";
    return device !== mirror.device && [given, `cp_${given}`].some((begin) => checkpoint.startsWith(begin));
  });
  return given.length >= 4 && matches.length === 1 ? (matches[0] ?? null) : null;
}

async function restoreReceivedFiles(
  cli: Cli,
  options: RestoreOptions,
  others: OtherMachines,
  row: RemoteSession,
): Promise<CommandResult> {
  const { context } = others;
  const localProject = await currentProject(cli, others);
  if (localProject === null || localProject.project !== row.project)
    return failed(
      "project_elsewhere",
      `this folder is not the project of ${row.session} (${row.content.project ?? "no project"} on ${row.machine}): run this in that project's folder on this machine.`,
    );
  cli.progress(`Fetching the files from the workspace ...`);
  const files = await fetchFiles(context.mirror, row);
  if (!files.ok) return failed(printedCode(files.error), `${files.error.message}. Nothing was restored.`);
  const { header, bundle } = files.value;
  const into = toTarget(cli, options, localProject.root, others.short(row.session));
  const { env, processes, paths, now } = context.runtime;
  const { commit, needs, checkpoint, leftOut } = header;
  const clone = { env, processes, snapshots: paths.snapshots, project: localProject.root };
  const restoreResult = await restoreReceived({ ...clone, commit, needs, bundle, into, now: now(), timeoutMs });
  if (!restoreResult.ok)
    return failed(restoreResult.error.code, `${restoreResult.error.message}. Nothing was restored.`);
  const from = `The files of ${row.session} on ${row.machine}, as they were ${cli.ago(localClock(row)(header.at))}.\n`;
  const data = { session: row.session, machine: row.machine };
  return toRestoreAnswer({ into, result: restoreResult.value, leftOut, checkpoint, from, data });
}

interface RestoredSnapshot {
  readonly into: RestoreTarget;
  readonly result: RestoreResult;
  readonly leftOut: readonly ExcludedFile[];
  readonly checkpoint: string;
  readonly from?: string;
  readonly data?: Readonly<Record<string, string>>;
}

function toRestoreAnswer(snapshot: RestoredSnapshot): CommandResult {
  const { into, result, leftOut, checkpoint, data = {} } = snapshot;
  const all = { checkpoint, ...data, into: typeof into === "string" ? into : null, ...result, leftOut };
  return ok({ data: all, text: render(snapshot) });
}

function render({ into, result, leftOut, from = "" }: RestoredSnapshot): string {
  const destination = typeof into === "string" ? into : `the branch ${into.branch} of ${into.project}`;
  const base =
    result.branch && result.branch.parent === null
      ? ["The commit it was based on is gone, so the branch has no history."]
      : [];
  return [
    `${from}Restored ${pluralize(result.written.length, "file")} into ${destination}.`,
    ...base,
    ...formatFiles("Not restored", result.notRestored),
    ...formatFiles("Never saved", leftOut),
    "",
  ].join("\n");
}

function formatFiles(title: string, files: readonly ExcludedFile[]): string[] {
  return files.length === 0 ? [] : [`${title}:`, ...files.map(({ path, reason }) => `  ${path}: ${reason}`)];
}
