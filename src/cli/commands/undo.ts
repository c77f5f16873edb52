import type { Command } from "commander";
import type { MachineOutput } from "../../contract/machine/operations.ts";
import { oneLine, pluralize } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { ok } from "../../shared/result.ts";
import { failed } from "../answer.ts";
import type { Cli, CommandResult, CommonOptions } from "../cli.ts";
import { diffExcerpt } from "../screen-text.ts";

interface UndoOptions extends CommonOptions {
  readonly session?: string;
  readonly redo?: boolean;
  readonly diff?: boolean;
  readonly yes?: boolean;
}

type Preview = MachineOutput<"undo.preview">;
type Undone = MachineOutput<"undo.apply">;

export function addCommand(program: Command, cli: Cli): void {
  const command = program
    .command("undo [prompt] [files...]")
    .description("take back what a chat changed since a prompt; default: in the newest turn that changed files")
    .option("--session <id>", "the chat; default: the one that changed files last here")
    .option("--redo", "take the last undo back")
    .option("--diff", "only show what would change")
    .option("-y, --yes", "do not ask");
  cli.define(command, (options: UndoOptions, ...given: unknown[]) =>
    undo(
      cli,
      options,
      given.flat().filter((word) => typeof word === "string"),
    ),
  );
}

/** Shows what changes and asks before it does so. */
async function undo(cli: Cli, options: UndoOptions, [prompt, ...files]: readonly string[]): Promise<CommandResult> {
  const { session, redo = false, diff = false, yes = false } = options;
  const input = { ...omitUndefined({ session, prompt }), folder: cli.io.cwd, redo, files };
  const found = await cli.call("undo.preview", input);
  if (!found.ok) return found;
  const { value: data } = found;
  if (diff) return ok({ data, text: data.diff, isVerbatim: true });
  if (data.changes.length === 0) return ok({ data: { ...data, checkpoint: null }, text: nothingLines(cli, data) });
  const refused = yes ? null : await confirm(cli, data);
  if (refused) return refused;
  // Another turn may be the newest by now.
  const shown = data.prompt === null ? {} : { prompt: String(data.prompt.number) };
  const done = await cli.call("undo.apply", { ...input, session: data.session, ...shown });
  if (!done.ok) return done;
  const { changes, checkpoint } = done.value;
  const text = [
    `${redo ? "Put back" : "Took back"} ${pluralize(changes.length, "file")} in ${data.project}: ${chatOf(data)}, ${sinceOf(cli, data)}.`,
    ...leftLines(done.value.left),
    checkpoint !== null && "`shim undo --redo` takes this back.",
  ];
  return ok({ data: done.value, text, isFailed: changes.length === 0 });
}

async function confirm(cli: Cli, preview: Preview): Promise<CommandResult | null> {
  const { diff, changes, left, project } = preview;
  const heading = [`${chatOf(preview)}, ${sinceOf(cli, preview)}:`, ...listOf(changes)];
  cli.io.stderr(`${cli.verbatim([...diffExcerpt(diff.trimEnd()), "", ...heading, ...leftLines(left)].join("\n"))}\n`);
  const count = pluralize(changes.length, "file");
  const reply = await cli.confirm(`Put ${count} in ${project} back? --redo takes it back.`, false);
  if (reply === "yes") return null;
  if (reply === "no") return ok({ data: { isUndone: false }, text: "Nothing was changed.\n" });
  return failed("not_confirmed", `this would change ${count} in ${project}. Add --yes, or --diff to see it.`);
}

function chatOf({ shortId, title }: Preview | Undone): string {
  return `chat ${shortId} (${oneLine(title ?? "untitled", 60)})`;
}

function sinceOf(cli: Cli, { prompt }: Preview | Undone): string {
  return prompt === null
    ? "since its last undo"
    : `since prompt ${prompt.number}, "${oneLine(prompt.text, 60)}" (${cli.ago(prompt.at)})`;
}

const verbs = { changed: "put back", missing: "comes back", created: "is deleted" } as const;

function listOf(changes: Preview["changes"]): string[] {
  return changes.map(({ path, now }) => `  ${path}: ${verbs[now]}`);
}

const maxLeft = 50;

function leftLines(left: Preview["left"]): string[] {
  const more = left.length > maxLeft ? [`  and ${left.length - maxLeft} more: \`--json\` lists all`] : [];
  const lines = left.slice(0, maxLeft).map(({ path, reason }) => `  ${path}: ${reason}`);
  return lines.length === 0 ? [] : ["Not put back:", ...lines, ...more];
}

function nothingLines(cli: Cli, preview: Preview): string[] {
  const { prompt, left, project } = preview;
  const isFirst = prompt === null || prompt.number === 1;
  const earlier = isFirst ? [] : [`\`shim undo ${prompt.number - 1}\` begins one prompt earlier.`];
  const what = `Nothing to put back in ${project}: ${chatOf(preview)}, ${sinceOf(cli, preview)}.`;
  return [what, ...leftLines(left), ...earlier];
}
