import type { Command } from "commander";
import { count, type Cli } from "../../cli.ts";
import type { InstallOptions, LogOptions } from "./service/install.ts";

export function addService(worker: Command, cli: Cli): void {
  const service = worker.command("service").description("let the system start `shim worker supervise` when you log in");
  const install = service
    .command("install")
    .description("write the file that starts it, and start it")
    .option("--dry-run", "only show the file")
    .option("-y, --yes", "do not ask");
  cli.define(install, async (options: InstallOptions) => (await actions()).installService(cli, options));
  const status = service.command("status").description("whether it is installed and running");
  cli.define(status, async () => (await actions()).status(cli));
  const uninstall = service
    .command("uninstall")
    .description("end it and remove the file; settings and sessions stay")
    .option("--dry-run", "only show what would be removed")
    .option("-y, --yes", "do not ask");
  cli.define(uninstall, async (options: InstallOptions) => (await actions()).uninstallService(cli, options));
  const logs = service
    .command("logs")
    .description("show its log")
    .option("--lines <n>", "the last n lines (default: 100)", count)
    .option("--follow", "follow new lines");
  cli.define(logs, async (options: LogOptions) => (await actions()).showLogs(cli, options));
}

function actions(): Promise<typeof import("./service/install.ts")> {
  return import("./service/install.ts");
}
