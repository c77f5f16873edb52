import type { Command } from "commander";
import { findSnapshot, newestSnapshot, type StoredSnapshotRow } from "../../../local-mcp/sessions/session-content.ts";
import { projectRoot } from "../../../local-mcp/sessions/git-head.ts";
import { ok } from "../../../shared/result.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { restoreFiles } from "../../../snapshots/restore-files.ts";
import { failed, fromHost, notFound, wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import { findSessionOrCheckpoint, shortCheckpoint } from "../../../local-mcp/host/resolve-id.ts";
import { findElsewhere } from "./restore-elsewhere.ts";
import { restoreFrom, timeoutMs, type RestoreOptions, type RestoreSource, type ExcludedFile } from "./restore-from.ts";

export function addRestore(program: Command, cli: Cli): void {
  const command = program
    .command("restore [checkpoint-or-session] [files...]")
    .description("put files back as they were: shows what changes, asks, and keeps a copy of what it replaces")
    .option("--diff", "only show what would change")
    .option("-y, --yes", "do not ask")
    .option("--into <folder>", "into this new or empty folder instead")
    .option("--branch <name>", "as a new branch of the project instead");
  cli.define(command, (options: RestoreOptions, ...given: unknown[]) => {
    // `[files...]` comes as one array.
    const words = given.flat().filter((word) => typeof word === "string");
    return restore(cli, options, words);
  });
}

/** An id has neither a dot nor a separator: `./name` is a file. */
function isPath(word: string): boolean {
  return /[./\\]/.test(word);
}

async function restore(cli: Cli, options: RestoreOptions, words: readonly string[]): Promise<CommandResult> {
  if (options.into !== undefined && options.branch !== undefined) return wrongUsage("give either --into or --branch.");
  const [first] = words;
  const id = first === undefined || isPath(first) ? null : first;
  const files = id === null ? words : words.slice(1);
  const elsewhere = (): Promise<CommandResult | null> =>
    id === null ? Promise.resolve(null) : findElsewhere(cli, id, (source) => restoreFrom(cli, options, files, source));
  const runtime = await cli.runtime();
  const found = findRow(cli, runtime, id);
  if (!found.ok) return (found.error.code === "not_found" ? await elsewhere() : null) ?? found;
  return restoreFrom(cli, options, files, sourceOf(runtime, found.value));
}

type SavedRow = StoredSnapshotRow & { readonly repository: string; readonly commit: string };

function isSaved(row: StoredSnapshotRow | null): row is SavedRow {
  return row?.state === "done";
}

/** @param id of a checkpoint or session; null: the newest saved files of this project */
function findRow(cli: Cli, runtime: Runtime, id: string | null): CliResult<SavedRow> {
  if (id === null) {
    const root = projectRoot(cli.io.cwd);
    const row = root === null ? null : newestOf(runtime, { project: root });
    return isSaved(row) ? ok(row) : notFound("no files of this project are saved. `shim sessions` lists the sessions.");
  }
  const found = fromHost(findSessionOrCheckpoint(runtime, id));
  if (!found.ok) return found;
  const { session, checkpoint } = found.value;
  if (session) {
    const row = newestOf(runtime, { session: session.id });
    return isSaved(row) ? ok(row) : failed("no_snapshot", "no files were saved with this session.");
  }
  const row = runtime.store.read((sql) => findSnapshot(sql, checkpoint.id), null);
  if (isSaved(row)) return ok(row);
  return failed("no_snapshot", `${missingText(cli, row)}${otherText(runtime, checkpoint.sessionId)}`);
}

function newestOf(runtime: Runtime, where: { readonly session: string } | { readonly project: string }) {
  return runtime.store.read((sql) => newestSnapshot(sql, where), null);
}

function sourceOf(runtime: Runtime, { repository, commit, ...row }: SavedRow): RestoreSource {
  const { env, processes } = runtime;
  return {
    project: row.project,
    short: shortCheckpoint(runtime, row.checkpointId),
    checkpoint: row.checkpointId,
    leftOut: parseExcluded(row.detail),
    write: (into) => restoreFiles({ env, processes, repository, commit, into, now: runtime.now(), timeoutMs }),
  };
}

function missingText(cli: Cli, snapshot: StoredSnapshotRow | null): string {
  if (!snapshot)
    return "no files were saved with this checkpoint: its project is not in git, or snapshots are switched off.";
  if (snapshot.state === "pending" || snapshot.state === "running") {
    return `the files of this checkpoint (${cli.ago(snapshot.at)}) are not saved yet. The chat's own process saves them within a minute of the checkpoint: try again after that. If that process has ended, they can no longer be saved.`;
  }
  return `the files of this checkpoint were not saved: ${snapshot.reason ?? snapshot.state}. Files are never saved later, so they cannot be restored.`;
}

function otherText(runtime: Runtime, session: string): string {
  const other = newestOf(runtime, { session });
  return other
    ? ` The newest files of the session: \`shim restore ${shortCheckpoint(runtime, other.checkpointId)}\`.`
    : "";
}

function parseExcluded(detail: unknown): ExcludedFile[] {
  const list = typeof detail === "object" && detail !== null && "leftOut" in detail ? detail.leftOut : [];
  return Array.isArray(list) ? (list as ExcludedFile[]) : [];
}
