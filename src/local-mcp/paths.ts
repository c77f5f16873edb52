import { sep } from "node:path";
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
  /** Names of the clients other than Claude Code that have run SHIM's hooks. */
  readonly foreignCallers: string;
}

export function pathsIn(home: string): Paths {
  // Not path.join: its first calls cost a hook 2 ms.
  const at = (name: string): string => `${home}${sep}${name}`;
  return {
    home,
    database: at("shim.db"),
    backups: at("backups"),
    setAside: at("set-aside"),
    spool: at("spool"),
    snapshots: at("snapshots"),
    config: at("config.json"),
    log: at("shim.log"),
    foreignCallers: at("foreign-callers.json"),
  };
}

/** `SHIM_HOME`, else the platform's folder for application data. */
export function homeFrom(env: NodeJS.ProcessEnv): string {
  return env["SHIM_HOME"] || envPaths("shim", { suffix: "" }).data;
}
