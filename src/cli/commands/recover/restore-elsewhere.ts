import { findById } from "../../../local-mcp/recovery/remote-source.ts";
import type { RemoteContext } from "../../../local-mcp/recovery/remote-context.ts";
import { localClock } from "../../../local-mcp/recovery/remote-session.ts";
import { fetchFiles } from "../../../local-mcp/sync/fetch-files.ts";
import * as remoteSessions from "../../../local-mcp/sync/remote-sessions.ts";
import type { RemoteSession } from "../../../local-mcp/sync/remote-sessions.ts";
import { ok } from "../../../shared/result.ts";
import { restoreReceived } from "../../../snapshots/restore-received.ts";
import { failed, type CliResult, printedCode } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import { currentProject, withOtherMachines, type OtherMachines } from "./other-machines.ts";
import { timeoutMs, type RestoreSource } from "./restore-from.ts";

/** [CL131] @returns null: no session of another machine, nor its checkpoint, has this id */
export function findElsewhere(
  cli: Cli,
  id: string,
  restore: (source: RestoreSource) => Promise<CommandResult>,
): Promise<CommandResult | null> {
  return withOtherMachines(cli, async (others) => {
    const row = others && (findById(others.context, id) ?? findByCheckpoint(others.context, id));
    if (!row) return null;
    const source = await sourceOf(cli, others, row);
    return source.ok ? restore(source.value) : source;
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

async function sourceOf(cli: Cli, others: OtherMachines, row: RemoteSession): Promise<CliResult<RestoreSource>> {
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
  const { env, processes, paths, now } = context.runtime;
  const { commit, needs, checkpoint, leftOut } = header;
  const clone = { env, processes, snapshots: paths.snapshots, project: localProject.root };
  return ok({
    project: localProject.root,
    short: others.short(row.session),
    checkpoint,
    leftOut,
    from: `The files of ${row.session} on ${row.machine}, as they were ${cli.ago(localClock(row)(header.at))}.\n`,
    data: { session: row.session, machine: row.machine },
    write: (into) => restoreReceived({ ...clone, commit, needs, bundle, into, now: now(), timeoutMs }),
  });
}
