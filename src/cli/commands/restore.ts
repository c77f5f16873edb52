import type { Command } from "commander";
import * as z from "zod";
import type { Saved } from "../../contract/machine/files.ts";
import { Folder, flag } from "../../contract/machine/operation.ts";
import type { MachineInput, MachineOutput } from "../../contract/machine/operations.ts";
import { oneLine, pluralize } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { ok } from "../../shared/result.ts";
import { confirmShown, type Cli, type CommandResult } from "../cli.ts";
import { define } from "../operation-command.ts";
import { changeLines, fileLines, shownPath } from "../screen-text.ts";

type Compared = MachineOutput<"files.diff">;

const RestoreInput = z.strictObject({
  first: z.string().optional().meta({ word: "checkpoint-or-session" }),
  files: z.array(z.string()).default([]),
  diff: flag("only show what would change"),
  into: Folder.optional().describe("into this new or empty folder instead"),
});

export function addCommand(program: Command, cli: Cli): void {
  define(cli, program, "restore", {
    input: RestoreInput,
    summary: "Put files back as they were: shows what changes, asks, and keeps a copy of what it replaces.",
    example: { first: "5f0e0e5e", files: ["src/parser.ts"], diff: true },
    args: ["first"],
    rest: "files",
    asks: true,
    run: (input, { yes = false }) => restore(cli, input, yes),
  });
}

/** Shows what changes and asks before it does so, unless the files go elsewhere. */
async function restore(
  cli: Cli,
  { first, files: more, diff, into }: z.infer<typeof RestoreInput>,
  yes: boolean,
): Promise<CommandResult> {
  // An id has neither a dot nor a separator: `./name` is a file.
  const isFile = first !== undefined && /[./\\]/.test(first);
  const files = isFile ? [first, ...more] : more;
  const selection = { ...(isFile ? {} : omitUndefined({ id: first })), folder: cli.io.cwd, files };
  if (into !== undefined) return restoreFiles(cli, { ...selection, into });
  if (yes && !diff) return restoreFiles(cli, selection);
  const compared = await cli.call("files.diff", selection);
  if (!compared.ok) return compared;
  const { value: data } = compared;
  if (data.changes.length === 0)
    return ok({ data, text: nothingLines(cli, data), isFailed: data.notRestored.length > 0 });
  if (diff) {
    for (const line of fileLines("Not restored", data.notRestored)) cli.progress(line);
    return ok({ data, text: data.diff, isVerbatim: true });
  }
  const refused = await confirm(cli, data);
  // Another checkpoint may be the newest by now.
  return refused ?? restoreFiles(cli, { ...selection, id: data.checkpoint });
}

/** Says first which files of which session these are. */
function confirm(cli: Cli, compared: Compared): Promise<CommandResult | null> {
  const { diff, changes } = compared;
  const project = shownPath(compared.project);
  const count = pluralize(changes.length, "file");
  const verb = changes.length === 1 ? "differs" : "differ";
  const heading = `${savedText(cli, compared)}. ${count} of ${compared.compared} ${verb} from ${project}`;
  const command = `\`shim restore ${compared.checkpoint} --yes\``;
  return confirmShown(cli, changeLines(diff, heading, changes), {
    question: `Restore ${count} in ${project}? What is there now is copied first.`,
    unasked: `this would change ${count} in ${project}. ${command} does it without a question.`,
    unchanged: { data: { isRestored: false }, text: "Nothing was restored.\n" },
  });
}

function savedText(cli: Cli, { session, savedAt, checkpoint, origin, project }: Saved): string {
  const where = origin === null ? "" : ` on ${origin.machine}`;
  const title = oneLine(session.title ?? "untitled", 60);
  return `Files of ${shownPath(project)} as session ${session.shortId} (${title})${where} had them ${cli.ago(savedAt)} (checkpoint ${checkpoint})`;
}

function restoreFiles(cli: Cli, input: MachineInput<"files.restore">): Promise<CommandResult> {
  return cli.show("files.restore", input, (restored) => {
    const { project, into, written, differing, backup } = restored;
    const isFailed = restored.notRestored.length > 0;
    if (differing === 0) return { text: nothingLines(cli, restored), isFailed };
    const isInProject = differing !== null;
    const text = [
      `${savedText(cli, restored)}.`,
      `Restored ${pluralize(written.length, "file")} ${isInProject ? "in" : "into"} ${shownPath(into ?? project)}.`,
      backup !== null && `What they replaced is in ${shownPath(backup)}.`,
      ...listsOf(restored),
    ];
    return { text, isFailed };
  });
}

function nothingLines(cli: Cli, saved: Saved): string[] {
  const which = saved.notRestored.length > 0 ? "All other files" : "The files";
  const nothing = `${which} in ${shownPath(saved.project)} are as they were saved: nothing to restore.`;
  return [`${savedText(cli, saved)}.`, nothing, ...listsOf(saved)];
}

function listsOf({ notRestored, leftOut }: Saved): string[] {
  return [...fileLines("Not restored", notRestored), ...fileLines("Never saved", leftOut)];
}
