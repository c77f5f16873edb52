import type { Command } from "commander";
import { pluralize } from "../../../shared/format.ts";
import { ok } from "../../../shared/result.ts";
import { notFound } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { requireYes } from "../../require-yes.ts";
import { adminLossText } from "./membership.ts";

interface LeaveOptions extends CommonOptions {
  readonly yes?: boolean;
  readonly forget?: boolean;
}

export function addLeave(join: Command, cli: Cli): void {
  const leave = join
    .command("leave")
    .description("leave the workspace, and use this machine's own coordinator again")
    .option("--forget", "also delete what this machine has stored there")
    .option("-y, --yes", "do not ask");
  cli.define(leave, (options: LeaveOptions) => leaveWorkspace(cli, options));
}

/** [SY74] The user decides about the coordinator's copies; this machine keeps data and keys. */
async function leaveWorkspace(cli: Cli, options: LeaveOptions): Promise<CommandResult> {
  const current = await cli.call("workspace.current", {});
  if (!current.ok) return current;
  const { joined, problem } = current.value;
  if (joined === null && problem === null) return notFound("this machine has not joined a workspace.");
  const name = joined ? `${joined.url}, workspace ${joined.workspace}` : "an unreadable edge.json";
  const lost = joined ? adminLossText(joined) : "";
  const question = `Leave ${name}? The token is deleted here; also revoke it there.${lost}`;
  const refused = await requireYes(cli, question, options, `confirm with --yes.${lost}`);
  if (refused) return refused;
  const hasCopies = joined?.hasSynced === true;
  const left = await cli.call("workspace.leave", { forget: hasCopies && (await wantsForget(cli, options)) });
  if (!left.ok) return left;
  const { purged } = left.value;
  const deleted =
    purged &&
    `${pluralize(purged.sessions, "session")} and ${pluralize(purged.checkpoints, "checkpoint")} of this machine were deleted there.\n`;
  const kept = hasCopies ? "Its sessions stay there until they are too old; the key stays on this machine.\n" : "";
  const text = `Left ${name}; this machine is its own coordinator again.\n${deleted ?? kept}`;
  return ok({ data: left.value, text });
}

async function wantsForget(cli: Cli, { yes, forget }: LeaveOptions): Promise<boolean> {
  if (forget === true || yes === true) return forget === true;
  const question = "Also delete what this machine has stored there (sealed sessions and checkpoints)?";
  return (await cli.confirm(question, false)) === "yes";
}
