import { ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import { forgetEdge, readEdge, type Edge } from "../../local-mcp/authority.ts";
import * as choices from "../../local-mcp/sync/choice.ts";
import * as devices from "../../local-mcp/sync/device.ts";
import * as notes from "../../local-mcp/sync/notes.ts";
import { failed, notFound, type Refused } from "../answer.ts";
import type { Cli, Common, Outcome } from "../cli.ts";
import { remote } from "../coordination.ts";
import { adminGoes, decidedElsewhere } from "../edge-membership.ts";

export interface LeaveOptions extends Common {
  readonly yes?: boolean;
  readonly forget?: boolean;
}

/** [SY74] The copies at the coordinator stay or go, as the user says; this machine keeps what it has, and its keys. */
export async function leaveIt(cli: Cli, options: LeaveOptions): Promise<Outcome> {
  const elsewhere = decidedElsewhere(cli);
  if (elsewhere) return elsewhere;
  const old = readEdge(cli.paths.home);
  if (old.ok && old.value === null) return notFound("this machine has joined no workspace.");
  return leaveFrom(cli, options, old.ok ? old.value : null);
}

/** @param edge null: the file cannot be read */
async function leaveFrom(cli: Cli, options: LeaveOptions, edge: Edge | null): Promise<Outcome> {
  const name = edge ? `${edge.url}, workspace ${edge.workspace}` : "an unreadable edge.json";
  const not = await notConfirmed(cli, options, name, edge ? adminGoes(edge) : "");
  if (not) return not;
  const copies = await ofCopies(cli, options, edge);
  if (!copies.ok) return copies;
  forgetEdge(cli.paths.home);
  const { store } = await cli.runtime();
  if (store.isThere()) store.write(leaveAll);
  return ok({
    data: { left: name, purged: copies.value.purged },
    text: `Left ${name}; this machine decides for itself again.\n${copies.value.text}`,
  });
}

function leaveAll(sql: Sql): void {
  devices.leave(sql);
  notes.forget(sql);
  choices.forget(sql);
}

async function notConfirmed(cli: Cli, { yes }: LeaveOptions, name: string, lost: string): Promise<Refused | null> {
  const question = `Leave ${name}? The token is deleted here; revoke it there, too.${lost}`;
  const said = await cli.confirm(question, yes === true);
  if (said === "yes") return null;
  return failed("not_confirmed", said === "no" ? "nothing was changed." : `say so with --yes.${lost}`);
}

interface Copies {
  readonly purged: Purged | null;
  readonly text: string;
}

async function ofCopies(cli: Cli, options: LeaveOptions, edge: Edge | null): Promise<Result<Copies, Refused["error"]>> {
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

async function purge(edge: Edge, device: string): Promise<Result<Purged, Refused["error"]>> {
  const link = remote(edge, edge.token);
  if (!link.ok) return link;
  const purged = await link.value.call("sync.purge", { device });
  link.value.close();
  if (purged.ok || purged.error.code === "unknown_device")
    return purged.ok ? purged : ok({ sessions: 0, checkpoints: 0 });
  return failed(
    purged.error.code,
    `the copies were not deleted, so this machine has not left: ${purged.error.message} Without --forget it leaves, and they stay.`,
  );
}
