import { uuidv7 } from "../../../shared/ids.ts";
import { ok } from "../../../shared/result.ts";
import { brief } from "../../../local-mcp/recovery/brief.ts";
import * as remoteQueries from "../../../local-mcp/recovery/remote-queries.ts";
import { findElsewhere, isTaken } from "../../../local-mcp/recovery/remote-candidates.ts";
import { noteOf } from "../../../local-mcp/recovery/remote-notes.ts";
import { localClock } from "../../../local-mcp/recovery/remote-session.ts";
import { releaseSession, heldMessage, fetchHolder } from "../../../local-mcp/recovery/remote-takeover.ts";
import type { Restoration } from "../../../local-mcp/recovery/restoration.ts";
import { planStart, type StartPlan } from "../../../local-mcp/recovery/relaunch.ts";
import * as recoveries from "../../../local-mcp/sessions/recoveries.ts";
import * as sessions from "../../../local-mcp/sessions/sessions.ts";
import type { RemoteSession } from "../../../local-mcp/sync/remote-sessions.ts";
import { ambiguous, failed, type FailedResult } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { printedCode } from "../../coordinator-link.ts";
import { currentProject, withOtherMachines, type OtherMachines } from "./other-machines.ts";
import { oneLine } from "../../screen-text.ts";
import { startClient } from "./start-client.ts";

interface ResumeOptions extends CommonOptions {
  readonly print?: boolean;
}

export function resumeElsewhere(cli: Cli, id: string, options: ResumeOptions): Promise<CommandResult | null> {
  return withOtherMachines(cli, async (others) => {
    const row = others && remoteQueries.findById(others.context, id);
    return row ? resume(cli, others, row, options) : null;
  });
}

export function resumeNewest(cli: Cli, options: ResumeOptions): Promise<CommandResult | null> {
  return withOtherMachines(cli, async (others) => {
    const here = others && (await currentProject(cli, others));
    if (!here) return null;
    const found = await findElsewhere(others.context, here.project);
    const [first, second] = found.map(({ row }) => row);
    if (!first) return null;
    if (!second) return resume(cli, others, first, options);
    const lines = found.map(
      ({ row }) =>
        `${others.short(row.session)}  ${row.machine}  ${cli.ago(localClock(row)(row.content.lastSeenAt))}  ${oneLine(row.content.title ?? "untitled", 60)}`,
    );
    return ambiguous(
      `several sessions of this project died unfinished on other machines; name one:\n${lines.join("\n")}`,
      found.map(({ row }) => row.session),
    );
  });
}

export function markElsewhere(cli: Cli, id: string, action: "undo" | "dismiss"): Promise<CommandResult | null> {
  return withOtherMachines(cli, async (others) => {
    const row = others && remoteQueries.findById(others.context, id);
    if (!row) return null;
    return action === "undo" ? undo(others, row) : dismiss(others, row);
  });
}

async function undo({ context }: OtherMachines, row: RemoteSession): Promise<CommandResult> {
  const { session, machine } = row;
  const { store, now } = context.runtime;
  const note = store.read((sql) => noteOf(sql, session), null);
  if (note === null && row.taken === null) {
    const why = `${session} was neither offered, taken nor dismissed, so there is nothing to take back.`;
    return failed("nothing_to_undo", why);
  }
  const isOnlyHere = row.taken === null && note?.action !== "taken";
  if (isOnlyHere) store.write((sql) => recoveries.add(sql, { at: now(), sessionId: session, action: "undone" }));
  const given = isOnlyHere ? ok(null) : await releaseSession(context, row);
  if (!given.ok)
    return failed(
      printedCode(given.error),
      `${session} was not given back: ${given.error.message}. Nothing has changed.`,
    );
  const text = `${session} of ${machine} counts as incomplete again.\n`;
  return ok({ data: { session, machine, recovery: null }, text });
}

function dismiss({ context }: OtherMachines, { session, machine }: RemoteSession): CommandResult {
  const { store, now } = context.runtime;
  store.write((sql) => recoveries.add(sql, { at: now(), sessionId: session, action: "dismissed" }));
  return ok({
    data: { session, machine, recovery: "dismissed" },
    text: `${session} of ${machine} is not offered on this machine any more. \`shim resume --undo ${session}\` takes that back.\n`,
  });
}

