import { randomBytes } from "node:crypto";
import { InvalidArgumentError, Option, type Command } from "commander";
import { ok } from "../../../shared/result.ts";
import * as backups from "../../../installer/backups.ts";
import { planLink, planLinkRemoval } from "../../../installer/command-link.ts";
import { readText } from "../../../installer/client-files.ts";
import { serverCommand } from "../../../installer/entries.ts";
import type { Plan } from "../../../installer/file-edits.ts";
import { planInstall } from "../../../installer/plan.ts";
import {
  environmentTelemetry,
  managedTelemetry,
  type TelemetryRequest,
} from "../../../installer/telemetry-settings.ts";
import { lastingLaunch } from "../../../installer/program-copy.ts";
import { clientNames, detect, isSetUpUnasked, type ClientTarget } from "../../../installer/targets.ts";
import { planUninstall } from "../../../installer/uninstall.ts";
import { homeFrom } from "../../../platform/paths.ts";
import { failed, notFound, wrongUsage, type Answer, type CliResult } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { claudeVersion } from "../../../local-mcp/host/client-states.ts";
import {
  applyInstall,
  applyRemoval,
  connectionProblems,
  linkRecord,
  problemLines,
  toProblem,
  withoutChanges,
} from "./apply-changes.ts";
import { clientBackups, dataObstacle, ownFolders } from "./own-folders.ts";
import { formatPreview, hasChanges, type ClientProblem, type PreparedChanges } from "./preview.ts";
import { trust, untrustedPlan } from "./trust-hooks.ts";

interface InitOptions extends CommonOptions {
  readonly todoTools?: boolean;
  readonly allow?: boolean;
  readonly telemetry?: boolean | number;
  readonly client?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly link?: boolean;
  readonly remove?: boolean;
  readonly data?: boolean;
  readonly trust?: boolean;
}

type Action = Plan["action"];

export function addInit(program: Command, cli: Cli): Command {
  const init = program
    .command("init")
    .description("connect SHIM to the clients of this machine, and make `shim` a command; --remove takes it out")
    .option("--no-link", "make no link to `shim` in ~/.local/bin")
    .option("--no-trust", "do not have Codex trust SHIM's hooks")
    .option("--no-allow", "let clients ask before SHIM's tools that only read or save")
    .option("--todo-tools", "switch Claude Code's to-do tools on, which the newest models lack")
    .option("--telemetry [port]", "receive Claude Code's telemetry on this machine", parsePort)
    .option("--no-telemetry", "receive none any more")
    .addOption(
      new Option("--remove", "remove SHIM from the clients; stored data stays").conflicts([
        "link",
        "trust",
        "allow",
        "todoTools",
        "telemetry",
      ]),
    )
    .option("--data", "with --remove: also delete everything that SHIM has stored on this machine");
  return cli.define(withOptions(init), (options: InitOptions) =>
    options.remove === true ? remove(cli, options) : install(cli, options),
  );
}

async function install(cli: Cli, options: InitOptions): Promise<CommandResult> {
  if (options.data === true) return wrongUsage("--data deletes what is stored, and needs --remove.");
  return run(cli, options, "install");
}

async function remove(cli: Cli, options: InitOptions): Promise<CommandResult> {
  const obstacle = options.data === true ? await dataObstacle(cli, options.client) : null;
  return obstacle ?? run(cli, options, "uninstall");
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port >= 1_024 && port <= 65_535) return port;
  throw new InvalidArgumentError("It must be a port from 1024 to 65535.");
}

function withOptions(command: Command): Command {
  return command
    .addOption(new Option("--client <name>", "only this client").choices(clientNames))
    .option("--dry-run", "show what would change, and change nothing")
    .option("-y, --yes", "do not ask");
}

async function run(cli: Cli, options: InitOptions, action: Action): Promise<CommandResult> {
  const prepared = prepare(cli, options, action);
  if (!prepared.ok) return prepared;
  const changes = prepared.value;
  const untrusted = options.trust === false ? null : await untrustedPlan(cli, changes.plans);
  const preview = formatPreview(changes, cli.io, options.dryRun === true);
  if (!hasChanges(changes) && untrusted === null) return ok(unchanged(cli, changes, action, preview));
  if (options.dryRun) return ok(withoutChanges(changes, `${preview}Dry run: nothing was changed.\n`));
  const reply = await confirmChanges(cli, options, changes, preview);
  if (reply === "unasked") return wrongUsage(howToConfirm(cli, action));
  if (reply === "no") return ok(withoutChanges(changes, "Nothing was changed.\n"));
  const applied = action === "install" ? applyInstall(cli, changes) : applyRemoval(cli, changes, options);
  return withTrust(cli, options, untrusted, applied);
}

/** [IN24] A client may be set up, and not connected. */
function unchanged(cli: Cli, changes: PreparedChanges, action: Action, preview: string): Answer {
  if (action === "uninstall") return withoutChanges(changes, preview);
  const problems = connectionProblems(cli, changes.plans);
  const lines = problemLines("is not connected", problems).map((line) => `${line}\n`);
  return withoutChanges({ ...changes, problems }, [preview, ...lines].join(""));
}

/** Without changes only the trust is asked for, later. */
async function confirmChanges(
  cli: Cli,
  options: InitOptions,
  changes: PreparedChanges,
  preview: string,
): Promise<Reply> {
  if (options.json !== true) cli.io.stdout(cli.format(`${preview}\n`));
  if (!hasChanges(changes) && cli.io.isInteractive) return "yes";
  return cli.confirm(question(changes, options), options.yes === true);
}

type Reply = Awaited<ReturnType<Cli["confirm"]>>;

