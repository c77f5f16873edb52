import { resolve } from "node:path";
import { Option, type Command } from "commander";
import type { Taken } from "../../contract/machine/handover.ts";
import { pluralize, quotedTitle, heldText } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { Cli, CommandResult, CommonOptions } from "../cli.ts";
import { continueSession, openNative, startable } from "../continue-session.ts";

interface TakeOptions extends CommonOptions {
  readonly in?: string;
  readonly into?: string;
  readonly native?: boolean;
  readonly print?: boolean;
}

export function addCommand(program: Command, cli: Cli): void {
  const command = program
    .command("take <link-or-file>")
    .description("continue a session that was handed over; the code of a file is read from stdin, or asked for")
    .addOption(new Option("--in <client>", "in a chat of this client; default: the session's own").choices(startable))
    .option("--into <folder>", "a copy of its files in this new or empty folder, without a branch")
    .option("--native", "with the conversation itself, where that was handed over")
    .option("--print", "store it, and print its brief instead of starting the client");
  cli.define(command, "/home/you/5f0e.shim", (options: TakeOptions, file: string) => run(cli, options, file));
}

async function run(cli: Cli, options: TakeOptions, file: string): Promise<CommandResult> {
  const taken = await take(cli, options, file);
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
async function take(cli: Cli, { in: client, into, native }: TakeOptions, from: string): Promise<Result<Taken>> {
  const { io } = cli;
  const source = /^https?:\/\//i.test(from)
    ? { code: from }
    : { file: resolve(io.cwd, from), code: await askCode(cli) };
  const target = into === undefined ? undefined : resolve(io.cwd, into);
  return cli.call("handover.take", {
    ...source,
    folder: io.cwd,
    ...omitUndefined({ client, into: target, native }),
  });
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
    ...(held === null ? [] : [heldText(held, held.goesTo)]),
  ];
}
