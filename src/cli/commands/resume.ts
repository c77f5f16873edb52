import { Option, type Command } from "commander";
import { stateText } from "../../contract/chat-state.ts";
import type { Candidate } from "../../contract/machine/recovery.ts";
import { oneLine } from "../../shared/format.ts";
import { ok } from "../../shared/result.ts";
import { ambiguous, failed, notFound, wrongUsage, type CliResult } from "../answer.ts";
import { askWhich, type Cli, type CommandResult, type CommonOptions } from "../cli.ts";
import { continueNatively } from "../continue-natively.ts";
import { continueSession, importFile, nameOf, startable } from "../continue-session.ts";
import { rescueAfterFailure } from "./rescue.ts";

interface ResumeOptions extends CommonOptions {
  readonly print?: boolean;
  readonly undo?: string;
  readonly dismiss?: string;
  readonly in?: string;
  readonly native?: boolean;
  readonly fromTranscript?: string;
}

export function addCommand(program: Command, cli: Cli): void {
  const command = program
    .command("resume [session]")
    .description("continue a session that died, or print its brief")
    .option("--print", "only print the brief")
    .option("--from-transcript <file>", "continue a session that SHIM has not recorded, from its client's transcript")
    .addOption(new Option("--in <client>", "continue it in a new chat of this client").choices(startable))
    .option("--native", "with the conversation itself, written as a session of that client, instead of the brief")
    .option("--undo <session>", "undo an offer, a recovery or a dismissal: the session counts as incomplete again")
    .option("--dismiss <session>", "never offer this session again");
  cli.define(command, (options: ResumeOptions, id?: string) => run(cli, options, id));
}

async function run(cli: Cli, options: ResumeOptions, id: string | undefined): Promise<CommandResult> {
  const { undo: undone, dismiss: dismissed, fromTranscript } = options;
  const actions = [id, undone, dismissed, fromTranscript].filter((value) => value !== undefined);
  if (actions.length > 1)
    return wrongUsage("give one session: to resume, with --undo, with --dismiss, or with --from-transcript.");
  if (options.native === true && options.print === true)
    return wrongUsage("--print prints the brief, which --native does not use: give one of them.");
  if (undone !== undefined) return undo(cli, undone);
  if (dismissed !== undefined) return dismiss(cli, dismissed);
  const session = fromTranscript === undefined ? ok(id) : await importFile(cli, fromTranscript);
  if (!session.ok) return session;
  const chosen = session.value === undefined ? await choose(cli, options) : ok(session.value);
  if (!chosen.ok) return chosen;
  if (options.native === true) return continueNatively(cli, chosen.value, options);
  const onEarlyEnd = (failed: string): Promise<CommandResult | null> => rescueAfterFailure(cli, failed);
  return continueSession(cli, chosen.value, { ...options, onEarlyEnd });
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
  const asked = await askWhich(cli, sessions.length, "Nothing was started.");
  if (!asked.ok) return asked;
  const chosen = asked.value === null ? undefined : sessions[asked.value];
  return chosen ? ok(chosen.session) : wrongUsage("no session was named. Nothing was started.");
}

function lineOf(cli: Cli, one: Candidate): string {
  const { shortId, machine, lastSeenAt, title } = one;
  const where = machine === null ? "" : `${machine}  `;
  return `${shortId}  ${where}${cli.ago(lastSeenAt)}  ${oneLine(title ?? "untitled", 70)}  ${stateText(one)}`;
}
