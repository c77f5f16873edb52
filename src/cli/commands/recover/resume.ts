import { oneLine } from "../../../shared/format.ts";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { Option, type Command } from "commander";
import { adapterOf, supportedClients } from "../../../clients/adapters.ts";
import { ok, type Result } from "../../../shared/result.ts";
import { drainInto } from "../../../local-mcp/hooks/spool-hook.ts";
import { scoredBrief } from "../../../local-mcp/recovery/brief.ts";
import {
  findIncomplete,
  findOpenOffer,
  type IncompleteSession,
  type OpenOffer,
} from "../../../local-mcp/recovery/detect.ts";
import { recordFinishedHere } from "../../../local-mcp/recovery/finished-tasks.ts";
import { localSource } from "../../../local-mcp/recovery/local-source.ts";
import { planRelaunch, type StartPlan } from "../../../local-mcp/recovery/relaunch.ts";
import * as audit from "../../../local-mcp/audit/machine-audit.ts";
import { findElsewhere } from "../../../local-mcp/recovery/remote-candidates.ts";
import { stateOfDead } from "../../../local-mcp/recovery/remote-state.ts";
import { readState } from "../../../local-mcp/recovery/session-state.ts";
import { localClock } from "../../../local-mcp/recovery/remote-session.ts";
import { findById, remoteSource } from "../../../local-mcp/recovery/remote-source.ts";
import type { Restoration } from "../../../local-mcp/recovery/restoration.ts";
import { importTranscript } from "../../../local-mcp/portable/import-transcript.ts";
import type { RecoverySource } from "../../../local-mcp/recovery/source.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { catchUp } from "../../../local-mcp/observe/record-transcript.ts";
import { projectRoot } from "../../../local-mcp/sessions/git-head.ts";
import { hasDied } from "../../../local-mcp/sessions/closed-sessions.ts";
import * as sessions from "../../../local-mcp/sessions/sessions.ts";
import type { RemoteSession } from "../../../local-mcp/sync/remote-sessions.ts";
import { StoreError } from "../../../store/store-error.ts";
import {
  ambiguous,
  exitCodes,
  failed,
  notFound,
  wrongUsage,
  type CommandError,
  type FailedResult,
  fromHost,
  printedCode,
} from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { offeredText, stateText } from "../../../contract/chat-state.ts";
import { quotedTitle } from "../../../local-mcp/recovery/user-lines.ts";
import { findSession, shortSession } from "../../../local-mcp/host/resolve-id.ts";
import { currentProject, withOtherMachines, type OtherMachines } from "./other-machines.ts";
import { printHint, start } from "./start-client.ts";

interface ResumeOptions extends CommonOptions {
  readonly print?: boolean;
  readonly undo?: string;
  readonly dismiss?: string;
  readonly in?: string;
  readonly fromTranscript?: string;
}

const startable = supportedClients.filter(({ commands }) => commands !== null).map(({ name }) => name);

export function addResume(program: Command, cli: Cli): void {
  const command = program
    .command("resume [session]")
    .description("continue a session that died, or print its brief")
    .option("--print", "only print the brief")
    .option("--from-transcript <file>", "continue a session that SHIM has not recorded, from its client's transcript")
    .addOption(new Option("--in <client>", "continue it in a new chat of this client").choices(startable))
    .option("--undo <session>", "undo an offer, a recovery or a dismissal: the session counts as incomplete again")
    .option("--dismiss <session>", "never offer this session again");
  cli.define(command, (options: ResumeOptions, id?: string) => run(cli, options, id));
}

async function run(cli: Cli, options: ResumeOptions, id: string | undefined): Promise<CommandResult> {
  const { undo: undone, dismiss: dismissed, fromTranscript } = options;
  const actions = [id, undone, dismissed, fromTranscript].filter((value) => value !== undefined);
  if (actions.length > 1)
    return wrongUsage("give one session: to resume, with --undo, with --dismiss, or with --from-transcript.");
  const runtime = await cli.runtime();
  if (fromTranscript !== undefined) return resumeTranscript(cli, runtime, fromTranscript, options);
  if (options.undo !== undefined)
    return withSession(cli, runtime, options.undo, audited(runtime, "session.offered-again", undo));
  if (options.dismiss !== undefined)
    return withSession(cli, runtime, options.dismiss, audited(runtime, "session.dismissed", dismiss));
  tryCatchUp(cli, () => void drainInto(runtime));
  recordFinishedHere(runtime);
  if (id !== undefined) return withSession(cli, runtime, id, (target) => resumeHere(cli, runtime, target, options));
  const found = await choose(cli, runtime, options);
  if (found.ok) return resumeHere(cli, runtime, localTarget(runtime, found.value), options);
  if (found.error.exit !== exitCodes.notFound) return found;
  return (await withOtherMachines(cli, (others) => resumeNewest(cli, runtime, others, options))) ?? found;
}

