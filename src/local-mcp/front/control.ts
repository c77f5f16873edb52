/** Requests travel with the client's messages and never reach the MCP server. */

export const afterEventMethod = "shim/after-event";

/** Marks control requests, whose answers must not reach the client. */
export const controlPrefix = "shim-front:";

const pidVariable = "SHIM_FRONT_PID";
const clientVariable = "SHIM_FRONT_CLIENT_PID";
const restartVariable = "SHIM_FRONT_RESTART";

export interface Front {
  readonly pid: number;
  readonly clientPid: number;
  readonly isRestart: boolean;
}

export function frontVariables({ pid, clientPid, isRestart }: Front): Record<string, string> {
  return { [pidVariable]: `${pid}`, [clientVariable]: `${clientPid}`, [restartVariable]: isRestart ? "1" : "" };
}

/** Variables may be inherited from further up, so the parent must be the front. */
export function frontOf(env: NodeJS.ProcessEnv, parent: number): Front | null {
  const pid = Number(env[pidVariable]);
  if (pid !== parent) return null;
  return { pid, clientPid: Number(env[clientVariable]), isRestart: env[restartVariable] === "1" };
}
