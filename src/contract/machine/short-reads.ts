import type { MachineOperationName } from "./operations.ts";

/**
 * Reads of a few rows, which a command asks of a host that runs: so it loads neither the store nor
 * the declarations of all operations.
 */
export const shortReads: ReadonlySet<MachineOperationName> = new Set([
  "checkpoints.get",
  "experiments.list",
  "experiments.show",
  "notices.list",
  "phones.list",
  "sessions.find",
  "sessions.list",
  "sessions.show",
  "team.chats",
  "team.conflicts",
  "team.find-chat",
  "usage.list",
  "workspace.current",
  "workspace.status",
]);
