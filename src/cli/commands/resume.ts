import type { Command } from "commander";
import * as z from "zod";
import { stateText } from "../../contract/chat-state.ts";
import { File, flag } from "../../contract/machine/operation.ts";
import type { Candidate } from "../../contract/machine/recovery.ts";
import { testRunText, oneLine } from "../../shared/format.ts";
import { ok, type Result, fail } from "../../shared/result.ts";
import { ambiguous, notFound, wrongUsage } from "../answer.ts";
import { askWhich, type Cli, type CommandResult, type CommonOptions } from "../cli.ts";
import {
  continueNatively,
  continueSession,
  importFile,
  nameOf,
  startable,
  StartableClient,
  withRecorded,
} from "../continue-session.ts";
import { define } from "../operation-command.ts";
import { rescueAfterFailure } from "./rescue.ts";

const sessionWord = { word: "session" };

const ResumeInput = z.strictObject({
  session: z.string().optional(),
  print: flag("only print the brief"),
  fromTranscript: File.optional().describe(
    "continue a session that SHIM has not recorded, from its client's transcript",
  ),
  in: StartableClient.describe("continue it in a new chat of this client"),
  native: flag("with the conversation itself, written as a session of that client, instead of the brief"),
  verify: flag("before that, run the project's tests on its snapshot, and ask the remotes of what it pushed"),
  tests: z
    .string()
    .optional()
    .meta({ word: "command", description: "what --verify runs; default: the tests that the project names" }),
  undo: z
    .string()
    .optional()
    .meta(sessionWord)
    .describe("undo an offer, a recovery or a dismissal: the session counts as incomplete again"),
  dismiss: z.string().optional().meta(sessionWord).describe("never offer this session again"),
});
type ResumeOptions = Partial<z.infer<typeof ResumeInput>> & CommonOptions;

export function addCommand(program: Command, cli: Cli): void {
  define(cli, program, "resume", {
    input: ResumeInput,
    summary: "Continue a session that died, or print its brief.",
    example: { session: "5f0e0e5e", in: startable[1] },
    args: ["session"],
    run: (input, { json = false }) => resume(cli, { ...input, json }),
  });
}

export async function resume(cli: Cli, options: ResumeOptions): Promise<CommandResult> {
  const { session: id, undo: undone, dismiss: dismissed, fromTranscript } = options;
  const misuse = misuseOf(options);
  if (misuse !== null) return wrongUsage(misuse);
  if (undone !== undefined) return undo(cli, undone);
  if (dismissed !== undefined) return dismiss(cli, dismissed);
  const session = fromTranscript === undefined ? ok(id) : await importFile(cli, fromTranscript, id);
  if (!session.ok) return session;
  const chosen = session.value === undefined ? await choose(cli, options) : ok(session.value);
  if (!chosen.ok) return chosen;
  if (options.native === true) return continueNatively(cli, chosen.value, options);
  if (options.verify === true) {
    const verified = await withRecorded(cli, chosen.value, (known) => verify(cli, known, options.tests));
    if (!verified.ok) return verified;
  }
  const onEarlyEnd = (failed: string): Promise<CommandResult | null> => rescueAfterFailure(cli, failed);
  return continueSession(cli, chosen.value, { ...options, onEarlyEnd });
}

function misuseOf(options: ResumeOptions): string | null {
  const { session: id, undo: undone, dismiss: dismissed, fromTranscript, native, verify: isVerified } = options;
  // A database has several sessions.
  const isInFile = fromTranscript?.endsWith(".db") === true;
  const actions = [isInFile ? undefined : id, undone, dismissed, fromTranscript].filter((value) => value !== undefined);
  if (actions.length > 1) return "give one session: to resume, with --undo, with --dismiss, or with --from-transcript.";
  if (native && options.print) return "--print prints the brief, which --native does not use: give one of them.";
  if (isVerified && (native || undone !== undefined || dismissed !== undefined))
    return "--verify is for the brief of a session: give it without --native, --undo and --dismiss.";
  return options.tests !== undefined && !isVerified ? "--tests names what --verify runs: give both." : null;
}

/** Shows how the tests ended; the brief has it, too. */
async function verify(cli: Cli, session: string, words: string | undefined): Promise<Result<null>> {
  const { testSession } = await import("../../code/verification/test-session.ts");
  const { parseTests } = await import("../../code/tool-runner/run-tool.ts");
  const tests = words === undefined ? ok(null) : parseTests(words);
  if (!tests.ok) return tests;
  const onStart = (text: string): void => cli.progress(text);
  const tested = await testSession(cli.context, { session, tests: tests.value, signal: cli.io.interrupted(), onStart });
  if (!tested.ok) return tested;
  cli.progress(`Tests: ${testRunText(tested.value.tests)}.`);
  const stored = await cli.call("recovery.verify", tested.value);
  return stored.ok ? ok(null) : stored;
}

async function undo(cli: Cli, session: string): Promise<CommandResult> {
  const answer = await cli.call("recovery.undo", { session, folder: cli.io.cwd });
  if (!answer.ok) return answer;
  const { isUndone, ...named } = answer.value;
  if (isUndone)
    return ok({ data: { ...named, recovery: null }, text: `${nameOf(named)} counts as incomplete again.\n` });
  const why = `${named.session} was neither offered, taken nor dismissed, so there is nothing to undo.`;
  return fail("nothing_to_undo", why);
}

async function dismiss(cli: Cli, session: string): Promise<CommandResult> {
  const answer = await cli.call("recovery.dismiss", { session, folder: cli.io.cwd });
  if (!answer.ok) return answer;
  const where = answer.value.machine === null ? "" : " on this machine";
  const text = `${nameOf(answer.value)} is not offered${where} any more. \`shim resume --undo ${answer.value.session}\` undoes that.\n`;
  return ok({ data: { ...answer.value, recovery: "dismissed" }, text });
}

async function choose(cli: Cli, { json, print }: ResumeOptions): Promise<Result<string>> {
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
