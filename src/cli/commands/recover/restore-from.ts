import { pluralize } from "../../../shared/format.ts";
import { existsSync, lstatSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import { ok } from "../../../shared/result.ts";
import type { RestoreOutcome, RestoreResult } from "../../../snapshots/restore-files.ts";
import {
  changesOf,
  diffOf,
  replaceFiles,
  withStaging,
  type FileChange,
  type ReplacedFiles,
} from "../../../snapshots/replace-files.ts";
import { failed, notFound, wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli, CommandResult, CommonOptions } from "../../cli.ts";

export interface RestoreOptions extends CommonOptions {
  readonly diff?: boolean;
  readonly yes?: boolean;
  readonly into?: string;
  readonly branch?: string;
}

export interface ExcludedFile {
  readonly path: string;
  readonly reason: string;
}

type RestoreTarget = string | { readonly project: string; readonly branch: string };

/** Saved files, of this machine or of another. */
export interface RestoreSource {
  /** Folder of the project on this machine. */
  readonly project: string;
  /** Names the default folders. */
  readonly short: string;
  readonly checkpoint: string;
  readonly leftOut: readonly ExcludedFile[];
  /** Heading where the files come from another machine. */
  readonly from?: string;
  readonly data?: Readonly<Record<string, string>>;
  write(into: RestoreTarget): Promise<RestoreOutcome>;
}

export const timeoutMs = 600_000;
/** Lines of a diff that a question shows; `--diff` prints all. */
const maxDiffLines = 200;

/**
 * [CL263] [CL13] Restores into the project, a folder or a branch.
 *
 * @param files relative to the working folder; none: all
 */
export async function restoreFrom(
  cli: Cli,
  options: RestoreOptions,
  files: readonly string[],
  source: RestoreSource,
): Promise<CommandResult> {
  const { into, branch } = options;
  if (into === undefined && branch === undefined) return restoreIntoProject(cli, options, files, source);
  if (files.length > 0) return wrongUsage("--into and --branch restore all files: leave the names out.");
  cli.progress("Restoring the files ...");
  const target = branch === undefined ? resolve(cli.io.cwd, into ?? "") : { project: source.project, branch };
  const outcome = await source.write(target);
  if (!outcome.ok) return failed(outcome.error.code, `${outcome.error.message}. Nothing was restored.`);
  return answerOf(source, target, outcome.value);
}

async function restoreIntoProject(
  cli: Cli,
  { diff: isDiff, yes }: RestoreOptions,
  files: readonly string[],
  source: RestoreSource,
): Promise<CommandResult> {
  const { project } = source;
  if (!existsSync(project)) return failed("no_project", `${project} does not exist. --into names another folder.`);
  const chosen = chosenPaths(cli, project, files);
  if (!chosen.ok) return chosen;
  return withStaging(async (scratch) => {
    cli.progress("Comparing the files ...");
    const staged = { folder: join(scratch, "files"), project };
    const outcome = await source.write(staged.folder);
    if (!outcome.ok) return failed(outcome.error.code, `${outcome.error.message}. Nothing was restored.`);
    const unknown = chosen.value.find((path) => !lstatSync(join(staged.folder, path), { throwIfNoEntry: false }));
    if (unknown !== undefined) return notFound(`${unknown} is not among the saved files. Nothing was restored.`);
    const changes = changesOf(staged, chosen.value);
    const { notRestored } = outcome.value;
    if (changes.length === 0) return nothingToDo(source, notRestored);
    const diff = await diffOf(staged, changes, { env: cli.io.env, timeoutMs });
    if (isDiff) return ok({ data: { ...dataOf(source), changes, diff }, text: diff, isVerbatim: true });
    const refused = await confirm(cli, { diff, changes, project, isYes: yes === true });
    if (refused) return refused;
    const replaced = replaceFiles(staged, changes, freeFolder(`${project}-before-${source.short}`));
    return answerInProject(source, { ...replaced, notRestored: [...notRestored, ...replaced.notRestored] });
  });
}

function chosenPaths({ io }: Cli, project: string, files: readonly string[]): CliResult<string[]> {
  const paths = files.map((file) => relative(project, resolve(io.cwd, file)).split(sep).join("/"));
  const foreign = paths.findIndex((path) => path === ".." || path.startsWith("../"));
  if (foreign >= 0) return wrongUsage(`${files[foreign]} is not in ${project}, whose files were saved.`);
  return ok(paths.filter((path) => path !== ""));
}

interface Question {
  readonly diff: string;
  readonly changes: readonly FileChange[];
  readonly project: string;
  readonly isYes: boolean;
}

async function confirm(cli: Cli, { diff, changes, project, isYes }: Question): Promise<CommandResult | null> {
  if (isYes) return null;
  const lines = diff.split("\n");
  const more = lines.length - maxDiffLines;
  const shown = more > 0 ? [...lines.slice(0, maxDiffLines), `... ${more} lines more: --diff prints all`] : lines;
  cli.io.stderr(`${cli.verbatim(shown.join("\n").trimEnd())}\n`);
  const question = `Restore ${pluralize(changes.length, "file")} in ${project}? What is there now is copied first.`;
  const reply = await cli.confirm(question, false);
  if (reply === "yes") return null;
  if (reply === "no") return ok({ data: { isRestored: false }, text: "Nothing was restored.\n" });
  return failed("not_confirmed", `this would change ${pluralize(changes.length, "file")} in ${project}. Add --yes.`);
}

function freeFolder(path: string): string {
  const taken = (at: number): boolean => existsSync(at === 1 ? path : `${path}-${at}`);
  let at = 1;
  while (taken(at)) at += 1;
  return at === 1 ? path : `${path}-${at}`;
}

function dataOf({ checkpoint, project, data = {} }: RestoreSource): Readonly<Record<string, string>> {
  return { checkpoint, project, ...data };
}

function nothingToDo(source: RestoreSource, notRestored: readonly ExcludedFile[]): CommandResult {
  const { leftOut, project } = source;
  const data = { ...dataOf(source), into: null, written: [], notRestored, branch: null, leftOut, backup: null };
  const text = `The files in ${project} are as they were saved: nothing to restore.\n`;
  return ok({ data, text: text + listOf("Not restored", notRestored) + listOf("Never saved", leftOut) });
}

function answerInProject(source: RestoreSource, replaced: ReplacedFiles): CommandResult {
  const { project, leftOut, from = "" } = source;
  const { written, notRestored, backup } = replaced;
  const head = `${from}Restored ${pluralize(written.length, "file")} in ${project}.\n`;
  const copies = backup === null ? "" : `What they replaced is in ${backup}.\n`;
  const text = head + copies + listOf("Not restored", notRestored) + listOf("Never saved", leftOut);
  const isFailed = written.length === 0;
  return ok({ data: { ...dataOf(source), into: null, branch: null, ...replaced, leftOut }, text, isFailed });
}

function answerOf(source: RestoreSource, into: RestoreTarget, result: RestoreResult): CommandResult {
  const { leftOut, from = "" } = source;
  const destination = typeof into === "string" ? into : `the branch ${into.branch} of ${into.project}`;
  const base =
    result.branch?.parent === null ? "The commit it was based on is gone, so the branch has no history.\n" : "";
  const head = `${from}Restored ${pluralize(result.written.length, "file")} into ${destination}.\n`;
  const text = head + base + listOf("Not restored", result.notRestored) + listOf("Never saved", leftOut);
  return ok({ data: { ...dataOf(source), into: typeof into === "string" ? into : null, ...result, leftOut }, text });
}

function listOf(title: string, files: readonly ExcludedFile[]): string {
  if (files.length === 0) return "";
  return [`${title}:`, ...files.map(({ path, reason }) => `  ${path}: ${reason}`), ""].join("\n");
}
