import { basename, dirname, join, resolve } from "node:path";
import * as remoteQueries from "../../../local-mcp/recovery/remote-queries.ts";
import type { RemoteContext } from "../../../local-mcp/recovery/remote-candidates.ts";
import { localClock } from "../../../local-mcp/recovery/remote-session.ts";
import { restoreReceived } from "../../../snapshots/restore-received.ts";
import { fetchFiles } from "../../../local-mcp/sync/fetch-files.ts";
import * as remoteSessions from "../../../local-mcp/sync/remote-sessions.ts";
import type { RemoteSession } from "../../../local-mcp/sync/remote-sessions.ts";
import { failed } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import { printedCode } from "../../coordinator-link.ts";
import { currentProject, withOtherMachines, type OtherMachines } from "./other-machines.ts";
import { toRestoreAnswer, timeoutMs, type RestoreOptions, type RestoreTarget } from "./restore-answer.ts";

/** [CL131] */
export function restoreElsewhere(cli: Cli, options: RestoreOptions, id: string): Promise<CommandResult | null> {
  return withOtherMachines(cli, async (others) => {
    const row = others && (remoteQueries.findById(others.context, id) ?? findByCheckpoint(others.context, id));
    return row ? restore(cli, options, others, row) : null;
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

async function restore(
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
      `this folder is not the project of ${row.session} (${row.content.project ?? "no project"} on ${row.machine}): go to that project's folder on this machine, then again.`,
    );
  cli.progress(`Fetching the files from the workspace ...`);
  const files = await fetchFiles(context.mirror, row);
  if (!files.ok) return failed(printedCode(files.error), `${files.error.message}. Nothing was restored.`);
  const { header, bundle } = files.value;
  const into = toTarget(cli, options, localProject.root, others.short(row.session));
  const { env, processes, paths } = context.runtime;
  const clone = { env, processes, snapshots: paths.snapshots, project: localProject.root };
  const { commit, needs, checkpoint, leftOut } = header;
  const restoreResult = await restoreReceived({
    ...clone,
    commit,
    needs,
    bundle,
    into,
    now: context.runtime.now(),
    timeoutMs,
  });
  if (!restoreResult.ok)
    return failed(restoreResult.error.code, `${restoreResult.error.message}. Nothing was restored.`);
  const from = `The files of ${row.session} on ${row.machine}, as they were ${cli.ago(localClock(row)(header.at))}.\n`;
  return toRestoreAnswer({
    into,
    result: restoreResult.value,
    leftOut,
    checkpoint,
    from,
    data: { session: row.session, machine: row.machine },
  });
}

function toTarget({ io }: Cli, { branch, into }: RestoreOptions, root: string, short: string): RestoreTarget {
  if (branch !== undefined) return { project: root, branch };
  return into === undefined ? join(dirname(root), `${basename(root)}-${short}`) : resolve(io.cwd, into);
}
