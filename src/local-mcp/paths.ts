import { join } from "node:path";
import envPaths from "env-paths";

/** Everything SHIM keeps on this machine stands below one folder; `SHIM_HOME` moves it. */
export interface Paths {
  readonly home: string;
  readonly database: string;
  readonly backups: string;
  readonly setAside: string;
  readonly spool: string;
  readonly snapshots: string;
  readonly config: string;
  readonly log: string;
}

export function pathsIn(home: string): Paths {
  return {
    home,
    database: join(home, "shim.db"),
    backups: join(home, "backups"),
    setAside: join(home, "set-aside"),
    spool: join(home, "spool"),
    snapshots: join(home, "snapshots"),
    config: join(home, "config.json"),
    log: join(home, "shim.log"),
  };
}

/** `SHIM_HOME`, else the platform's folder for application data. */
export function homeFrom(env: NodeJS.ProcessEnv): string {
  return env["SHIM_HOME"] || envPaths("shim", { suffix: "" }).data;
}
