import { clientMarks } from "./foreign-callers.ts";

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
  "COPILOT_CLI_BINARY_VERSION",
  "COPILOT_HOME",
  "HOME",
  "PATH",
  "QWEN_CODE_STARTUP_VERSION",
  "SHIM_CLIENT_PID",
  "SHIM_SUCCESSOR",
  "SHIM_TASK",
];

/** Variables that are only looked for: their values, of which some are folders, are not sent. */
export const markVariables: readonly string[] = [
  "CLAUDE_PLUGIN_ROOT",
  ...clientMarks.flatMap(([, variables]) => variables),
];

const headerPrefix = "shim-env-";

/** Its value follows an equals sign, because curl sends no header without a value. */
export function headerOf(variable: string): string {
  return `${headerPrefix}${variable.toLowerCase().replaceAll("_", "-")}`;
}

/**
 * The environment of the caller: of the variables above none is the host's.
 *
 * @param headers as node:http has them, each byte a character
 */
export function callerEnv(
  own: NodeJS.ProcessEnv,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): NodeJS.ProcessEnv {
  const sent = [...valueVariables, ...markVariables].map((name) => [name, textOf(headers[headerOf(name)])] as const);
  return { ...own, ...Object.fromEntries(sent) };
}

function textOf(header: string | string[] | undefined): string | undefined {
  if (typeof header !== "string" || !header.startsWith("=")) return undefined;
  return Buffer.from(header.slice(1), "latin1").toString();
}
