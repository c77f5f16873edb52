import { existsSync } from "node:fs";
import type { Command } from "commander";
import { uuidv7 } from "../../../shared/ids.ts";
import { ok, type Result } from "../../../shared/result.ts";
import { drainInto } from "../../../local-mcp/hooks/spool-hook.ts";
import { brief } from "../../../local-mcp/recovery/brief.ts";
import { recordFinishedHere } from "../../../local-mcp/recovery/finished-tasks.ts";
import { findIncomplete, type IncompleteSession } from "../../../local-mcp/recovery/detect.ts";
import { dismiss, take, undo } from "../../../local-mcp/recovery/recover.ts";
import { restore, type Restoration } from "../../../local-mcp/recovery/restoration.ts";
import { checkTranscript, planStart, withdrawOffer, type StartPlan } from "../../../local-mcp/recovery/relaunch.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { catchUp } from "../../../local-mcp/observe/record-transcript.ts";
import { projectRoot } from "../../../local-mcp/sessions/git-head.ts";
import { hasDied } from "../../../local-mcp/sessions/closed-sessions.ts";
import * as sessions from "../../../local-mcp/sessions/sessions.ts";
import { StoreError } from "../../../store/store-error.ts";
import { ambiguous, exitCodes, failed, notFound, wrongUsage, type CommandError } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { findSession, shortSession } from "../../resolve-id.ts";
import { oneLine } from "../../screen-text.ts";
import { markElsewhere, resumeElsewhere, resumeNewest } from "./resume-elsewhere.ts";
import { startClient } from "./start-client.ts";

interface ResumeOptions extends CommonOptions {
  readonly print?: boolean;
  readonly undo?: string;
  readonly dismiss?: string;
}

export function addResume(program: Command, cli: Cli): void {
  const command = program
    .command("resume [session]")
    .description("go on with a session that died, or print its brief")
    .option("--print", "only print the brief")
    .option("--undo <session>", "take back an offer, a recovery or a dismissal: it counts as incomplete again")
    .option("--dismiss <session>", "never offer this session again");
  cli.define(command, (options: ResumeOptions, id?: string) => run(cli, options, id));
}

async function run(cli: Cli, options: ResumeOptions, id: string | undefined): Promise<CommandResult> {
  const actions = [id, options.undo, options.dismiss].filter((value) => value !== undefined);
  if (actions.length > 1) return wrongUsage("give one session: to resume, with --undo, or with --dismiss.");
  const runtime = await cli.runtime();
  if (options.undo !== undefined) return markAnywhere(cli, runtime, options.undo, "undo");
  if (options.dismiss !== undefined) return markAnywhere(cli, runtime, options.dismiss, "dismiss");
  tryCatchUp(cli, () => void drainInto(runtime));
  recordFinishedHere(runtime);
  const found = id === undefined ? await choose(cli, runtime, options) : findSession(runtime, id);
  if (found.ok) return resume(cli, runtime, found.value, options);
  if (found.error.exit !== exitCodes.notFound) return found;
  // [RE27] The session may be on another machine.
  const elsewhere = id === undefined ? await resumeNewest(cli, options) : await resumeElsewhere(cli, id, options);
  return elsewhere ?? found;
}

async function markAnywhere(
  cli: Cli,
  runtime: Runtime,
  id: string,
  action: "undo" | "dismiss",
): Promise<CommandResult> {
  const isHere = findSession(runtime, id);
  const isMissing = !isHere.ok && isHere.error.exit === exitCodes.notFound;
  return (isMissing ? await markElsewhere(cli, id, action) : null) ?? mark(runtime, id, action);
}

function mark(runtime: Runtime, id: string, action: "undo" | "dismiss"): CommandResult {
  const found = findSession(runtime, id);
  if (!found.ok) return found;
  const session = found.value.id;
  if (action === "dismiss") {
    dismiss(runtime, session);
    return ok({
      data: { session, recovery: "dismissed" },
      text: `${session} is not offered any more. \`shim resume --undo ${session}\` takes that back.\n`,
    });
  }
  if (undo(runtime, session))
    return ok({ data: { session, recovery: null }, text: `${session} counts as incomplete again.\n` });
  return failed(
    "nothing_to_undo",
    `${session} was neither offered, recovered nor dismissed, so there is nothing to take back.`,
  );
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
  const lines = candidates.map(
    (one, at) =>
      `${at + 1}  ${shortSession(runtime, one.session.id)}  ${cli.ago(one.session.lastSeenAt)}  ${oneLine(sessions.displayTitle(one.session) ?? "untitled", 70)}`,
  );
  const isAsking = cli.io.isInteractive && options.json !== true && options.print !== true;
  const several = ambiguous(
    `several sessions of this project died unfinished; name one:\n${lines.join("\n")}`,
    candidates.map((one) => one.session.id),
  );
  return isAsking ? askWhich(cli, candidates, lines) : several;
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

async function resume(
  cli: Cli,
  runtime: Runtime,
  session: sessions.Session,
  options: ResumeOptions,
): Promise<CommandResult> {
  const now = runtime.now();
  tryCatchUp(cli, () => runtime.store.write((sql) => catchUp(sql, now, session.id)));
  const from = restore(runtime, session, now);
  if (!from) throw new Error(`session ${session.id} was deleted meanwhile`);
  const plan = planFor(runtime, from, now);
  if (isPrinting(cli, options)) return toPrintedAnswer(from, now, runtime, plan);
  if (!plan) {
    cli.progress(`${session.client} cannot be started from here: give this to a new chat.`);
    return toPrintedAnswer(from, now, runtime, plan);
  }
  const isRunning = from.cause === null && session.endedAt === null;
  return isRunning ? failed("still_running", stillRunning(runtime, session)) : start(cli, runtime, from, plan);
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

function stillRunning(runtime: Runtime, { id, owner }: sessions.Session): string {
  const who = owner ? ` (pid ${owner.pid})` : "";
  return `session ${id} is still running${who}. \`shim resume ${shortSession(runtime, id)} --print\` prints its brief.`;
}

function planFor(runtime: Runtime, from: Restoration, now: number): StartPlan | null {
  const { session } = from;
  const id = uuidv7(now, runtime.random(16));
  return planStart(session, checkTranscript(session.transcriptPath, session.id), {
    id,
    brief: brief(from, now, "resume"),
  });
}

function toPrintedAnswer(from: Restoration, now: number, runtime: Runtime, plan: StartPlan | null): CommandResult {
  const text = brief(from, now, runtime.config.recovery);
  const { session, cause, causeDetail, score } = from;
  const start = plan && { kind: plan.kind, command: plan.command, reason: plan.reason, cwd: session.cwd };
  return ok({ data: { session: session.id, cause, causeDetail, score, brief: text, start }, text: `${text}\n` });
}

async function start(cli: Cli, runtime: Runtime, from: Restoration, plan: StartPlan): Promise<CommandResult> {
  const { session } = from;
  const cwd = [session.cwd, session.project].find((folder) => folder !== null && existsSync(folder)) ?? null;
  const printHint = `\`shim resume ${shortSession(runtime, session.id)} --print\` prints the brief.`;
  if (cwd === null)
    return failed("folder_gone", `the folder of the session (${session.cwd ?? "unknown"}) is gone. ${printHint}`);
  const { newId } = plan;
  if (newId !== null) take(runtime, from, newId);
  try {
    return await startClient(cli, session.id, plan, cwd);
  } finally {
    if (newId !== null) withdrawOffer(runtime, session.id, newId);
  }
}
