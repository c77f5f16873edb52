import { ok, type Result } from "../../../shared/result.ts";
import type { Sql } from "../../../shared/sql.ts";
import { removeEdgeConfig, readEdgeConfig, type EdgeConfig } from "../../../coordinator-client/edge-config.ts";
import * as joinPreferences from "../../../local-mcp/sync/join-preferences.ts";
import * as devices from "../../../local-mcp/sync/device.ts";
import * as notes from "../../../local-mcp/sync/sync-notes.ts";
import { failed, notFound, type FailedResult } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { callEdge } from "../../coordinator-link.ts";
import { adminLossText, environmentConflict } from "./edge-membership.ts";

export interface LeaveOptions extends CommonOptions {
  readonly yes?: boolean;
  readonly forget?: boolean;
}

/** [SY74] The user decides about the coordinator's copies; this machine keeps data and keys. */
export async function leaveWorkspace(cli: Cli, options: LeaveOptions): Promise<CommandResult> {
  const elsewhere = environmentConflict(cli);
  if (elsewhere) return elsewhere;
  const current = readEdgeConfig(cli.paths.home);
  if (current.ok && current.value === null) return notFound("this machine has joined no workspace.");
  return leaveEdge(cli, options, current.ok ? current.value : null);
}

async function leaveEdge(cli: Cli, options: LeaveOptions, edge: EdgeConfig | null): Promise<CommandResult> {
  const name = edge ? `${edge.url}, workspace ${edge.workspace}` : "an unreadable edge.json";
  const notConfirmedError = await notConfirmed(cli, options, name, edge ? adminLossText(edge) : "");
  if (notConfirmedError) return notConfirmedError;
  const copies = await purgeCopies(cli, options, edge);
  if (!copies.ok) return copies;
  removeEdgeConfig(cli.paths.home);
  const { store } = await cli.runtime();
  if (store.exists()) store.write(leaveAll);
  return ok({
    data: { left: name, purged: copies.value.purged },
    text: `Left ${name}; this machine decides for itself again.\n${copies.value.text}`,
  });
}

function leaveAll(sql: Sql): void {
  devices.leave(sql);
  notes.forget(sql);
  joinPreferences.forget(sql);
}

async function notConfirmed(cli: Cli, { yes }: LeaveOptions, name: string, lost: string): Promise<FailedResult | null> {
  const question = `Leave ${name}? The token is deleted here; revoke it there, too.${lost}`;
  const reply = await cli.confirm(question, yes === true);
  if (reply === "yes") return null;
  return failed("not_confirmed", reply === "no" ? "nothing was changed." : `say so with --yes.${lost}`);
}

interface Copies {
  readonly purged: Purged | null;
  readonly text: string;
}

async function purgeCopies(
  cli: Cli,
  options: LeaveOptions,
  edge: EdgeConfig | null,
): Promise<Result<Copies, FailedResult["error"]>> {
  const device = (await cli.runtime()).store.read(devices.get, null);
  if (!edge || !device) return ok({ purged: null, text: "" });
  if (!(await wantsForget(cli, options)))
    return ok({
      purged: null,
      text: "What it has stored there stays until it is too old; the key stays on this machine.\n",
    });
  const purged = await purge(edge, device.device);
  if (!purged.ok) return purged;
  const { sessions, checkpoints } = purged.value;
  return ok({
    purged: purged.value,
    text: `There ${sessions} sessions and ${checkpoints} checkpoints of it were deleted.\n`,
  });
}

async function wantsForget(cli: Cli, { yes, forget }: LeaveOptions): Promise<boolean> {
  if (forget === true || yes === true) return forget === true;
  const question = "Delete what this machine has stored there (sealed sessions and checkpoints), too?";
  return (await cli.confirm(question, false)) === "yes";
}

interface Purged {
  readonly sessions: number;
  readonly checkpoints: number;
}

async function purge(edge: EdgeConfig, device: string): Promise<Result<Purged, FailedResult["error"]>> {
  const purged = await callEdge(edge, edge.token, "sync.purge", { device });
  if (purged.ok || purged.error.code === "unknown_device")
    return purged.ok ? purged : ok({ sessions: 0, checkpoints: 0 });
  return failed(
    purged.error.code,
    `the copies were not deleted, so this machine has not left: ${purged.error.message} Without --forget it leaves, and they stay.`,
  );
}
