import { pluralize } from "../../../shared/format.ts";
import { existsSync } from "node:fs";
import { join } from "node:path";
import * as backups from "../../../installer/backups.ts";
import { readText } from "../../../installer/client-files.ts";
import { codeCache, isOriginalAgain, isShimsAlone, removeHome, removeLeftovers } from "../../../installer/leftovers.ts";
import type { Plan } from "../../../installer/file-edits.ts";
import { hasCopy, planCopy, programFolder } from "../../../installer/program-copy.ts";
import { findSupervisor } from "../../../platform/supervisor-lock.ts";
import { failed, wrongUsage, type FailedResult } from "../../answer.ts";
import type { Cli } from "../../cli.ts";
import { countAlive } from "../../../local-mcp/host/overview-handlers.ts";

/** SHIM's own folder that `init` or `init --remove` makes or removes, as the preview names it. */
export interface OwnFolder {
  readonly path: string;
  readonly what: string;
}

export function clientBackups(cli: Cli): string {
  return join(cli.paths.home, "client-backups");
}

export interface Scope {
  readonly client?: string;
  readonly data?: boolean;
}

/** [IP10] [IP11] [IP12] */
export function ownFolders(cli: Cli, { client, data }: Scope, action: Plan["action"]): OwnFolder[] {
  const { home } = cli.paths;
  if (action === "install") {
    const copy = planCopy(cli.io.launch, home);
    return copy === null ? [] : [{ path: copy.to, what: "gets a copy of SHIM: npx does not keep its own" }];
  }
  if (client !== undefined) return [];
  const cache = codeCache(cli.io.machine);
  const compiled = existsSync(cache) ? [{ path: cache, what: "removes the compiled code" }] : [];
  if (data === true && existsSync(home))
    return [{ path: home, what: "deletes everything that SHIM has stored" }, ...compiled];
  return hasCopy(home) ? [{ path: programFolder(home), what: "removes the copy of SHIM" }, ...compiled] : compiled;
}

/** [IP12] Nothing is deleted under a chat or a supervisor that would write it again. */
export async function dataObstacle(cli: Cli, client: string | undefined): Promise<FailedResult | null> {
  const { home } = cli.paths;
  if (client !== undefined) return wrongUsage("--data removes SHIM from all clients; leave --client out.");
  if (!existsSync(home)) return null;
  if (!isShimsAlone(home, cli.io.machine.homedir)) {
    const advice = "Delete SHIM's files in it yourself, or name another folder in SHIM_HOME.";
    return failed("not_shims_alone", `${home} holds your own files, too, so it is not deleted. ${advice}`);
  }
  const runtime = await cli.runtime();
  const supervisor = findSupervisor(home, runtime.processes);
  if (supervisor !== null)
    return failed(
      "supervisor_runs",
      `the supervisor runs (pid ${supervisor.pid}). First: \`shim worker supervise stop\`.`,
    );
  const alive = countAlive(runtime);
  // Windows does not delete an open file.
  runtime.store.close();
  if (alive === 0) return null;
  return failed("chats_run", `${pluralize(alive, "chat")} of SHIM still runs and would write again. Close it first.`);
}

/** @returns what is left, and what deletes it */
export function finishUninstall(cli: Cli, deletesData: boolean): string[] {
  const { home } = cli.paths;
  const { homedir: userHome } = cli.io.machine;
  const keepsBackups = !isOriginalAgain(backups.list(clientBackups(cli)), readText);
  const folders = { home, userHome, codeCache: codeCache(cli.io.machine), clientBackups: clientBackups(cli) };
  if (deletesData) removeHome(home, userHome);
  removeLeftovers(folders, keepsBackups);
  if (!existsSync(home)) return deletesData ? ["Everything that SHIM has stored is deleted."] : [];
  return [
    `Stored data stays in ${home}; \`shim sessions forget ...\` deletes some of it, \`shim init --remove --data\` all of it.`,
  ];
}
