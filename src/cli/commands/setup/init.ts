import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { InvalidArgumentError, Option, type Command } from "commander";
import { ok } from "../../../shared/result.ts";
import { apply } from "../../../installer/apply.ts";
import * as backups from "../../../installer/backups.ts";
import { applyLink, planLink, planLinkRemoval, type LinkPlan } from "../../../installer/command-link.ts";
import { readText, type ClientRefusal } from "../../../installer/client-files.ts";
import { serverCommand } from "../../../installer/entries.ts";
import type { Plan } from "../../../installer/file-edits.ts";
import { planInstall } from "../../../installer/plan.ts";
import {
  environmentTelemetry,
  managedTelemetry,
  type TelemetryRequest,
} from "../../../installer/telemetry-settings.ts";
import { lastingLaunch, makeCopy, planCopy } from "../../../installer/program-copy.ts";
import { clientNames, detect, isSetUpUnasked, type ClientTarget } from "../../../installer/targets.ts";
import { planUninstall } from "../../../installer/uninstall.ts";
import { homeFrom } from "../../../platform/paths.ts";
import { failed, notFound, wrongUsage, type CommandError, type CliResult } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import type { Io } from "../../io.ts";
import { clientBackups, dataObstacle, finishUninstall, ownFolders } from "./own-folders.ts";
import { formatPreview, hasChanges, type PreparedChanges } from "./preview.ts";
import { trust, untrustedPlan } from "./trust-hooks.ts";

interface InitOptions extends CommonOptions {
  readonly todoTools?: boolean;
  readonly telemetry?: boolean | number;
  readonly client?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly link?: boolean;
  readonly data?: boolean;
  readonly trust?: boolean;
}

type Action = Plan["action"];

export function addInit(program: Command, cli: Cli): void {
  const init = program
    .command("init")
    .description("connect SHIM to the clients of this machine, and make `shim` a command")
    .option("--no-link", "make no link to `shim` in ~/.local/bin")
    .option("--no-trust", "do not have Codex trust SHIM's hooks")
    .option("--todo-tools", "switch Claude Code's to-do tools on, which the newest models lack")
    .option("--telemetry [port]", "receive Claude Code's telemetry on this machine", parsePort)
    .option("--no-telemetry", "receive none any more");
  cli.define(withOptions(init), (options: InitOptions) => run(cli, options, "install"));
}

export function addUninstall(program: Command, cli: Cli): void {
  const uninstall = program
    .command("uninstall")
    .description("remove SHIM from the clients; stored data stays")
    .option("--data", "also delete everything that SHIM has stored on this machine");
  cli.define(withOptions(uninstall), async (options: InitOptions) => {
    const obstacle = options.data === true ? await dataObstacle(cli, options.client) : null;
    return obstacle ?? run(cli, options, "uninstall");
  });
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
  const { plans, link } = prepared.value;
  const untrusted = options.trust === false ? null : await untrustedPlan(cli, plans);
  const preview = formatPreview(prepared.value, cli.io);
  const untouched = { isApplied: false, clients: plans.map((plan) => toData(plan, null)), link };
  if (!hasChanges(prepared.value) && untrusted === null) return ok({ data: untouched, text: preview });
  if (options.dryRun) return ok({ data: untouched, text: `${preview}Dry run: nothing was changed.\n` });
  if (options.json !== true) cli.io.stdout(cli.format(`${preview}\n`));
  const reply = await confirmChanges(cli, options, prepared.value);
  if (reply === "unasked") return wrongUsage(howToConfirm(cli, action));
  if (reply === "no") return ok({ data: untouched, text: "Nothing was changed.\n" });
  return withTrust(cli, options, untrusted, applyAll(cli, prepared.value, action, options));
}

/** Without changes only the trust is asked for, later. */
async function confirmChanges(cli: Cli, options: InitOptions, changes: PreparedChanges): Promise<Reply> {
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
  return ok({ data, text: `${applied.value.text}${text}\n`, isFailed: yes && !isTrusted });
}

function question({ link }: PreparedChanges, { data }: InitOptions): string {
  const what = link === null ? "Change these files" : "Change these files and the link";
  return data === true ? `${what}, and delete everything that SHIM has stored?` : `${what}?`;
}