async function withTrust(
  cli: Cli,
  { yes = false }: InitOptions,
  plan: Plan | null,
  applied: CommandResult,
): Promise<CommandResult> {
  if (!applied.ok || plan === null) return applied;
  const { isTrusted, text } = await trust(cli, plan, yes, clientBackups(cli));
  const data = Object.assign({}, applied.value.data, { areHooksTrusted: isTrusted });
  const isFailed = applied.value.isFailed === true || (yes && !isTrusted);
  return ok({ data, text: `${applied.value.text}${text}\n`, isFailed });
}

function question({ link }: PreparedChanges, { data }: InitOptions): string {
  const what = link === null ? "Change these files" : "Change these files and the link";
  return data === true ? `${what}, and delete everything that SHIM has stored?` : `${what}?`;
}

function howToConfirm({ io }: Cli, action: Action): string {
  const start = io.env["npm_lifecycle_event"] === "init" ? "npm run init --" : "shim init";
  const commandWith = (option: string): string => `${start} ${action === "install" ? "" : "--remove "}${option}`;
  return `this changes files, and there is no terminal to confirm it. To see the changes: \`${commandWith("--dry-run")}\`. To make them: \`${commandWith("--yes")}\`.`;
}

function prepare(cli: Cli, options: InitOptions, action: Action): CliResult<PreparedChanges> {
  const { machine, launch } = cli.io;
  const missing = [launch.script, launch.hookScript].find((path) => !machine.exists(path));
  if (action === "install" && missing !== undefined) {
    return failed("not_built", `${missing} is missing. In a clone run: npm ci && npm run build`);
  }
  const targets = detect(machine).filter(({ client }) =>
    options.client === undefined ? action === "uninstall" || isSetUpUnasked(client) : client === options.client,
  );
  const planned = planAll(cli, targets, action, options);
  if (!planned.ok) return planned;
  if (planned.value.problems.length > 0) return ok({ ...planned.value, link: null, linkNote: null, own: [] });
  const { link, linkNote } = planLinkChange(cli, options, action);
  const own = ownFolders(cli, options, action);
  const isOwnLeft = action === "uninstall" && (link !== null || own.length > 0);
  if (targets.length === 0 && !isOwnLeft) return notFound(noClient(cli, options.client));
  return ok({ ...planned.value, link, linkNote, own });
}

/** Leaves the link alone for a single client: the others may still need the command. */
function planLinkChange(cli: Cli, options: InitOptions, action: Action): Pick<PreparedChanges, "link" | "linkNote"> {
  const launch = lastingLaunch(cli.io.launch, cli.paths.home);
  const context = { machine: cli.io.machine, launch, record: linkRecord(cli) };
  if (action === "uninstall") {
    return { link: options.client === undefined ? planLinkRemoval(context) : null, linkNote: null };
  }
  if (options.link === false) return { link: null, linkNote: null };
  const planned = planLink(context);
  if (planned.ok) return { link: planned.value, linkNote: null };
  return { link: null, linkNote: `${planned.error} is another program; it stays. SHIM is started by: ${cli.command}` };
}

/** [IN101] A client that refuses keeps `init` from all, and `init --remove` from itself alone. */
function planAll(
  cli: Cli,
  targets: readonly ClientTarget[],
  action: Action,
  options: InitOptions,
): CliResult<Pick<PreparedChanges, "plans" | "problems">> {
  const version = claudeVersion({ site: cli.io });
  const wantsTodoTools = options.todoTools === true;
  const telemetry = telemetryRequest(cli, options);
  const asked = { wantsTodoTools, allowsTools: options.allow !== false, telemetry };
  const context = { shimConfig: cli.paths.config, read: readText, claudeVersion: version, ...asked };
  const plans: Plan[] = [];
  const problems: ClientProblem[] = [];
  for (const target of targets) {
    const plan =
      action === "install"
        ? planInstall(target, lastingLaunch(cli.io.launch, cli.paths.home), context)
        : planUninstall(target, { ...context, backups: backups.list(clientBackups(cli)) });
    if (!plan.ok && (action === "install" || targets.length === 1)) return failed(plan.error.code, plan.error.message);
    if (!plan.ok) problems.push(toProblem(target, plan.error));
    else if (action === "uninstall") plans.push(plan.value);
    else plans.push({ ...plan.value, notes: [...plan.value.notes, ...homeNotes(cli)] });
  }
  return ok({ plans, problems });
}

function telemetryRequest({ io }: Cli, { telemetry }: InitOptions): TelemetryRequest | undefined {
  if (telemetry === undefined) return undefined;
  return {
    isWanted: telemetry !== false,
    port: typeof telemetry === "number" ? telemetry : null,
    newToken: () => randomBytes(32).toString("base64url"),
    elsewhere: [...environmentTelemetry(io.machine.env), ...managedTelemetry(io.machine, readText)],
  };
}

/** The terminal's SHIM_HOME is not written into the clients' files. */
function homeNotes({ io, paths }: Cli): string[] {
  const usual = homeFrom({});
  if (!io.env["SHIM_HOME"] || paths.home === usual) return [];
  return [
    `SHIM_HOME is set here (${paths.home}), but the clients do not get it from this command: they save in ${usual}, and read their settings there, unless their own environment sets SHIM_HOME.`,
  ];
}

function noClient(cli: Cli, wanted: string | undefined): string {
  const what = wanted === undefined ? "no client that SHIM knows was found" : `${wanted} was not found`;
  const { command, args } = serverCommand(cli.io.launch);
  return `${what} on this machine. Any other MCP client can start the server itself: ${JSON.stringify({ mcpServers: { shim: { command, args } } })}`;
}
