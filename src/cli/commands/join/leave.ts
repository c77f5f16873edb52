import { pluralize } from "../../../shared/format.ts";
import { ok } from "../../../shared/result.ts";
import type { Sql } from "../../../shared/sql.ts";
import { removeEdgeConfig, readEdgeConfig, type EdgeConfig } from "../../../coordinator-client/edge-config.ts";
import * as joinPreferences from "../../../local-mcp/sync/join-preferences.ts";
import * as devices from "../../../local-mcp/sync/device.ts";
import { forgetNotes } from "../../../local-mcp/sync/sync-status.ts";
import { failed, notFound, type CliResult } from "../../answer.ts";
import { requireYes } from "../../require-yes.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { adminLossText, environmentConflict } from "./membership.ts";

export interface LeaveOptions extends CommonOptions {
  readonly yes?: boolean;
  readonly forget?: boolean;
}

/** [SY74] The user decides about the coordinator's copies; this machine keeps data and keys. */
export async function leaveWorkspace(cli: Cli, options: LeaveOptions): Promise<CommandResult> {
  const elsewhere = environmentConflict(cli);
  if (elsewhere) return elsewhere;
  const current = readEdgeConfig(cli.paths.home);
  if (current.ok && current.value === null) return notFound("this machine has not joined a workspace.");
  return leaveEdge(cli, options, current.ok ? current.value : null);
}

async function leaveEdge(cli: Cli, options: LeaveOptions, edge: EdgeConfig | null): Promise<CommandResult> {
  const name = edge ? `${edge.url}, workspace ${edge.workspace}` : "an unreadable edge.json";
  const lost = edge ? adminLossText(edge) : "";
  const question = `Leave ${name}? The token is deleted here; also revoke it there.${lost}`;
  const refused = await requireYes(cli, question, options, `confirm with --yes.${lost}`);
  if (refused) return refused;
  const copies = await purgeCopies(cli, options, edge);
  if (!copies.ok) return copies;
  removeEdgeConfig(cli.paths.home);
  const { store } = await cli.runtime();
  if (store.exists()) store.write(leaveAll);
  return ok({
    data: { left: name, purged: copies.value.purged },
    text: `Left ${name}; this machine is its own coordinator again.\n${copies.value.text}`,
  });
}

function leaveAll(sql: Sql): void {
  devices.leave(sql);
  forgetNotes(sql);
  joinPreferences.forget(sql);
}

interface Copies {
  readonly purged: Purged | null;
  readonly text: string;
}

async function purgeCopies(cli: Cli, options: LeaveOptions, edge: EdgeConfig | null): Promise<CliResult<Copies>> {
  const device = (await cli.runtime()).store.read(devices.get, null);
  if (!edge || !device) return ok({ purged: null, text: "" });
  if (!(await wantsForget(cli, options)))
    return ok({
      purged: null,
      text: "Its sessions stay there until they are too old; the key stays on this machine.\n",
    });
  const purged = await purge(cli, edge, device.device);
  if (!purged.ok) return purged;
  const { sessions, checkpoints } = purged.value;
  return ok({
    purged: purged.value,
    text: `${pluralize(sessions, "session")} and ${pluralize(checkpoints, "checkpoint")} of this machine were deleted there.\n`,
  });
}

async function wantsForget(cli: Cli, { yes, forget }: LeaveOptions): Promise<boolean> {
  if (forget === true || yes === true) return forget === true;
  const question = "Also delete what this machine has stored there (sealed sessions and checkpoints)?";
  return (await cli.confirm(question, false)) === "yes";
}

interface Purged {
  readonly sessions: number;
  readonly checkpoints: number;
}

async function purge(cli: Cli, edge: EdgeConfig, device: string): Promise<CliResult<Purged>> {
  const purged = await cli.withWorkspace((link) => link.call("sync.purge", { device }), edge);
  if (purged.ok || purged.error.code === "unknown_device")
    return purged.ok ? purged : ok({ sessions: 0, checkpoints: 0 });
  return failed(
    purged.error.code,
    `the copies were not deleted, so this machine has not left: ${purged.error.message} Without --forget it leaves, and they stay.`,
  );
}
