import { readFileSync } from "node:fs";
import { join as joinPath } from "node:path";
import { parseEnv } from "node:util";
import type { Command } from "commander";
import type { MachineOutput } from "../../../contract/machine/operations.ts";
import { pluralize } from "../../../shared/format.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import { wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { callWithAnswers } from "./answers.ts";
import { addKey, keyText, readCode } from "./key.ts";
import { addLeave } from "./leave.ts";
import { addStatus } from "./status.ts";
import { addSync } from "./sync.ts";
import { addTokens } from "./tokens.ts";

const devPort = "8787";
const devUrl = `http://127.0.0.1:${devPort}`;

interface ChangeOptions extends CommonOptions {
  readonly url?: string;
  readonly yes?: boolean;
  readonly import?: boolean;
  readonly keep?: boolean;
}

interface JoinOptions extends ChangeOptions {
  readonly keyFile?: string;
  readonly sync?: boolean;
}

export function addCommand(program: Command, cli: Cli): void {
  const join = program
    .command("join <workspace>")
    .description("join a workspace that machines share; token and key are read from stdin, a line each, or asked for")
    .option("--url <url>", "URL of the coordinator")
    .option("--key-file <file>", "file with the key of the workspace")
    .option("--no-sync", "only coordinate: sessions and checkpoints stay on this machine");
  cli.define(addChoices(join), (options: JoinOptions, workspace: string) => joinWorkspace(cli, options, workspace));
  addStatus(join, cli);
  addLeave(join, cli);
  addSync(join, cli);
  addKey(join, cli);
  addTokens(join, cli);
  const create = join
    .command("workspaces")
    .description("workspaces of a coordinator")
    .command("create <name>")
    .description("make a workspace (needs SHIM_ADMIN_SECRET), and join it with this machine")
    .option("--url <url>", `URL of the coordinator (default: ${devUrl})`);
  cli.define(addChoices(create), (options: ChangeOptions, name: string) => createWorkspace(cli, options, name));
}

function addChoices(command: Command): Command {
  return command
    .option("--import", "import this machine's earlier work: sessions, and tasks that have not started")
    .option("--keep", "keep this machine's earlier work in its local files")
    .option("-y, --yes", "do not ask");
}

async function joinWorkspace(cli: Cli, options: JoinOptions, workspace: string): Promise<CommandResult> {
  const { url, keyFile, sync } = options;
  if (url === undefined) return wrongUsage("give the coordinator: `shim join <workspace> --url <url>`.");
  const choice = choiceOf(options);
  if (!choice.ok) return choice;
  const [token, line] = cli.io.isInteractive ? [] : (await cli.io.readInput()).trim().split(/\r?\n/);
  const code = readCode(cli, keyFile, line);
  if (!code.ok) return code;
  const secrets = omitUndefined({ token: token?.trim(), key: code.value });
  const input = { url, workspace, ...omitUndefined({ sync }), ...choice.value, ...secrets };
  const joined = await callWithAnswers(cli, "workspace.join", input, options);
  return joined.ok ? ok({ data: joined.value, text: joinedText(joined.value) }) : joined;
}

async function createWorkspace(cli: Cli, options: ChangeOptions, workspace: string): Promise<CommandResult> {
  const { url = devUrl } = options;
  const choice = choiceOf(options);
  if (!choice.ok) return choice;
  const input = { url, workspace, ...choice.value, ...omitUndefined({ secret: adminSecret(cli, url) }) };
  const created = await callWithAnswers(cli, "workspace.create", input, options);
  if (!created.ok) return created;
  const next = "For another machine: `shim join token create --machine <name>`.\n";
  return ok({ data: created.value, text: joinedText(created.value) + next });
}

function choiceOf({
  import: isImported,
  keep,
}: ChangeOptions): CliResult<{ readonly earlierWork?: "import" | "keep" }> {
  if (isImported && keep) return wrongUsage("give --import or --keep, not both.");
  return ok(isImported ? { earlierWork: "import" } : keep ? { earlierWork: "keep" } : {});
}

/** The development server's secret lies beside it; elsewhere only the environment has one. */
function adminSecret({ io }: Cli, url: string): string | undefined {
  const given = io.env["SHIM_ADMIN_SECRET"];
  if (given || !isDevServer(url, io.env["SHIM_DEV_PORT"])) return given || undefined;
  try {
    return parseEnv(readFileSync(joinPath(io.cwd, ".dev.vars"), "utf8"))["SHIM_ADMIN_SECRET"] || undefined;
  } catch {
    return undefined;
  }
}

function isDevServer(text: string, ownPort: string | undefined): boolean {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== "http:" || url.pathname !== "/") return false;
  return ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname) && [devPort, ownPort].includes(url.port);
}

function joinedText(joined: MachineOutput<"workspace.join">): string {
  const { workspace, machine, keyId, key } = joined;
  const lines = [`This machine has joined ${workspace} as ${machine}.`, ...importLines(joined)];
  const sync = keyId === null ? "Nothing is synced: this machine only coordinates." : edgeVisibilityText;
  const hint = "`shim join sync` sends the local sessions now; open chats do it automatically.";
  return `${[...lines, sync].join("\n")}\n${key === null ? "" : keyText(key)}${keyId === null ? "" : `${hint}\n`}`;
}

function importLines({ imported, kept }: MachineOutput<"workspace.join">): string[] {
  const { tasks, schedules, leftSchedules } = imported;
  return [
    tasks > 0 ? `${tasks} open tasks were submitted there, and cancelled here.` : [],
    schedules.length > 0 ? `${pluralize(schedules.length, "schedule")} moved there.` : [],
    leftSchedules.map(({ name, reason }) => `The schedule ${name} stays here, without times: ${reason}`),
    kept.runningTasks > 0 ? `${kept.runningTasks} running tasks continue here.` : [],
    kept.keys > 0 ? "State and messages of this machine stay in its own file." : [],
  ].flat();
}

const edgeVisibilityText = [
  "What the coordinator can read: tasks, messages, state, reservations (paths of files below a project), ids and progress of chats, names of machines;",
  "of sessions and checkpoints only ids, sizes and times: names of projects and files, titles, prompts and states are sealed on this machine (docs/internals/sync.md).",
].join("\n");