/** [PO5] */
function resumeTranscript(
  cli: Cli,
  runtime: Runtime,
  file: string,
  options: ResumeOptions,
): Promise<CommandResult> | CommandResult {
  const path = resolve(cli.io.cwd, file);
  if (!existsSync(path)) return notFound(`there is no file ${path}.`);
  const imported = importTranscript(runtime, { path, folder: cli.io.cwd });
  if (!imported.ok) return failed("transcript_unusable", `${path}: ${imported.error}. Nothing was stored.`);
  const { session, isNew } = imported.value;
  cli.progress(isNew ? `Read session ${session} from ${path}.` : `SHIM has recorded session ${session} already.`);
  return resumeHere(cli, runtime, { source: localSource(runtime, null), session, title: null }, options);
}

interface Target {
  readonly source: RecoverySource;
  readonly session: string;
  readonly title: string | null;
  /** Absent: this one. */
  readonly machine?: string;
}

type Act = (target: Target) => Promise<CommandResult>;

/** [WP20] */
function audited(runtime: Runtime, kind: audit.MachineAction["kind"], act: Act): Act {
  return async (target) => {
    const answer = await act(target);
    const result = answer.ok ? "done" : answer.error.code;
    audit.record(runtime, { kind, session: target.session, by: "command line", result });
    return answer;
  };
}

/** [RE27] The session may be on another machine. */
async function withSession(cli: Cli, runtime: Runtime, id: string, act: Act): Promise<CommandResult> {
  const found = fromHost(findSession(runtime, id));
  if (found.ok) return act(localTarget(runtime, found.value));
  if (found.error.exit !== exitCodes.notFound) return found;
  const elsewhere = await withOtherMachines(cli, async (others) => {
    const row = others && findById(others.context, id);
    return row ? act(await remoteTarget(cli, others, row)) : null;
  });
  return elsewhere ?? found;
}

function localTarget(runtime: Runtime, session: sessions.Session): Target {
  return { source: localSource(runtime, null), session: session.id, title: sessions.displayTitle(session) };
}

async function remoteTarget(cli: Cli, others: OtherMachines, row: RemoteSession): Promise<Target> {
  const source = remoteSource(others.context, await currentProject(cli, others));
  return { source, session: row.session, title: row.content.title, machine: row.machine };
}

async function resumeNewest(
  cli: Cli,
  runtime: Runtime,
  others: OtherMachines | null,
  options: ResumeOptions,
): Promise<CommandResult | null> {
  const here = others && (await currentProject(cli, others));
  if (!here) return null;
  const found = await findElsewhere(others.context, here.project);
  const [first, second] = found.map(({ row }) => row);
  if (!first) return null;
  if (!second) return resumeHere(cli, runtime, await remoteTarget(cli, others, first), options);
  const lines = found.map((one) => {
    const { session, machine, content } = one.row;
    const state = stateText(stateOfDead(one, runtime.now(), null));
    return `${others.short(session)}  ${machine}  ${cli.ago(localClock(one.row)(content.lastSeenAt))}  ${oneLine(content.title ?? "untitled", 60)}  ${state}`;
  });
  return severalDied(
    " on other machines",
    lines,
    found.map(({ row }) => row.session),
  );
}

async function undo(target: Target): Promise<CommandResult> {
  const { source, session } = target;
  const released = await source.release(session);
  if (!released.ok) {
    const why = `${session} was not released: ${released.error.message}. Nothing has changed.`;
    return failed(printedCode(released.error), why);
  }
  if (!released.value) {
    const why = `${session} was neither offered, taken nor dismissed, so there is nothing to undo.`;
    return failed("nothing_to_undo", why);
  }
  return ok({ data: { ...dataOf(target), recovery: null }, text: `${nameOf(target)} counts as incomplete again.\n` });
}

async function dismiss(target: Target): Promise<CommandResult> {
  const { source, session, machine } = target;
  source.dismiss(session);
  const where = machine === undefined ? "" : " on this machine";
  return ok({
    data: { ...dataOf(target), recovery: "dismissed" },
    text: `${nameOf(target)} is not offered${where} any more. \`shim resume --undo ${session}\` undoes that.\n`,
  });
}

function nameOf({ session, title, machine }: Target): string {
  return `${quotedTitle(title)} (${session}${machine === undefined ? "" : ` of ${machine}`})`;
}

function dataOf({ session, machine }: Target): { readonly session: string; readonly machine?: string } {
  return { session, ...(machine === undefined ? {} : { machine }) };
}