async function resume(
  cli: Cli,
  others: OtherMachines,
  row: RemoteSession,
  options: ResumeOptions,
): Promise<CommandResult> {
  const { context } = others;
  const root = await findRoot(cli, others, row);
  const from = await remoteQueries.restore(context, row, root);
  const now = cli.io.now();
  const plan = planFor(context.runtime.random, from, row, now);
  const newId = plan?.newId ?? null;
  if (isPrinting(cli, options) || plan === null || newId === null) return toPrintedAnswer(from, row, plan, now);
  if (root === null) return notItsProject(row);
  return (await takeRefusal(others, row, from)) ?? start(cli, { context, row, newId, plan, root });
}

function isPrinting({ io }: Cli, { print, json }: ResumeOptions): boolean {
  return print === true || json === true || !io.isTty || !io.isInteractive;
}

async function findRoot(cli: Cli, others: OtherMachines, { project }: RemoteSession): Promise<string | null> {
  const here = await currentProject(cli, others);
  return here !== null && here.project === project ? here.root : null;
}

function planFor(
  random: (bytes: number) => Uint8Array,
  from: Restoration,
  { machine }: RemoteSession,
  now: number,
): StartPlan | null {
  const transcript = { isWhole: false, reason: `its transcript is on ${machine}` } as const;
  return planStart(from.session, transcript, { id: uuidv7(now, random(16)), brief: brief(from, now, "resume") });
}

function toPrintedAnswer(
  from: Restoration,
  { machine }: RemoteSession,
  plan: StartPlan | null,
  now: number,
): CommandResult {
  const text = brief(from, now, "brief");
  const { session, cause, causeDetail, score } = from;
  const start = plan && { kind: plan.kind, command: plan.command, reason: plan.reason, cwd: session.project };
  return ok({
    data: { session: session.id, machine, cause, causeDetail, score, brief: text, start },
    text: `${text}\n`,
  });
}

async function takeRefusal(
  { context, isStale }: OtherMachines,
  row: RemoteSession,
  from: Restoration,
): Promise<FailedResult | null> {
  const { session, machine } = row;
  const refused = (code: string, why: string): FailedResult => failed(code, `${why} ${printHint(row)}`);
  if (row.isEnded) return refused("finished", `session ${session} was finished on ${machine}.`);
  if (isStale) return refused("unreachable", "whether another chat continues it is not known now.");
  if (from.cause === null) return refused("still_running", `session ${session} on ${machine}: ${from.causeDetail}`);
  const holder = await fetchHolder(context.link, session);
  if (holder !== null && holder.chat !== session) return failed("held", heldMessage(session, machine, holder));
  if (!(await isTaken(context, row))) return null;
  return refused("held", `session ${session} is continued by chat ${row.taken?.chat} on ${row.taken?.machine}.`);
}

function notItsProject(row: RemoteSession): FailedResult {
  const there = row.content.project ?? "no project";
  const why = `this folder is not its project (${there} on ${row.machine}): go to that project's folder on this machine, then again.`;
  return failed("project_elsewhere", `${why} ${printHint(row)}`);
}

function printHint({ session }: RemoteSession): string {
  return `\`shim resume ${session} --print\` prints the brief.`;
}

interface StartInput {
  readonly context: OtherMachines["context"];
  readonly row: RemoteSession;
  readonly newId: string;
  readonly plan: StartPlan;
  readonly root: string;
}

/** [RE26] The new chat takes the session over when it joins; without a start nothing changes. */
async function start(cli: Cli, { context, row, newId, plan, root }: StartInput): Promise<CommandResult> {
  const { store, now } = context.runtime;
  const note = (action: "taken" | "undone", by?: string): void =>
    store.write((sql) =>
      recoveries.add(sql, { at: now(), sessionId: row.session, action, ...(by === undefined ? {} : { by }) }),
    );
  note("taken", newId);
  try {
    return await startClient(cli, row.session, plan, root);
  } finally {
    const hasBegun = store.read((sql) => sessions.get(sql, newId) !== null, false);
    if (!hasBegun) note("undone");
  }
}
