import { basename, dirname, join, resolve } from "node:path";
import * as desk from "../../local-mcp/recovery/remote-desk.ts";
import type { Reach } from "../../local-mcp/recovery/remote-find.ts";
import { clockOf } from "../../local-mcp/recovery/remote-session.ts";
import { restoreReceived } from "../../local-mcp/snapshots/restore-received.ts";
import { fetchFiles } from "../../local-mcp/sync/fetch-files.ts";
import * as remoteSessions from "../../local-mcp/sync/remote-sessions.ts";
import type { RemoteSession } from "../../local-mcp/sync/remote-sessions.ts";
import { failed } from "../answer.ts";
import type { Cli, Outcome } from "../cli.ts";
import { projectHere, withOtherMachines, type OtherMachines } from "../other-machines.ts";
import { restored, timeoutMs, type RestoreOptions, type Target } from "./restored.ts";

/**
 * [CL131] `shim restore` of the uncommitted files of another machine's session.
 *
 * @param id of the session or of the checkpoint that the files are of, or the beginning of one
 * @returns null: there is none
 */
export function restoreElsewhere(cli: Cli, options: RestoreOptions, id: string): Promise<Outcome | null> {
  return withOtherMachines(cli, async (others) => {
    const row = others && (desk.named(others.reach, id) ?? ofCheckpoint(others.reach, id));
    return row ? restore(cli, options, others, row) : null;
  });
}

function ofCheckpoint({ runtime, mirror }: Reach, given: string): RemoteSession | null {
  const rows = runtime.store.read((sql) => remoteSessions.list(sql, mirror.workspace), []);
  const found = rows.filter(({ device, content }) => {
    const checkpoint = content.files?.sent?.checkpoint ?? "";
    return device !== mirror.device && [given, `cp_${given}`].some((begin) => checkpoint.startsWith(begin));
  });
  return given.length >= 4 && found.length === 1 ? (found[0] ?? null) : null;
}

async function restore(cli: Cli, options: RestoreOptions, others: OtherMachines, row: RemoteSession): Promise<Outcome> {
  const { reach } = others;
  const here = await projectHere(cli, others);
  if (here === null || here.project !== row.project)
    return failed(
      "project_elsewhere",
      `this folder is not the project of ${row.session} (${row.content.project ?? "no project"} on ${row.machine}): go to that project's folder on this machine, then again.`,
    );
  cli.progress(`Fetching the files from the workspace ...`);
  const files = await fetchFiles(reach.mirror, row);
  if (!files.ok) return failed(files.error.code, `${files.error.message}. Nothing was restored.`);
  const { header, bundle } = files.value;
  const into = targetOf(cli, options, here.root, others.short(row.session));
  const { env, processes, paths } = reach.runtime;
  const clone = { env, processes, snapshots: paths.snapshots, project: here.root };
  const { commit, needs, checkpoint, leftOut } = header;
  const done = await restoreReceived({ ...clone, commit, needs, bundle, into, now: reach.runtime.now(), timeoutMs });
  if (!done.ok) return failed(done.error.code, `${done.error.message}. Nothing was restored.`);
  const from = `The files of ${row.session} on ${row.machine}, as they were ${cli.ago(clockOf(row)(header.at))}.\n`;
  return restored({
    into,
    done: done.value,
    leftOut,
    checkpoint,
    from,
    data: { session: row.session, machine: row.machine },
  });
}

function targetOf({ io }: Cli, { branch, into }: RestoreOptions, root: string, short: string): Target {
  if (branch !== undefined) return { project: root, branch };
  return into === undefined ? join(dirname(root), `${basename(root)}-${short}`) : resolve(io.cwd, into);
}
