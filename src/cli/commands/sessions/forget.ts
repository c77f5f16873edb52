import { pluralize, oneLine } from "../../../shared/format.ts";
import { isAbsolute, resolve } from "node:path";
import type { Command } from "commander";
import { ok } from "../../../shared/result.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import * as audit from "../../../local-mcp/audit/machine-audit.ts";
import * as sessions from "../../../local-mcp/sessions/sessions.ts";
import { dropMarked } from "../../../snapshots/stored-snapshots.ts";
import { forget, isPurgePending, purge, type ForgetTarget } from "../../../local-mcp/retention/forget.ts";
import { failed, fromHost, notFound, wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { findSession, projectOfFolder } from "../../../local-mcp/host/resolve-id.ts";
import { isAlive as isAliveHere } from "../../../local-mcp/recovery/session-state.ts";

interface ForgetOptions extends CommonOptions {
  readonly yes?: boolean;
}

export function addForget(program: Command, cli: Cli): void {
  const command = program
    .command("forget <session-or-project>")
    .description("delete a session, or a project, with every copy")
    .option("-y, --yes", "do not ask");
  cli.define(command, (options: ForgetOptions, given: string) => run(cli, options, given));
}

interface ForgetChoice {
  readonly what: ForgetTarget;
  readonly label: string;
  readonly isAlive: boolean;
}

/** [CL16] Deletes the rows, then snapshot files, then traces in index, spool, log and backups. */
async function run(cli: Cli, options: ForgetOptions, given: string): Promise<CommandResult> {
  const runtime = await cli.runtime();
  const target = findTarget(cli, runtime, given);
  if (!target.ok) {
    const isLeft = target.error.code === "not_found" && runtime.store.read(isPurgePending, false);
    return isLeft ? finish(cli, runtime, { sessions: [], checkpoints: [], rows: 0 }) : target;
  }
  const { what, label, isAlive } = target.value;
  if (isAlive)
    cli.progress(
      "It is still running, so it is stored again from its next event on. Run `shim pause` first, or end it.",
    );
  const answer = await cli.confirm(
    `Delete ${label}, with all snapshots and backups? This cannot be undone.`,
    options.yes === true,
  );
  if (answer === "unasked") return wrongUsage(`this deletes ${label} for good. Add --yes.`);
  if (answer === "no") return ok({ data: { isForgotten: false }, text: "Nothing was deleted.\n" });
  return forgetAudited(cli, runtime, what);
}

/** [WP20] */
async function forgetAudited(cli: Cli, runtime: Runtime, what: ForgetTarget): Promise<CommandResult> {
  cli.progress("Deleting ...");
  const forgotten = runtime.store.write((sql) => forget(sql, what));
  const finished = await finish(cli, runtime, forgotten);
  const session = "session" in what ? what.session : null;
  const kind = session === null ? "project.forgotten" : "session.forgotten";
  const result = finished.ok ? "done" : finished.error.code;
  audit.record(runtime, { kind, session, by: "command line", result, rows: forgotten.rows });
  return finished;
}

/** A path separator or a dot marks a folder; no session id has either. */
function findTarget(cli: Cli, runtime: Runtime, given: string): CliResult<ForgetChoice> {
  const isFolder = /[\\/]/.test(given) || given === "." || given === ".." || given.startsWith("~");
  if (isFolder) return findProject(cli, runtime, given);
  const found = fromHost(findSession(runtime, given));
  if (!found.ok) return found;
  const session = found.value;
  const isAlive = isAliveHere(runtime, session);
  const label = `session ${session.id} (${oneLine(sessions.displayTitle(session) ?? "untitled", 60)})`;
  return ok({ what: { session: session.id }, label, isAlive });
}

function findProject(cli: Cli, runtime: Runtime, given: string): CliResult<ForgetChoice> {
  const path = isAbsolute(given) ? given : resolve(cli.io.cwd, given);
  const project = projectOfFolder(runtime, resolve(cli.io.cwd, path));
  const { count, isAlive } = runtime.store.read(
    (sql) => {
      const all = sessions.list(sql, { project, limit: 1_000_000 });
      return { count: all.length, isAlive: all.some((one) => isAliveHere(runtime, one)) };
    },
    { count: 0, isAlive: false },
  );
  if (count === 0)
    return notFound(`no session of the project ${project} is stored. \`shim sessions\` lists those that are.`);
  return ok({ what: { project }, label: `${pluralize(count, "session")} of ${project}`, isAlive });
}

interface DeletedCounts {
  readonly sessions: readonly string[];
  readonly checkpoints: readonly string[];
  readonly rows: number;
}

async function finish(
  cli: Cli,
  runtime: Runtime,
  { sessions, checkpoints, rows }: DeletedCounts,
): Promise<CommandResult> {
  const { dropped, failures } = await dropMarked(runtime, { maxGarbage: 0, isAll: true });
  // Without the purge, doctor and a repeat of the command still know that files are left.
  if (failures.length > 0) {
    const reasons = failures.map(({ repository, message }) => `${repository}: ${message}`).join("; ");
    return failed("files_left", `not all saved files could be deleted: ${reasons}. Repeat the command.`);
  }
  cli.progress("Removing traces from the index, the log and the backups ...");
  await purge(runtime.store, runtime.paths);
  const counts = { sessions: sessions.length, checkpoints: checkpoints.length, snapshots: dropped, rows };
  const parts = [
    pluralize(counts.sessions, "session"),
    pluralize(counts.checkpoints, "checkpoint"),
    pluralize(dropped, "snapshot"),
  ];
  const text = `Forgotten: ${parts.join(", ")}, ${pluralize(rows, "row")} in all. Older backups are deleted too.\n`;
  return ok({ data: { isForgotten: true, ...counts }, text });
}
