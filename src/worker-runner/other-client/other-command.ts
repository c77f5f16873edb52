import { successorVariable } from "../../local-mcp/recovery/successor.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { clientEnvironment } from "../client/environment.ts";
import type { AtLimit, StartableClient } from "./at-limit.ts";

export interface OtherCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Record<string, string>;
  readonly input: string;
}

export interface OtherRequest {
  readonly prompt: string;
  /** The id to which the session that it continues was given. */
  readonly successor: string;
  /** Names of further variables of the environment. */
  readonly variables: readonly string[];
  /** Arguments of SHIM's own, which precede the user's. */
  readonly ownArgs?: readonly string[];
}

/** [CA51] How another client is started that continues a session. */
export function otherCommand(
  { env, paths }: Pick<Runtime, "env" | "paths">,
  { name, commands }: StartableClient,
  { program, args }: Pick<AtLimit, "program" | "args">,
  { prompt, successor, variables, ownArgs = [] }: OtherRequest,
): OtherCommand {
  const line = commands.run(prompt, [...ownArgs, ...args]);
  return {
    command: program ?? line.command,
    args: line.args,
    input: line.input,
    env: { ...clientEnvironment(name, env, variables, paths.home), [successorVariable]: successor },
  };
}
