import { join } from "node:path";
import { adapterOf, supportedClients } from "../../../clients/adapters.ts";
import { claudeRun } from "../../../clients/claude-code/claude-run.ts";
import type { LimitStep } from "../../../contract/at-limit.ts";
import type { RemainingBudget } from "../../../contract/budgets.ts";
import type { HookClient } from "../../../contract/clients.ts";
import { canBlock, hasHookTool } from "../../../contract/hook-tool.ts";
import { edgeConfigPath } from "../../../coordinator-client/edge-config.ts";
import { serverCommand, serverName, setClaudeHooks } from "../../../installer/entries.ts";
import type { Settings } from "../../../installer/settings.ts";
import { successorVariable } from "../../../machine/recovery/successor.ts";
import { digest } from "../../../machine/sessions/entries.ts";
import type { Launch } from "../../../platform/launch.ts";
import { createPrivateFolder, inodeOf, writeAtomically } from "../../../platform/private-files.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import type { ClientWork } from "./client-run.ts";
import type { ClientDeps, Continuation } from "./continuation.ts";
import type { ClaudeSettings } from "./settings.ts";

/** How a client is started. */
export interface ClientCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Record<string, string>;
  readonly input: string;
  /** Keeps stdin open, and replaces INT. */
  readonly interruptLine?: string;
}

type CommandDeps = Omit<ClientDeps, "call">;

const shimTools = `mcp__${serverName}`;
const shimDeletingTool = `${shimTools}__shim_clear_state`;

/** After INT between two turns, Claude Code often ends without reporting its cost. */
const interruptLine = JSON.stringify({
  type: "control_request",
  request_id: "interrupt",
  request: { subtype: "interrupt" },
});

/** Claude Code without a terminal, with SHIM's server and hooks, in a session of SHIM's choice. */
export function claudeCommand(
  { runtime, launch, versionOf }: CommandDeps,
  { program, env }: Pick<ClientWork, "program" | "env">,
  args: readonly string[],
  { kind, session }: Pick<Continuation, "kind" | "session">,
  prompt: string,
): ClientCommand {
  const files = writeClaudeFiles(runtime, launch, versionOf(program));
  const ownArgs = [
    "-p",
    ...pair("--input-format", "stream-json"),
    ...claudeRun.args,
    ...pair("--mcp-config", files.mcpConfig),
    ...pair("--settings", files.settings),
  ];
  return {
    command: program,
    args: [...ownArgs, ...args, kind === "resume" ? "--resume" : "--session-id", session],
    env: clientEnvironment("claude-code", runtime.env, env, runtime.paths.home),
    // A message per line.
    input: `${JSON.stringify({ type: "user", message: { role: "user", content: prompt } })}\n`,
    interruptLine,
  };
}

/** Arguments hold nothing of a task, and deny what is not allowed without asking. */
export function taskArgs(
  settings: ClaudeSettings,
  model: string | undefined,
  effort: string | null,
  { costMicros }: RemainingBudget,
): string[] {
  const { maxTurns, settingSources } = settings;
  return [
    "--include-partial-messages",
    "--strict-mcp-config",
    ...pair("--setting-sources", settingSources.join(",")),
    ...permissions(settings),
    ...pair("--model", model),
    ...pair("--effort", effort ?? undefined),
    ...pair("--max-turns", maxTurns),
    ...pair("--max-budget-usd", costMicros === null ? undefined : (costMicros / 1_000_000).toFixed(6)),
  ];
}

function pair(option: string, value: string | number | undefined): string[] {
  return value === undefined ? [] : [option, String(value)];
}

