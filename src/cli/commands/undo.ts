import type { Command } from "commander";
import * as z from "zod";
import { flag } from "../../contract/machine/operation.ts";
import type { MachineOutput } from "../../contract/machine/operations.ts";
import { oneLine, pluralize } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { ok } from "../../shared/result.ts";
import type { Answer } from "../answer.ts";
import { confirmShown, type Cli, type CommandResult } from "../cli.ts";
import { define } from "../operation-command.ts";
import { changeLines, fileLines, shownPath } from "../screen-text.ts";

const UndoInput = z.strictObject({
  prompt: z.string().optional(),
  files: z.array(z.string()).default([]),
  session: z.string().optional().describe("the chat; default: the one that changed files last here"),
  redo: flag("take the last undo back"),
  diff: flag("only show what would change"),
});

type Preview = MachineOutput<"undo.preview">;
type Undone = MachineOutput<"undo.apply">;

export function addCommand(program: Command, cli: Cli): void {
  define(cli, program, "undo", {
    input: UndoInput,
    summary: "Take back what a chat changed since a prompt; default: in the newest turn that changed files.",
    example: { diff: true },
    args: ["prompt"],
    rest: "files",
    asks: true,
    run: (input, { yes = false }) => undo(cli, input, yes),
  });
}

/** Shows what changes and asks before it does so. */
async function undo(
  cli: Cli,
  { prompt, files, session, redo, diff }: z.infer<typeof UndoInput>,
  yes: boolean,
): Promise<CommandResult> {
  const input = { ...omitUndefined({ session, prompt }), folder: cli.io.cwd, redo, files };
  const found = await cli.call("undo.preview", input);
  if (!found.ok) return found;
  const { value: data } = found;
  if (data.changes.length === 0 || diff) return ok(previewed(cli, data, diff));
  const declined = yes ? null : await confirm(cli, data);
  if (declined) return declined;
  // Another turn may be the newest by now.
  const shown = data.prompt === null ? {} : { prompt: String(data.prompt.number) };
  const leave = cli.io.onInterrupt(() => {
    leave();
    cli.progress("The host of this machine completes what it has begun. Ctrl-C again does not wait for it.");
  });
  const done = await cli.call("undo.apply", { ...input, session: data.session, ...shown });
  leave();
  if (!done.ok) return done;
  const { changes, refused } = done.value;
  return ok({
    data: done.value,
    text: doneLines(cli, done.value),
    isFailed: changes.length === 0 || refused.length > 0,
  });
}

function previewed(cli: Cli, data: Preview, isDiff: boolean): Answer {
  const isFailed = data.changes.length === 0;
  const lines = isFailed ? nothingLines(cli, data) : [];
  if (!isDiff) return { data: { ...data, checkpoint: null }, text: lines, isFailed };
  for (const line of lines) cli.progress(line);
  return { data, text: data.diff, isVerbatim: true, isFailed };
}

function doneLines(cli: Cli, done: Undone): (string | false)[] {
  const { prompt, project, changes, refused, left, checkpoint } = done;
  const isRedo = prompt === null;
  const [again, back] = isRedo ? ["`shim undo --redo`", "`shim undo`"] : ["`shim undo`", "`shim undo --redo`"];
  const of = refused.length === 0 ? "" : `${changes.length} of `;
  const count = `${of}${pluralize(changes.length + refused.length, "file")}`;
  return [
    `${isRedo ? "Put back" : "Took back"} ${count} in ${shownPath(project)}: ${chatOf(done)}, ${sinceOf(cli, done)}.`,
    ...fileLines("Could not be changed", refused),
    refused.length > 0 && `${again} completes it.`,
    ...fileLines("Not put back", left),
    ...atWorkLines(done),
    checkpoint !== null && `${back} takes this back.`,
  ];
}

function confirm(cli: Cli, preview: Preview): Promise<CommandResult | null> {
  const { diff, changes, left, project } = preview;
  const heading = `${chatOf(preview)}, ${sinceOf(cli, preview)}`;
  const count = pluralize(changes.length, "file");
  return confirmShown(
    cli,
    [...changeLines(diff, heading, changes), ...fileLines("Not put back", left), ...atWorkLines(preview)],
    {
      question: `Put ${count} in ${shownPath(project)} back? --redo takes it back.`,
      unasked: `this would change ${count} in ${shownPath(project)}. Add --yes, or --diff to see it.`,
      unchanged: { data: { isUndone: false }, text: "Nothing was changed.\n" },
    },
  );
}

/** This undo takes nothing back that they change from now on. */
function atWorkLines({ atWork }: Preview | Undone): string[] {
  const lines = atWork.map(({ command, pids }) => {
    const where = pids.length === 0 ? "" : ` (pid ${pids.join(", ")})`;
    return `  ${oneLine(command, 60)}${where}`;
  });
  return lines.length === 0 ? [] : ["Still at work, and may change files again:", ...lines];
}

function chatOf({ shortId, title }: Preview | Undone): string {
  return `chat ${shortId} (${oneLine(title ?? "untitled", 60)})`;
}

function sinceOf(cli: Cli, { prompt }: Preview | Undone): string {
  return prompt === null
    ? "since its last undo"
    : `since prompt ${prompt.number}, "${oneLine(prompt.text, 60)}" (${cli.ago(prompt.at)})`;
}

function nothingLines(cli: Cli, preview: Preview): string[] {
  const { prompt, left, project } = preview;
  const isFirst = prompt === null || prompt.number === 1;
  const earlier = isFirst ? [] : [`\`shim undo ${prompt.number - 1}\` begins one prompt earlier.`];
  const what = `Nothing to put back in ${shownPath(project)}: ${chatOf(preview)}, ${sinceOf(cli, preview)}.`;
  return [what, ...fileLines("Not put back", left), ...atWorkLines(preview), ...earlier];
}
