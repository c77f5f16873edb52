import { spawnSync } from "node:child_process";
import type { Limits } from "../analysis/report.ts";

/** How programs are kept from the network and from too much memory on this system. */
export interface Isolation {
  /** Words before a command, which then has no network. */
  readonly namespace: readonly string[];
  readonly network: Limits["network"];
  readonly memory: Limits["memory"];
}

const probeMs = 5_000;
const bytesPerMb = 1_048_576;

/**
 * [AN13] Asks the system once what it allows: a network namespace without interfaces, and a limit
 * of the data of each process. Linux only.
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
  const hasLimit = canRun(limitWords(1_024));
  return {
    namespace: namespace ?? [],
    network: namespace ? "blocked" : "open",
    memory: hasLimit ? "process" : "node",
  };
}

/** Words before a command whose processes cannot have more than so much memory each. */
export function isolationWords({ namespace, memory }: Isolation, memoryMb: number): string[] {
  return [...namespace, ...(memory === "process" ? limitWords(memoryMb) : [])];
}

function limitWords(memoryMb: number): string[] {
  return ["prlimit", `--data=${memoryMb * bytesPerMb}`];
}