function permissions({ allowAll, allowedTools, disallowedTools }: ClaudeSettings): string[] {
  const denied = ["--disallowedTools", shimDeletingTool, ...disallowedTools];
  if (allowAll) return [...pair("--permission-mode", "bypassPermissions"), ...denied];
  const names = allowedTools.map((rule) => rule.replace(/\(.*$/s, ""));
  const tools = [...new Set(names)].filter((name) => !name.startsWith("mcp__"));
  // Without it, a sub-agent's tokens are not reported.
  const forwarded = tools.some((name) => name === "Agent" || name === "Task") ? ["--forward-subagent-text"] : [];
  return [
    ...pair("--permission-mode", "dontAsk"),
    ...pair("--tools", tools.join(",")),
    "--allowedTools",
    shimTools,
    ...allowedTools,
    ...denied,
    ...forwarded,
  ];
}

/**
 * Changes nothing of the user's; names by content keep two copies of SHIM apart.
 *
 * @param version of Claude Code, such as "2.1.328 (Claude Code)"; null: unknown
 */
function writeClaudeFiles(
  { paths: { home }, config }: Runtime,
  launch: Launch,
  version: string | null,
): { readonly mcpConfig: string; readonly settings: string } {
  const server = hasHookTool(version) ? serverName : null;
  const isBlocking = config.team.blockUnchecked && canBlock(version);
  // Protects this machine's tokens. An absolute path in a rule begins with `//`.
  const tokens = edgeConfigPath(home).replaceAll("\\", "/");
  const settings: Settings = { permissions: { deny: ["Read", "Edit"].map((tool) => `${tool}(/${tokens})`) } };
  setClaudeHooks(settings, launch, { server, version, platform: process.platform, isBlocking });
  const folder = join(home, "worker-claude");
  createPrivateFolder(folder);
  const write = (name: string, value: object): string => {
    const text = JSON.stringify(value, null, 2);
    const path = join(folder, `${name}-${digest(text)}.json`);
    if (inodeOf(path) === null) writeAtomically(path, text);
    return path;
  };
  const mcpServers = { [serverName]: { type: "stdio", ...serverCommand(launch) } };
  return { mcpConfig: write("mcp", { mcpServers }), settings: write("settings", settings) };
}

type ClientWay = Extract<LimitStep, { readonly client: HookClient }>;

/**
 * How another client is started that continues a session.
 *
 * @param ownArgs arguments that precede the user's
 * @param successor the id to which the session that it continues was given
 */
export function otherCommand(
  { env, paths }: Pick<Runtime, "env" | "paths">,
  { client, program, args = [] }: ClientWay,
  variables: readonly string[],
  ownArgs: readonly string[],
  successor: string,
  prompt: string,
): ClientCommand {
  const commands = adapterOf(client)?.commands;
  if (!commands) throw new Error(`${client} cannot be started from a command line`);
  const line = commands.run(prompt, [...ownArgs, ...args]);
  return {
    command: program ?? line.command,
    args: line.args,
    input: line.input,
    env: { ...clientEnvironment(client, env, variables, paths.home), [successorVariable]: successor },
  };
}

/**
 * Passes no credential of a coordinator, nothing of an outer client, and of the variables
 * that clients read only those of this one.
 *
 * @param names further variables that it gets
 */
function clientEnvironment(
  client: HookClient,
  env: NodeJS.ProcessEnv,
  names: readonly string[],
  home: string,
): Record<string, string> {
  const extraNames = new Set(names);
  const own = adapterOf(client)?.variables.own(env) ?? [];
  const isPassed = (name: string): boolean => {
    if (extraNames.has(name)) return true;
    if (supportedClients.some(({ variables }) => variables.ofChat.test(name))) return false;
    return generalVariables.test(name) || own.some((variables) => variables.test(name));
  };
  const passed = Object.entries(env).filter((entry): entry is [string, string] => {
    const [name, value] = entry;
    return value !== undefined && isPassed(name);
  });
  return { ...Object.fromEntries(passed), SHIM_HOME: home };
}

const generalVariables = new RegExp(
  `^(${[
    "PATH|HOME|USER|LOGNAME|SHELL|TERM|TZ|LANG|LANGUAGE|LC_\\w+|TMPDIR|TEMP|TMP|XDG_\\w+|NO_COLOR|IS_SANDBOX",
    "https?_proxy|no_proxy|all_proxy|SSL_CERT_(FILE|DIR)|NODE_EXTRA_CA_CERTS",
    "SystemRoot|SystemDrive|windir|ComSpec|PATHEXT|USERPROFILE|HOMEDRIVE|HOMEPATH|(Local)?AppData|Program(Files|Data)(\\(x86\\))?",
  ].join("|")})$`,
  "i",
);
