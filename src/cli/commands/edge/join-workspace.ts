import { randomBytes } from "node:crypto";
import { ok, type Result } from "../../../shared/result.ts";
import type { Sql } from "../../../shared/sql.ts";
import {
  isSameWorkspace,
  readEdgeConfig,
  writeEdgeConfig,
  type EdgeConfig,
  type EdgeWorkspace,
} from "../../../coordinator-client/edge-config.ts";
import * as joinPreferences from "../../../local-mcp/sync/join-preferences.ts";
import * as devices from "../../../local-mcp/sync/device.ts";
import { formatCode } from "../../../local-mcp/sync/workspace-key.ts";
import { failed, wrongUsage, type FailedResult } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import type { CoordinatorLink } from "../../coordinator-link.ts";
import { moveTasks, type LocalWork } from "./import-local-work.ts";
import { keyText, edgeVisibilityText, type FoundKey } from "./workspace-key-input.ts";

export interface JoinPlan {
  readonly edge: EdgeConfig;
  readonly link: CoordinatorLink;
  readonly found: FoundKey | null;
  readonly work: LocalWork;
  readonly isImporting: boolean;
  /** [SY94] False: the user wants no sync, even with a key. */
  readonly isSynced: boolean;
  /** True: it belonged to another coordinator, where a workspace may have the same name. */
  readonly isMoving: boolean;
}

export function isMoving({ paths }: Cli, to: EdgeWorkspace): boolean {
  const old = readEdgeConfig(paths.home);
  return old.ok && old.value !== null && !isSameWorkspace(old.value, to);
}

export interface LocalChoice {
  readonly import?: boolean;
  readonly keep?: boolean;
}

export async function chooseLocalWork(
  cli: Cli,
  options: LocalChoice,
  { sessions, tasks, keys, running }: LocalWork,
): Promise<Result<boolean, FailedResult["error"]>> {
  if (options.import && options.keep) return wrongUsage("give --import or --keep, not both.");
  if (options.import || options.keep) return ok(options.import === true);
  if (sessions + tasks.length + keys + running === 0) return ok(true);
  const description = `On this machine there are ${sessions} sessions, ${tasks.length + running} open tasks and ${keys} keys of state.`;
  const joinPreferences =
    "--import sends the sessions and submits the tasks that have not begun; --keep leaves all of it here, where nothing is lost";
  if (!cli.io.isInteractive)
    return failed("choice_needed", `${description} Say what becomes of them: ${joinPreferences}. Nothing was changed.`);
  const reply = (await cli.io.ask(`${description}\n${joinPreferences}. import or keep? `)).trim().toLowerCase();
  if (reply === "import" || reply === "keep") return ok(reply === "import");
  return failed("not_confirmed", "nothing was changed.");
}

export async function completeJoin(cli: Cli, joining: JoinPlan): Promise<CommandResult> {
  const { link, work, isImporting } = joining;
  const movedTasks = isImporting ? await moveTasks(cli, link, work) : ok(0);
  if (!movedTasks.ok) return movedTasks;
  await storeMembership(cli, joining);
  return ok(toAnswer(joining, movedTasks.value));
}

/** [SY61] A repeated join keeps the device's numbers. Preferences are stored before any send. */
async function storeMembership(cli: Cli, joining: JoinPlan): Promise<void> {
  const { store } = await cli.runtime();
  store.write((sql) => beginSync(sql, joining, cli.io.now()));
  writeEdgeConfig(cli.paths.home, joining.edge);
}

function beginSync(sql: Sql, joining: JoinPlan, now: number): void {
  const { found, isImporting, isSynced } = joining;
  const { workspace } = joining.edge;
  const known = knownDevice(sql, joining);
  const since = isImporting ? 0 : (known?.joinedAt ?? now);
  joinPreferences.write(sql, { workspace, isSynced, since });
  if (!isSynced) return devices.leave(sql);
  if (!found) return;
  if (!known) devices.join(sql, workspace, devices.newId(now, randomBytes), since);
  else if (isImporting) devices.sendAll(sql);
}

function knownDevice(sql: Sql, { edge, isMoving: moves }: JoinPlan): devices.Device | null {
  const device = devices.get(sql);
  return device?.workspace === edge.workspace && !moves ? device : null;
}

function toAnswer(joining: JoinPlan, tasks: number): { data: unknown; text: string } {
  const { edge, found } = joining;
  const { workspace, url, machine } = edge;
  const data = { workspace, url, machine, keyId: found?.key.id ?? null, importedTasks: tasks };
  const text = `This machine has joined ${workspace} as ${machine}.\n${localText(joining, tasks)}`;
  if (!found) return { data, text: `${text}Nothing is synced: this machine only coordinates.\n` };
  const hint = "`shim edge sync` sends at once what is here; open chats do it by themselves.\n";
  if (!found.isNew) return { data, text: text + edgeVisibilityText + hint };
  return { data: { ...data, key: formatCode(found.key) }, text: text + edgeVisibilityText + keyText(found.key) + hint };
}

function localText({ work, isImporting }: JoinPlan, tasks: number): string {
  if (!isImporting) return "";
  const lines = [
    tasks > 0 ? [`${tasks} open tasks were submitted there, and cancelled here.`] : [],
    work.running > 0 ? [`${work.running} tasks that run go on here.`] : [],
    work.keys > 0 ? ["State and messages of this machine stay in its own file."] : [],
  ];
  return lines
    .flat()
    .map((line) => `${line}\n`)
    .join("");
}