function howToConfirm({ io }: Cli, action: Action): string {
  const name = action === "install" ? "init" : "uninstall";
  const isByNpm = io.env["npm_lifecycle_event"] === name;
  const commandWith = (option: string): string => (isByNpm ? `npm run ${name} -- ${option}` : `shim ${name} ${option}`);
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
  const { link, linkNote } = planLinkChange(cli, options, action);
  const own = ownFolders(cli, options, action);
  const isOwnLeft = action === "uninstall" && (link !== null || own.length > 0);
  if (targets.length === 0 && !isOwnLeft) return notFound(noClient(cli, options.client));
  const plans = planAll(cli, targets, action, options);
  return plans.ok ? ok({ plans: plans.value, link, linkNote, own }) : plans;
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

function linkRecord(cli: Cli): string {
  return join(cli.paths.home, "command-link.json");
}

function planAll(cli: Cli, targets: readonly ClientTarget[], action: Action, options: InitOptions): CliResult<Plan[]> {
  const claudeVersion = cli.io.versionOf("claude");
  const wantsTodoTools = options.todoTools === true;
  const telemetry = telemetryRequest(cli, options);
  const context = { shimConfig: cli.paths.config, read: readText, claudeVersion, wantsTodoTools, telemetry };
  const plans: Plan[] = [];
  for (const target of targets) {
    const plan =
      action === "install"
        ? planInstall(target, lastingLaunch(cli.io.launch, cli.paths.home), context)
        : planUninstall(target, { ...context, backups: backups.list(clientBackups(cli)) });
    if (!plan.ok) return toFailure(plan.error);
    plans.push(action === "install" ? { ...plan.value, notes: [...plan.value.notes, ...homeNotes(cli)] } : plan.value);
  }
  return ok(plans);
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

function toFailure(error: ClientRefusal): { readonly ok: false; readonly error: CommandError } {
  return failed(error.code, error.message);
}

const makeWritable = "Make that folder one that your user can write to, or set SHIM_HOME to one.";

interface AppliedPlan {
  readonly plan: Plan;
  readonly backup: string | null;
}

function applyAll(
  cli: Cli,
  { plans, link }: PreparedChanges,
  action: Action,
  { client, data }: InitOptions,
): CommandResult {
  const copy = action === "install" ? planCopy(cli.io.launch, cli.paths.home) : null;
  if (copy !== null) makeCopy(copy);
  const applied = applyPlans(cli, plans);
  if (!applied.ok) return applied;
  const problem = link === null ? null : applyLink(link, linkRecord(cli));
  const linked = link === null ? [] : linkResult(link, problem, cli.io.env);
  const isWhole = action === "uninstall" && client === undefined;
  const stored = isWhole ? finishUninstall(cli, data === true) : [];
  const kept = applied.value.map(({ plan, backup }) => ({ plan, backup: keptBackup(cli, backup) }));
  const backupLines = kept.flatMap(({ backup }) => (backup === null ? [] : [`The files as they were: ${backup}`]));
  return ok({
    data: {
      isApplied: true,
      clients: kept.map(({ plan, backup }) => toData(plan, backup)),
      link: problem === null ? link : null,
    },
    text: [...backupLines, ...linked, ...nextSteps(plans, action), ...stored, ""].join("\n"),
  });
}

/** [IP11] A removal that gave all files their first texts deletes the copies. */
function keptBackup({ io }: Cli, backup: string | null): string | null {
  return backup !== null && io.machine.exists(backup) ? backup : null;
}

function applyPlans(cli: Cli, plans: readonly Plan[]): CliResult<AppliedPlan[]> {
  const done: AppliedPlan[] = [];
  for (const plan of plans) {
    const applied = apply(plan, { now: cli.io.now(), backups: clientBackups(cli) });
    if (!applied.ok) {
      const { code, path, message } = applied.error;
      const advice = path === clientBackups(cli) ? ` ${makeWritable}` : "";
      return failed(code, `${message}${advice}${unchangedText(done.map((one) => one.plan))}`);
    }
    done.push({ plan, backup: applied.value.backup });
  }
  return ok(done);
}

function unchangedText(plans: readonly Plan[]): string {
  const changed = plans.filter((plan) => plan.edits.length > 0).map((plan) => plan.target.label);
  return changed.length === 0 ? "" : ` Already changed: ${changed.join(", ")}.`;
}

function nextSteps(plans: readonly Plan[], action: Action): string[] {
  const changed = plans.filter((plan) => plan.edits.length > 0);
  const restart = changed.map(({ target }) =>
    target.client === "claude-desktop"
      ? `${target.label}: quit it completely (tray or menu bar), then start it again.`
      : `${target.label}: open chats continue as before; start a new one.`,
  );
  const followUp = action === "install" ? ["Then `shim up` shows the chat, and `shim doctor` checks everything."] : [];
  return [action === "install" ? "SHIM is connected." : "SHIM is removed.", ...restart, ...followUp];
}

function toData(plan: Plan, backup: string | null): unknown {
  const { target, edits, notes } = plan;
  const changes = edits.map(({ path, summary }) => ({ path, summary }));
  return { client: target.client, label: target.label, edits: changes, notes, backup };
}

function noClient(cli: Cli, wanted: string | undefined): string {
  const what = wanted === undefined ? "no client that SHIM knows was found" : `${wanted} was not found`;
  const { command, args } = serverCommand(cli.io.launch);
  return `${what} on this machine. Any other MCP client can start the server itself: ${JSON.stringify({ mcpServers: { shim: { command, args } } })}`;
}

function linkResult({ action, path, isOnPath }: LinkPlan, problem: string | null, env: Io["env"]): string[] {
  if (problem !== null) return [`The link ${path} was not ${action === "create" ? "made" : "removed"}: ${problem}`];
  if (action === "remove") return [`Removed the link ${path}.`];
  if (isOnPath) return ["`shim` is a command now."];
  const { line, file } = pathLine(env["SHELL"] ?? "");
  return [
    `~/.local/bin is not on your PATH yet. For \`shim\` as a command add this line to ${file}, and open a new terminal:`,
    `  ${line}`,
  ];
}

function pathLine(shell: string): { readonly line: string; readonly file: string } {
  if (shell.endsWith("fish")) return { line: "fish_add_path ~/.local/bin", file: "~/.config/fish/config.fish" };
  return { line: 'export PATH="$HOME/.local/bin:$PATH"', file: shell.endsWith("zsh") ? "~/.zshrc" : "~/.bashrc" };
}
