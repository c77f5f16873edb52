import { resolve } from "node:path";
import type { Command } from "commander";
import * as z from "zod";
import { Folder, flag } from "../../contract/machine/operation.ts";
import type { Taken } from "../../contract/machine/handover.ts";
import { pluralize, quotedTitle, heldText } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { Cli, CommandResult, CommonOptions } from "../cli.ts";
import { continueSession, openNative, StartableClient } from "../continue-session.ts";
import { define } from "../operation-command.ts";

const TakeInput = z.strictObject({
  from: z.string().meta({ word: "link-or-file" }),
  in: StartableClient.describe("in a chat of this client; default: the session's own"),
  into: Folder.optional().describe("a copy of its files in this new or empty folder, without a branch"),
  native: flag("with the conversation itself, where that was handed over"),
  print: flag("store it, and print its brief instead of starting the client"),
});
type TakeInput = z.infer<typeof TakeInput>;

export function addCommand(program: Command, cli: Cli): void {
  define(cli, program, "take", {
    input: TakeInput,
    summary: "Continue a session that was handed over; the code of a file is read from stdin, or asked for.",
    example: { from: "/home/you/5f0e.shim" },
    args: ["from"],
    run: (input, { json = false }) => run(cli, { ...input, json }),
  });
}

async function run(cli: Cli, options: TakeInput & CommonOptions): Promise<CommandResult> {
  const taken = await take(cli, options);
  if (!taken.ok) return taken;
  const { session, native } = taken.value;
  for (const line of takenLines(taken.value)) cli.progress(line);
  if (native === null) {
    const here = { ...options, isNew: true };
    const continued = await continueSession(cli, session, here);
    return continued.ok
      ? ok({ ...continued.value, data: { ...taken.value, continued: continued.value.data } })
      : continued;
  }
  return openNative(cli, { session, native, data: taken.value }, options);
}

/** The code of a file is no argument, as those are visible to other users; a link works once. */
async function take(cli: Cli, { from, in: client, into, native }: TakeInput): Promise<Result<Taken>> {
  const { io } = cli;
  const source = /^https?:\/\//i.test(from)
    ? { code: from }
    : { file: resolve(io.cwd, from), code: await askCode(cli) };
  return cli.call("handover.take", { ...source, folder: io.cwd, native, ...omitUndefined({ client, into }) });
}

async function askCode({ io }: Cli): Promise<string> {
  const code = await (io.isInteractive ? io.ask("Code (shimgive-): ") : io.readInput());
  return code?.trim() ?? "";
}

function takenLines({
  title,
  shortId,
  from,
  folder,
  branch,
  hasFiles,
  leftOut,
  notRestored,
  isRepeated,
  isAgain,
  held,
}: Taken): string[] {
  const how = isRepeated ? ": nothing new was made" : isAgain ? ", in place of an earlier hand-over" : "";
  const missing = [...leftOut, ...notRestored];
  const files = branch === null ? `Its files are in ${folder}.` : `Its files are in ${folder}, on branch ${branch}.`;
  return [
    `${quotedTitle(title)} (${shortId}) ${isRepeated ? "was taken already" : "came"} from ${from}${how}.`,
    hasFiles ? files : "No uncommitted files came with it.",
    ...(missing.length === 0
      ? []
      : [`${pluralize(missing.length, "file")} not there: ${missing.map(({ path }) => path).join(", ")}.`]),
    ...(held === null ? [] : [heldText(held)]),
  ];
}
