import { spawnSync } from "node:child_process";
import type { Limits } from "../analysis/report.ts";

/** How programs are kept from the network on this system, and whether their memory is limited. */
export interface Isolation {
  /** Words before a command, which then has no network. */
  readonly namespace: readonly string[];
  readonly network: Limits["network"];
  readonly memory: Limits["memory"];
}

const probeMs = 5_000;

/**
 * [AN13] Asks the system once what it allows: a network namespace without interfaces. Linux only,
 * as is the limit of memory.
 *
 * @param path where programs are searched
 */
export function probeIsolation(path: string): Isolation {
  const canRun = ([program = "", ...args]: readonly string[]): boolean =>
    process.platform === "linux" &&
    spawnSync(program, [...args, "true"], { stdio: "ignore", timeout: probeMs, env: { PATH: path } }).status === 0;
  const namespace = [
    ["unshare", "--net"],
    // Files of other users cannot be written in a namespace of users, whatever the user may do.
    ["unshare", "--map-root-user", "--net"],
  ].find(canRun);
  return {
    namespace: namespace ?? [],
    network: namespace ? "blocked" : "open",
    memory: process.platform === "linux" ? "process" : "node",
  };
}
