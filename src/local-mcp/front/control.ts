/** What a front and its worker tell each other. Requests travel with the client's messages and never reach the MCP server. */

export const afterEventMethod = "shim/after-event";

/** Ids of control requests begin with it, so that their answers never reach the client. */
export const controlPrefix = "shim-front:";

const pidVariable = "SHIM_FRONT_PID";
const clientVariable = "SHIM_FRONT_CLIENT_PID";
const restartVariable = "SHIM_FRONT_RESTART";

export interface Front {
  readonly pid: number;
  /** The process that started the front: the client, or a wrapper around it. */
  readonly clientPid: number;
  /** A worker of this front has died before. */
  readonly isRestart: boolean;
}

/** The environment of a worker. */
export function frontVariables({ pid, clientPid, isRestart }: Front): Record<string, string> {
  return { [pidVariable]: `${pid}`, [clientVariable]: `${clientPid}`, [restartVariable]: isRestart ? "1" : "" };
}

/** Null: this process was not started by a front. The variables may come from further up, so the parent must be the front. */
export function frontOf(env: NodeJS.ProcessEnv, parent: number): Front | null {
  const pid = Number(env[pidVariable]);
  if (pid !== parent) return null;
  return { pid, clientPid: Number(env[clientVariable]), isRestart: env[restartVariable] === "1" };
}