/** [CL9] Default: the session that died in this project, else the one that was closed. */
async function choose(
  cli: Cli,
  runtime: Runtime,
  options: ResumeOptions,
): Promise<Result<sessions.Session, CommandError>> {
  const project = projectRoot(cli.io.cwd);
  const incomplete = runtime.store.read(
    (sql) => findIncomplete(sql, runtime.processes, runtime.now(), { limit: 100 }),
    [],
  );
  const ofProject = incomplete.filter((one) => one.session.project === project);
  const dead = ofProject.filter((one) => hasDied(one.session));
  const candidates = dead.length > 0 ? dead : ofProject;
  const [first] = candidates;
  if (!first) return notFound(nothingHere(project, incomplete.length));
  if (candidates.length === 1) return ok(first.session);
  const lines = candidates.map((one, at) => {
    const state = runtime.store.read((sql) => stateText(readState(sql, runtime, one.session)), "");
    return `${at + 1}  ${shortSession(runtime, one.session.id)}  ${cli.ago(one.session.lastSeenAt)}  ${oneLine(sessions.displayTitle(one.session) ?? "untitled", 70)}  ${state}`;
  });
  const isAsking = cli.io.isInteractive && options.json !== true && options.print !== true;
  if (isAsking) return askWhich(cli, candidates, lines);
  return severalDied(
    "",
    lines,
    candidates.map((one) => one.session.id),
  );
}

function severalDied(where: string, lines: readonly string[], ids: readonly string[]): FailedResult {
  return ambiguous(`several sessions of this project died unfinished${where}; name one:\n${lines.join("\n")}`, ids);
}

/** [RE183] */
function offerNote(runtime: Runtime, { chat, at }: OpenOffer): string {
  return offeredText(shortSession(runtime, chat), runtime.now() - at);
}

function nothingHere(project: string | null, elsewhere: number): string {
  const where = project === null ? "here" : `in ${project}`;
  const more = elsewhere === 0 ? "" : ` ${elsewhere} elsewhere: \`shim sessions --incomplete\`.`;
  return `no session died unfinished ${where}.${more}`;
}

async function askWhich(
  cli: Cli,
  candidates: readonly IncompleteSession[],
  lines: readonly string[],
): Promise<Result<sessions.Session, CommandError>> {
  const list = lines.map((line) => `  ${line}\n`).join("");
  cli.io.stderr(cli.format(`Several sessions of this project died unfinished:\n${list}`));
  const reply = (await cli.io.ask(`Which one? [1-${candidates.length}] `)).trim();
  const chosen = /^\d+$/.test(reply) ? candidates[Number(reply) - 1] : undefined;
  return chosen ? ok(chosen.session) : wrongUsage(`"${reply}" is none of them. Nothing was started.`);
}

async function resumeHere(cli: Cli, runtime: Runtime, target: Target, options: ResumeOptions): Promise<CommandResult> {
  const { source, session } = target;
  const now = runtime.now();
  if (target.machine === undefined) tryCatchUp(cli, () => runtime.store.write((sql) => catchUp(sql, now, session)));
  const found = await source.inspect(session);
  const from = found.ok ? found.value : null;
  if (!from) throw new Error(`session ${session} was deleted meanwhile`);
  const offer = runtime.store.read((sql) => findOpenOffer(sql, runtime.processes, now, session), null);
  if (offer !== null) cli.progress(`${nameOf(target)} was ${offerNote(runtime, offer)}.`);
  const into = options.in === undefined ? null : adapterOf(options.in);
  const plan = planRelaunch(runtime, from, into);
  if (isPrinting(cli, options)) return toPrintedAnswer(target, from, runtime, plan);
  if (!plan) {
    cli.progress(`${from.session.client} cannot be started from here: give this to a new chat.`);
    return toPrintedAnswer(target, from, runtime, plan);
  }
  const refusal = await source.check(from);
  return refusal ? failed(refusal.code, `${refusal.message} ${printHint(session)}`) : start(cli, source, from, plan);
}

function tryCatchUp(cli: Cli, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    cli.progress(`Some of the last events are missing: ${error.message}`);
  }
}

function isPrinting(cli: Cli, { print, json }: ResumeOptions): boolean {
  return print === true || json === true || !cli.io.isTty || !cli.io.isInteractive;
}

function toPrintedAnswer(
  target: Target,
  from: Restoration,
  { config, now }: Runtime,
  plan: StartPlan | null,
): CommandResult {
  const { session, cause, causeDetail, elsewhere } = from;
  const { text, score } = scoredBrief(from, now(), elsewhere ? "brief" : config.recovery);
  const cwd = elsewhere ? session.project : session.cwd;
  const start = plan && { kind: plan.kind, command: plan.command, reason: plan.reason, cwd };
  return ok({
    data: { ...dataOf(target), cause, causeDetail, score, brief: text, start },
    text: `${text}\n`,
  });
}
