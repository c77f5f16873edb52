import type { Command } from "commander";
import type { HostStatus } from "../../contract/machine/installation.ts";
import { pluralize } from "../../shared/format.ts";
import { addGroup, type Cli } from "../cli.ts";
import { define } from "../operation-command.ts";

export function addCommand(program: Command, cli: Cli): void {
  const command = addGroup(program, "host", "the process that serves all chats of this machine");
  define(cli, command, "status", {
    operation: "host.status",
    view: ({ host, failure }) => [
      host === null
        ? `No host runs. ${failure === undefined ? "The next chat starts one." : `The last one could not start: ${failure}`}`
        : `${name(host)} runs, started ${cli.ago(host.startedAt)}: ${pluralize(host.chats.filter(({ isConnected }) => isConnected).length, "chat")} connected.`,
    ],
  });
  define(cli, command, "stop", {
    operation: "host.stop",
    view: ({ host }) => [
      host === null ? "No host runs." : `${name(host)} ends. Open chats continue with the next one.`,
    ],
  });
}

function name({ pid, version }: HostStatus): string {
  return `The host (process ${pid}, SHIM ${version})`;
}
