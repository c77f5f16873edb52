import { join } from "node:path";
import { adapterOf } from "../../../clients/adapters.ts";
import { clientEnvironment } from "../../../clients/client-environment.ts";
import { detailsOf } from "../../../clients/details.ts";
import type { DrivenFiles } from "../../../clients/adapter/run-output.ts";
import type { LimitStep } from "../../../contract/config.ts";
import type { HookClient } from "../../../contract/clients.ts";
import { edgeConfigPath } from "../../../coordinator-client/edge-config.ts";
import { serverCommand, serverName, setClaudeHooks } from "../../../installer/entries.ts";
import type { Settings } from "../../../installer/settings.ts";
import { successorVariable } from "../../../machine/recovery/incomplete/successor.ts";
import { digest } from "../../../machine/sessions/entries.ts";
import type { Launch } from "../../../platform/shim-command.ts";
import { createPrivateFolder, inodeOf, writeAtomically } from "../../../platform/private-files.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import type { ClientWork, Continuation } from "./continuation.ts";
import type { ClientDeps } from "../machine-deps.ts";

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

/** A client without a terminal, with SHIM's server and hooks, in a session of SHIM's choice. */
export function drivenCommand(
  { runtime, launch, versionOf }: CommandDeps,
  { client: { name }, program, env }: Pick<ClientWork, "client" | "program" | "env">,
  args: readonly string[],
  { kind, session }: Pick<Continuation, "kind" | "session">,
  prompt: string,
): ClientCommand {
  const driven = detailsOf(name)?.driven;
  if (!driven) throw new Error(`${name} is not run in sessions of SHIM's choice`);
  const files = writeFiles(runtime, launch, versionOf(program));
  return {
    command: program,
    args: driven.args(args, files, session, kind === "resume"),
    env: clientEnvironment(name, runtime.env, env, runtime.paths.home),
    input: driven.input(prompt),
    interruptLine: driven.interruptLine,
  };
}

/**
 * Changes nothing of the user's; names by content keep two copies of SHIM apart.
 *
 * @param version as the client prints it; null: unknown
 */
function writeFiles({ paths: { home } }: Runtime, launch: Launch, version: string | null): DrivenFiles {
  // Protects this machine's tokens. An absolute path in a rule begins with `//`.
  const tokens = edgeConfigPath(home).replaceAll("\\", "/");
  const settings: Settings = { permissions: { deny: ["Read", "Edit"].map((tool) => `${tool}(/${tokens})`) } };
  setClaudeHooks(settings, launch, { server: serverName, version, platform: process.platform });
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
