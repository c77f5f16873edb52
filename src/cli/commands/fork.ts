import { fileLines } from "../screen-text.ts";
import type { Command } from "commander";
import * as z from "zod";
import type { Fork, ForkMoment } from "../../contract/machine/forks.ts";
import { Folder, flag } from "../../contract/machine/operation.ts";
import type { MachineOutput } from "../../contract/machine/operations.ts";
import { age, oneLine, quotedTitle } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { ok, type Result } from "../../shared/result.ts";
import { wrongUsage, type Lines, wrongWords } from "../answer.ts";
import type { Cli, CommandResult, CommonOptions } from "../cli.ts";
import { mayStart, StartableClient, startChat } from "../continue-session.ts";
import { define } from "../operation-command.ts";

const ForkInput = z.strictObject({
  session: z.string().optional(),
  at: z
    .string()
    .optional()
    .meta({ word: "prompt", description: "number of the prompt, the beginning of its words, or last" }),
  in: StartableClient.describe("in a new chat of this client; default: the session's own"),
  into: Folder.optional().describe("a copy in this new or empty folder, without a branch"),
  list: flag("only list the prompts, and whether the files of then are saved"),
  print: flag("make the worktree, and print the brief instead of starting the client"),
});
type ForkOptions = z.infer<typeof ForkInput> & CommonOptions;

export function addCommand(program: Command, cli: Cli): void {
  define(cli, program, "fork", {
    input: ForkInput,
    summary: "Start again from a prompt: a worktree with the files of then, and a chat with the brief of then.",
    example: { session: "5f0e0e5e", at: "3" },
    args: ["session"],
    run: (input, { json = false }) => run(cli, { ...input, json }),
  });
}

async function run(cli: Cli, options: ForkOptions): Promise<CommandResult> {
  const { session, at, list } = options;
  if (at !== undefined && list) return wrongWords("give one of --at and --list.");
  const from = { ...omitUndefined({ session }), folder: cli.io.cwd };
  if (list) return cli.show("forks.list", from, (listed) => ({ text: listLines(cli, listed), isVerbatim: true }));
  const chosen = at === undefined ? await choose(cli, options, from) : ok({ ...from, at });
  return chosen.ok ? fork(cli, chosen.value, options) : chosen;
}

interface Chosen {
  readonly session?: string;
  readonly folder: string;
  readonly at: string;
}

async function choose(cli: Cli, { json, print }: ForkOptions, from: Omit<Chosen, "at">): Promise<Result<Chosen>> {
  if (!cli.io.isInteractive || json === true || print)
    return wrongWords("name the prompt with --at; --list shows all.");
  const listed = await cli.call("forks.list", from);
  if (!listed.ok) return listed;
  cli.io.stderr(cli.verbatim(`${listLines(cli, listed.value).join("\n")}\n`));
  const reply = ((await cli.io.ask("At which prompt? ")) ?? "").trim();
  if (reply === "") return wrongUsage("no prompt was named. Nothing was changed.");
  return ok({ session: listed.value.session, folder: from.folder, at: reply });
}

function listLines(cli: Cli, { session, title, moments }: MachineOutput<"forks.list">): string[] {
  const rows = cli.table(moments, {
    PROMPT: "number",
    SENT: ({ at }) => cli.ago(at),
    FILES: filesText,
    WORDS: ({ text, isTakenBack }) => `${isTakenBack ? "(taken back) " : ""}${text}`,
  });
  return [cli.wrap(`${quotedTitle(title)} (${session})`), ...rows.trimEnd().split("\n")];
}

function filesText({ at, files }: ForkMoment): string {
  if (files === null) return "not saved";
  return files.isBefore ? `saved ${age(at - files.at)} before` : `saved ${age(files.at - at)} after`;
}

/** Starts the client in the fork's folder, or prints what a user needs to do it. */
async function fork(cli: Cli, chosen: Chosen, options: ForkOptions): Promise<CommandResult> {
  const { in: client, into, print } = options;
  const made = await cli.call("forks.create", { ...chosen, ...omitUndefined({ client, into }) });
  if (!made.ok) return made;
  const { start, session } = made.value;
  const isPrinted = print || !mayStart(cli, options);
  const about = aboutLines(cli, made.value);
  if (isPrinted || start === null) return ok({ data: made.value, text: [...about, "", made.value.brief] });
  for (const line of about) if (typeof line === "string") cli.progress(line);
  return startChat(cli, session, start, { hint: `The files stay in ${made.value.folder}.` });
}

function aboutLines(cli: Cli, made: Fork): Exclude<Lines, string>[number][] {
  const { prompt, prompts, shortId, branch, folder, base, leftOut, notRestored } = made;
  return [
    `Fork of ${shortId} at prompt ${prompt.number} of ${prompts}: ${oneLine(prompt.text, 80)}`,
    `Folder: ${folder}`,
    branch !== null && `Branch: ${branch}, from ${base?.slice(0, 12)}.`,
    branch !== null && `To remove both: git worktree remove --force ${folder} && git branch -D ${branch}`,
    `Files: ${filesText(prompt)} the prompt (checkpoint ${prompt.files.checkpoint}). Files that git ignores are not there.`,
    ...fileLines("Not there", [...notRestored, ...leftOut]),
  ];
}
