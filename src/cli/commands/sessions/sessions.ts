import { resolve } from "node:path";
import type { Command } from "commander";
import { clientTitle } from "../../../clients/client-title.ts";
import { stateWords, type ShownState } from "../../../contract/chat-state.ts";
import type { SessionView } from "../../../contract/machine/sessions.ts";
import { findElsewhere } from "../../../local-mcp/recovery/remote-candidates.ts";
import { toSession } from "../../../local-mcp/recovery/remote-session.ts";
import { readRemoteState, stateOfDead } from "../../../local-mcp/recovery/remote-state.ts";
import * as remoteSessions from "../../../local-mcp/sync/remote-sessions.ts";
import type { RemoteSession } from "../../../local-mcp/sync/remote-sessions.ts";
import { oneLine } from "../../../shared/format.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import { limitOption, type Cli, type CommonOptions, type CommandResult } from "../../cli.ts";
import { shortPath, table } from "../../screen-text.ts";
import { withOtherMachines, type OtherMachines } from "../recover/other-machines.ts";

interface ListOptions extends CommonOptions {
  readonly incomplete?: boolean;
  readonly project?: string;
  readonly allMachines?: boolean;
  readonly limit?: number;
}

const defaultLimit = 20;

export function addSessions(program: Command, cli: Cli): Command {
  const command = program
    .command("sessions")
    .description("list sessions; `show <id>` prints what happened in one")
    .option("--incomplete", "only those that can be continued")
    .option("--project <folder>", "only those of this project")
    .option("--all-machines", "also those of the workspace's other machines")
    .addOption(limitOption(defaultLimit));
  return cli.define(command, (options: ListOptions) => list(cli, options));
}

async function list(
  cli: Cli,
  { incomplete = false, project, allMachines, limit }: ListOptions,
): Promise<CommandResult> {
  const folder = project === undefined ? {} : { project: resolve(cli.io.cwd, project) };
  const answer = await cli.call("sessions.list", omitUndefined({ ...folder, incomplete, limit }));
  if (!answer.ok) return answer;
  const { sessions, project: root } = answer.value;
  const text = sessions.length === 0 ? noneText(incomplete, root, allMachines === true) : sessionTable(cli, sessions);
  if (allMachines !== true) return ok({ data: { sessions }, text });
  const filter = { isIncomplete: incomplete, root, limit: limit ?? defaultLimit };
  const elsewhere = await listElsewhere(cli, filter);
  return ok({ data: { sessions, elsewhere: elsewhere ?? [] }, text: `${text}\n${othersText(cli, elsewhere)}` });
}

/** [CL88] Names this machine when other machines are in the same answer. */
function noneText(isIncomplete: boolean, root: string | null, isOfMany: boolean): string {
  const title = isIncomplete ? "No session died unfinished" : "No sessions";
  return `${title}${root === null ? "" : ` in ${root}`}${isOfMany ? " on this machine" : ""}.\n`;
}

function othersText(cli: Cli, elsewhere: readonly ElsewhereView[] | null): string {
  if (elsewhere === null)
    return "Other machines: none. This machine has not joined a workspace, or has no key of it (`shim join status`).\n";
  return elsewhere.length === 0 ? "Other machines: none.\n" : `Other machines:\n${elsewhereTable(cli, elsewhere)}`;
}

function sessionTable(cli: Cli, views: readonly SessionView[]): string {
  const home = cli.io.env["HOME"] ?? "";
  const rows = views.map((one) => [
    one.shortId,
    stateWords[one.state],
    one.detail ?? "-",
    clientTitle(one),
    cli.ago(one.lastSeenAt),
    one.savedAt === null ? "never" : cli.ago(one.savedAt),
    String(one.checkpoints),
    shortPath(one.project ?? "-", home),
    oneLine(one.title ?? "-", 60),
  ]);
  return table(
    [["ID", "STATE", "DETAIL", "CLIENT", "SEEN", "SAVED", "CHECKPOINTS", "PROJECT", "TITLE"], ...rows],
    cli.io.size().columns,
  );
}

/** Printed as JSON: fields are only added. */
interface ElsewhereView extends Pick<
  SessionView,
  | "id"
  | "shortId"
  | "state"
  | "detail"
  | "client"
  | "project"
  | "title"
  | "startedAt"
  | "lastSeenAt"
  | "savedAt"
  | "checkpoints"
> {
  readonly machine: string;
  readonly takenBy: { readonly chat: string; readonly machine: string } | null;
}

interface ElsewhereFilter {
  readonly isIncomplete: boolean;
  /** Root whose project filters the sessions; null: all. */
  readonly root: string | null;
  readonly limit: number;
}

/** [RE102] @returns null: this machine belongs to no workspace on an edge, or has no key of it */
function listElsewhere(cli: Cli, { isIncomplete, root, limit }: ElsewhereFilter): Promise<ElsewhereView[] | null> {
  return withOtherMachines(cli, async (others) => {
    if (others === null) return null;
    const { context, short } = others;
    const project = root === null ? undefined : await others.projectOf(root);
    if (isIncomplete) {
      const found = await findElsewhere(context, project, limit);
      return found.map((one) => toView(one.row, short, stateOfDead(one, cli.io.now(), null)));
    }
    const { runtime, mirror } = context;
    const rows = runtime.store.read(
      (sql) => remoteSessions.list(sql, mirror.workspace, project === undefined ? {} : { project }),
      [],
    );
    const shown = rows.filter(({ device }) => device !== mirror.device).slice(0, limit);
    return Promise.all(shown.map(async (row) => toView(row, short, await readRemoteState(context, row, short))));
  });
}

function toView(remote: RemoteSession, short: OtherMachines["short"], shown: ShownState): ElsewhereView {
  const { machine, checkpoints, taken } = remote;
  const { id, client, project, title, startedAt, lastSeenAt, savedAt } = toSession(remote);
  const takenBy = taken && { chat: taken.chat, machine: taken.machine };
  const row = { client, project, title, startedAt, lastSeenAt, savedAt, checkpoints };
  return { id, shortId: short(id), ...shown, machine, ...row, takenBy };
}

function elsewhereTable(cli: Cli, views: readonly ElsewhereView[]): string {
  const rows = views.map((one) => [
    one.shortId,
    stateWords[one.state],
    one.detail ?? "-",
    cli.ago(one.lastSeenAt),
    one.savedAt === null ? "never" : cli.ago(one.savedAt),
    String(one.checkpoints),
    one.machine,
    oneLine(one.project ?? "-", 40),
    oneLine(one.title ?? "-", 50),
  ]);
  const head = ["ID", "STATE", "DETAIL", "SEEN", "SAVED", "CHECKPOINTS", "MACHINE", "PROJECT THERE", "TITLE"];
  return table([head, ...rows], cli.io.size().columns);
}
