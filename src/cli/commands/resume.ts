import { resolve } from "node:path";
import { Option, type Command } from "commander";
import { supportedClients } from "../../clients/adapters.ts";
import { offeredText, stateText } from "../../contract/chat-state.ts";
import type { Candidate, Plan, Start } from "../../contract/machine/recovery.ts";
import { codeOf } from "../../shared/error.ts";
import { oneLine } from "../../shared/format.ts";
import { quotedTitle } from "../../shared/quoted-title.ts";
import { ok } from "../../shared/result.ts";
import { ambiguous, failed, notFound, wrongUsage, type CliResult } from "../answer.ts";
import type { Cli, CommandResult, CommonOptions } from "../cli.ts";

interface ResumeOptions extends CommonOptions {
  readonly print?: boolean;
  readonly undo?: string;
  readonly dismiss?: string;
  readonly in?: string;
  readonly fromTranscript?: string;
}

const startable = supportedClients.filter(({ commands }) => commands !== null).map(({ name }) => name);

export function addCommand(program: Command, cli: Cli): void {
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
  if (undone !== undefined) return undo(cli, undone);
  if (dismissed !== undefined) return dismiss(cli, dismissed);
  const session =
    fromTranscript === undefined ? ok(id) : await importTranscript(cli, resolve(cli.io.cwd, fromTranscript));
  if (!session.ok) return session;
  const chosen = session.value === undefined ? await choose(cli, options) : ok(session.value);
  return chosen.ok ? resume(cli, chosen.value, options) : chosen;
}

async function undo(cli: Cli, session: string): Promise<CommandResult> {
  const answer = await cli.call("recovery.undo", { session, folder: cli.io.cwd });
  if (!answer.ok) return answer;
  const { isUndone, ...named } = answer.value;
  if (isUndone)
    return ok({ data: { ...named, recovery: null }, text: `${nameOf(named)} counts as incomplete again.\n` });
  const why = `${named.session} was neither offered, taken nor dismissed, so there is nothing to undo.`;
  return failed("nothing_to_undo", why);
}

async function dismiss(cli: Cli, session: string): Promise<CommandResult> {
  const answer = await cli.call("recovery.dismiss", { session, folder: cli.io.cwd });
  if (!answer.ok) return answer;
  const where = answer.value.machine === null ? "" : " on this machine";
  const text = `${nameOf(answer.value)} is not offered${where} any more. \`shim resume --undo ${answer.value.session}\` undoes that.\n`;
  return ok({ data: { ...answer.value, recovery: "dismissed" }, text });
}

function nameOf({ session, title, machine }: Pick<Candidate, "session" | "title" | "machine">): string {
  return `${quotedTitle(title)} (${session}${machine === null ? "" : ` of ${machine}`})`;
}

async function importTranscript(cli: Cli, file: string): Promise<CliResult<string>> {
  const imported = await cli.call("transcripts.import", { file, folder: cli.io.cwd });
  if (!imported.ok) return imported;
  const { session, isNew } = imported.value;
  cli.progress(isNew ? `Read session ${session} from ${file}.` : `SHIM has recorded session ${session} already.`);
  return ok(session);
}

async function choose(cli: Cli, { json, print }: ResumeOptions): Promise<CliResult<string>> {
  const found = await cli.call("recovery.check", { folder: cli.io.cwd });
  if (!found.ok) return found;
  const { project, sessions, others } = found.value;
  const [first, second] = sessions;
  if (!first) {
    const where = project === null ? "here" : `in ${project}`;
    const more = others === 0 ? "" : ` ${others} elsewhere: \`shim sessions --incomplete\`.`;
    return notFound(`no session died unfinished ${where}.${more}`);
  }
  if (!second) return ok(first.session);
  const lines = sessions.map((one, at) => `${at + 1}  ${lineOf(cli, one)}\n`);
  const where = first.machine === null ? "" : " on other machines";
  const title = `everal sessions of this project died unfinished${where}`;
  if (!cli.io.isInteractive || json === true || print === true) {
    const ids = sessions.map(({ session }) => session);
    return ambiguous(`s${title}; name one:\n${lines.join("").trimEnd()}`, ids);
  }
  cli.io.stderr(cli.format(`S${title}:\n${lines.map((line) => `  ${line}`).join("")}`));
  const reply = (await cli.io.ask(`Which one? [1-${sessions.length}] `)).trim();
  const chosen = /^\d+$/.test(reply) ? sessions[Number(reply) - 1] : undefined;
  return chosen ? ok(chosen.session) : wrongUsage(`"${reply}" is none of them. Nothing was started.`);
}

function lineOf(cli: Cli, one: Candidate): string {
  const { shortId, machine, lastSeenAt, title } = one;
  const where = machine === null ? "" : `${machine}  `;
  return `${shortId}  ${where}${cli.ago(lastSeenAt)}  ${oneLine(title ?? "untitled", 70)}  ${stateText(one)}`;
}

async function resume(cli: Cli, session: string, options: ResumeOptions): Promise<CommandResult> {
  const { in: client, print, json } = options;
  const into = client === undefined ? {} : { client };
  const planned = await cli.call("recovery.plan", { session, folder: cli.io.cwd, ...into });
  if (!planned.ok) return planned;
  const { offer, start, refusal } = planned.value;
  if (offer !== null) cli.progress(`${nameOf(planned.value)} was ${offeredText(offer.shortId, offer.msAgo)}.`);
  if (print === true || json === true || !cli.io.isTty || !cli.io.isInteractive) return printed(planned.value);
  if (start === null) {
    cli.progress(`${planned.value.client} cannot be started from here: give this to a new chat.`);
    return printed(planned.value);
  }
  const hint = `\`shim resume ${planned.value.session} --print\` prints the brief.`;
  if (refusal !== null) return failed(refusal.code, `${refusal.message} ${hint}`);
  return continueIn(cli, planned.value.session, start, hint);
}

function printed({ offer: _offer, refusal: _refusal, ...plan }: Plan): CommandResult {
  return ok({ data: plan, text: `${plan.brief}\n` });
}

/** A new chat continues the session once it has begun; without that nothing changes. */
async function continueIn(cli: Cli, session: string, start: Start, hint: string): Promise<CommandResult> {
  const { newId } = start;
  if (newId === null) return startClient(cli, session, start, hint);
  const taken = await cli.call("recovery.take", { session, chat: newId });
  if (!taken.ok) return taken;
  try {
    return await startClient(cli, session, start, hint);
  } finally {
    await cli.call("recovery.withdraw", { session, chat: newId });
  }
}

/** [CL12] Starts the client in a folder, in this terminal, without a shell. */
async function startClient(cli: Cli, session: string, start: Start, hint: string): Promise<CommandResult> {
  const { kind, client, command, args, reason, env } = start;
  const cwd = start.cwd ?? cli.io.cwd;
  cli.progress(`In ${cwd}: ${reason}.`);
  try {
    const code = await cli.io.startProcess({ command, args, cwd, ...(Object.keys(env).length > 0 ? { env } : {}) });
    if (code === 0) return ok({ data: { session, exit: code }, text: "" });
    return failed("client_failed", `${command} ended with exit code ${code}. ${hint}`);
  } catch (error) {
    const why = codeOf(error) === "ENOENT" ? "was not found on the PATH" : `could not be started (${String(error)})`;
    const byHand = kind === "resume" ? `, or start it yourself: ${[command, ...args].join(" ")}` : "";
    return failed("client_not_started", `\`${command}\` ${why}. Install ${client}${byHand}. ${hint}`);
  }
}
