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
import { renderPlan } from "../../../installer/render-plan.ts";
import {
  environmentTelemetry,
  managedTelemetry,
  type TelemetryRequest,
} from "../../../installer/telemetry-settings.ts";
import { clientNames, detect, type ClientTarget } from "../../../installer/targets.ts";
import { planUninstall } from "../../../installer/uninstall.ts";
import { homeFrom } from "../../../platform/paths.ts";
import { trust, untrustedPlan } from "./trust-hooks.ts";
import { failed, notFound, wrongUsage, type CommandError, type CliResult } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import type { Io } from "../../io.ts";
import { pluralize, shortPath, table } from "../../screen-text.ts";

interface InitOptions extends CommonOptions {
  readonly todoTools?: boolean;
  readonly telemetry?: boolean | number;
  readonly client?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly link?: boolean;
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
  const uninstall = program.command("uninstall").description("remove SHIM from the clients; stored data stays");
  cli.define(withOptions(uninstall), (options: InitOptions) => run(cli, options, "uninstall"));
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

interface PreparedChanges {
  readonly plans: readonly Plan[];
  readonly link: LinkPlan | null;
  readonly linkNote: string | null;
}

async function run(cli: Cli, options: InitOptions, action: Action): Promise<CommandResult> {
  const prepared = prepare(cli, options, action);
  if (!prepared.ok) return prepared;
  const { plans, link } = prepared.value;
  const untrusted = options.trust === false ? null : await untrustedPlan(cli, plans);
  const preview = previewOf(cli, prepared.value);
  const untouched = { isApplied: false, clients: plans.map((plan) => toData(plan, null)), link };
  if (!hasEdits(prepared.value) && untrusted === null) return ok({ data: untouched, text: preview });
  if (options.dryRun) return ok({ data: untouched, text: `${preview}Dry run: nothing was changed.\n` });
  if (options.json !== true) cli.io.stdout(cli.format(`${preview}\n`));
  const reply = await confirmEdits(cli, options, prepared.value);
  if (reply === "unasked") return wrongUsage(howToConfirm(cli, action));
  if (reply === "no") return ok({ data: untouched, text: "Nothing was changed.\n" });
  return withTrust(cli, options, untrusted, applyAll(cli, prepared.value, action));
}

function previewOf(cli: Cli, changes: PreparedChanges): string {
  return [...changes.plans.map(renderPlan), linkText(changes), formatSummary(changes, cli.io)]
    .filter((part) => part !== "")
    .join("\n");
}

function hasEdits({ plans, link }: PreparedChanges): boolean {
  return link !== null || plans.some((plan) => plan.edits.length > 0);
}

/** Without edits only the trust is asked for, later. */
async function confirmEdits(cli: Cli, options: InitOptions, changes: PreparedChanges): Promise<Reply> {
  if (!hasEdits(changes) && cli.io.isInteractive) return "yes";
  const question = changes.link === null ? "Change these files?" : "Change these files and the link?";
  return cli.confirm(question, options.yes === true);
}

type Reply = Awaited<ReturnType<Cli["confirm"]>>;

async function withTrust(
  cli: Cli,
  { yes = false }: InitOptions,
  plan: Plan | null,
  applied: CommandResult,
): Promise<CommandResult> {
  if (!applied.ok || plan === null) return applied;
  const { isTrusted, text } = await trust(cli, plan, yes, backupsFolder(cli));
  const data = Object.assign({}, applied.value.data, { areHooksTrusted: isTrusted });
  return ok({ data, text: `${applied.value.text}${text}\n`, isFailed: yes && !isTrusted });
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
  const targets = detect(machine).filter((target) => options.client === undefined || target.client === options.client);
  const { link, linkNote } = planLinkChange(cli, options, action);
  const isLinkLeft = action === "uninstall" && link !== null;
  if (targets.length === 0 && !isLinkLeft) return notFound(noClient(cli, options.client));
  const plans = planAll(cli, targets, action, options);
  return plans.ok ? ok({ plans: plans.value, link, linkNote }) : plans;
}

/** Leaves the link alone for a single client: the others may still need the command. */
function planLinkChange(cli: Cli, options: InitOptions, action: Action): Pick<PreparedChanges, "link" | "linkNote"> {
  const context = { machine: cli.io.machine, launch: cli.io.launch, record: linkRecord(cli) };
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
        ? planInstall(target, cli.io.launch, context)
        : planUninstall(target, { ...context, backups: backups.list(backupsFolder(cli)) });
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

function backupsFolder(cli: Cli): string {
  return join(cli.paths.home, "client-backups");
}

const makeWritable = "Make that folder one that your user can write to, or set SHIM_HOME to one.";

function applyAll(cli: Cli, { plans, link }: PreparedChanges, action: Action): CommandResult {
  const appliedPlans: { plan: Plan; backup: string | null }[] = [];
  for (const plan of plans) {
    const applied = apply(plan, { now: cli.io.now(), backups: backupsFolder(cli) });
    if (!applied.ok) {
      const { code, path, message } = applied.error;
      const advice = path === backupsFolder(cli) ? ` ${makeWritable}` : "";
      return failed(code, `${message}${advice}${unchangedText(appliedPlans.map((one) => one.plan))}`);
    }
    appliedPlans.push({ plan, backup: applied.value.backup });
  }
  const backupLines = appliedPlans.flatMap(({ backup }) =>
    backup === null ? [] : [`The files as they were: ${backup}`],
  );
  const clients = appliedPlans.map(({ plan, backup }) => toData(plan, backup));
  const problem = link === null ? null : applyLink(link, linkRecord(cli));
  const linked = link === null ? [] : linkResult(link, problem, cli.io.env);
  return ok({
    data: { isApplied: true, clients, link: problem === null ? link : null },
    text: [...backupLines, ...linked, ...nextSteps(plans, action), ""].join("\n"),
  });
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
  const followUp =
    action === "install"
      ? ["Then `shim up` shows the chat, and `shim doctor` checks everything."]
      : ["Stored data stays; `shim forget` deletes it."];
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

function linkText({ link, linkNote }: PreparedChanges): string {
  if (linkNote !== null) return `Note: ${linkNote}\n`;
  if (link === null) return "";
  return link.action === "create"
    ? `Make \`shim\` a command\n+++ ${link.path} -> ${link.target}\n`
    : `Remove the command \`shim\`\n--- ${link.path} -> ${link.target}\n`;
}

function formatSummary({ plans, link }: PreparedChanges, { env, size }: Pick<Io, "env" | "size">): string {
  const home = env["HOME"] ?? "";
  const edits = plans.flatMap(({ target, edits: all }) => all.map((edit) => ({ label: target.label, edit })));
  if (edits.length === 0 && link === null) return "";
  const rows = edits.map(({ label, edit }) => [` ${label}`, shortPath(edit.path, home), edit.summary.join("; ")]);
  const linkVerb = link?.action === "create" ? "makes the link" : "removes the link";
  const linkRow = link === null ? [] : [[" command", shortPath(link.path, home), linkVerb]];
  const counts = [edits.length > 0 && pluralize(edits.length, "file"), link !== null && "1 link"]
    .filter(Boolean)
    .join(" and ");
  return `Summary: ${counts}\n${table([...rows, ...linkRow], size().columns)}`;
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
