import type { HostRequest } from "../../platform/host-request.ts";

/**
 * The variables of a hook's process that an answer may depend on. The build writes them into
 * `shim-hook`, which sends them to the host; the host has those of the chat that started it.
 */
export const valueVariables: readonly string[] = [
  "CLAUDECODE",
  "CLAUDE_CODE_AUTO_COMPACT_WINDOW",
  "CLAUDE_CODE_DISABLE_1M_CONTEXT",
  "CLAUDE_CODE_ENTRYPOINT",
  "CLAUDE_CODE_MAX_CONTEXT_TOKENS",
  "CLAUDE_CODE_SESSION_ID",
  "CLAUDE_CODE_USE_BEDROCK",
  "CLAUDE_CODE_USE_FOUNDRY",
  "CLAUDE_CODE_USE_VERTEX",
  "CLAUDE_PID",
  "CLAUDE_PLUGIN_ROOT",
  "COPILOT_CLI_BINARY_VERSION",
  "COPILOT_HOME",
  "HOME",
  "PATH",
  "QWEN_CODE_STARTUP_VERSION",
  "SHIM_CLIENT_PID",
  "SHIM_SUCCESSOR",
  "SHIM_TASK",
];

/** The header of the caller's home. */
export const homeHeader = "shim-home";
/** The line of proc(5) by which a hook's process describes itself; its parent is the client. */
export const processHeader = "shim-process";
/** The same of a client that sends its events itself. */
export const clientHeader = "shim-client";

export const headerPrefix = "shim-env-";

/** The value of the script follows an equals sign, that of a program a percent sign. */
export function headerOf(variable: string): string {
  return `${headerPrefix}${variable.toLowerCase().replaceAll("_", "-")}`;
}

/** Home and environment of a program, of any characters. */
function callerHeaders(home: string, env: NodeJS.ProcessEnv): Record<string, string> {
  const sent = [[homeHeader, home] as const, ...valueVariables.map((name) => [headerOf(name), env[name]] as const)];
  return Object.fromEntries(
    sent.flatMap(([name, value]) => (value === undefined ? [] : [[name, `%${encodeURIComponent(value)}`]])),
  );
}

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/**
 * The environment of the caller: of the variables above none is the host's.
 *
 * @param headers as node:http has them, each byte a character
 */
export function callerEnv(own: NodeJS.ProcessEnv, headers: Headers): NodeJS.ProcessEnv {
  const sent = valueVariables.map((name) => [name, valueOf(headers, headerOf(name))] as const);
  return { ...own, ...Object.fromEntries(sent) };
}

/** @returns what the header holds as text; undefined for one that was not sent */
export function valueOf(headers: Headers, name: string): string | undefined {
  const header = headers[name];
  if (typeof header !== "string") return undefined;
  const text = header.slice(1);
  if (header.startsWith("=")) return Buffer.from(text, "latin1").toString();
  return header.startsWith("%") ? decodeURIComponent(text) : undefined;
}

interface PostedEvent {
  readonly client: string;
  /** The client's name of it. */
  readonly event: string;
  readonly input: string;
  /** The header by which the sender describes its process. */
  readonly sender: Readonly<Record<string, string>>;
  /** Ends the wait for the answer. */
  readonly signal: AbortSignal;
}

/** The request by which a program other than `shim-hook` gives an event to the host of a home. */
export function eventRequest(
  home: string,
  env: NodeJS.ProcessEnv,
  { client, event, input, sender, signal }: PostedEvent,
): HostRequest {
  const headers = { ...callerHeaders(home, env), ...sender };
  return { method: "POST", path: `/hook/${client}/${event}`, headers, body: input, signal };
}
