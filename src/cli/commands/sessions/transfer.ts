import { pluralize } from "../../../shared/format.ts";
import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { Option, type Command } from "commander";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { sessionDocument, type DocumentFormat } from "../../../local-mcp/portable/session-document.ts";
import { exportLines, type ExportFilter } from "../../../store/export-lines.ts";
import { importLines } from "../../../store/import-lines.ts";
import { failed, fromHost, notFound, wrongUsage, type CliResult } from "../../answer.ts";
import { momentOption, type Cli, type CommonOptions, type CommandResult } from "../../cli.ts";
import { readFileLines, writeLines } from "../../line-file.ts";
import { findSession, projectOfFolder } from "../../../local-mcp/host/resolve-id.ts";

interface ExportOptions extends CommonOptions {
  readonly session?: string;
  readonly project?: string;
  readonly since?: number;
  readonly format: ExportFormat;
}

type ExportFormat = "jsonl" | DocumentFormat;
const formats: readonly ExportFormat[] = ["jsonl", "markdown", "atif"];

export function addExport(program: Command, cli: Cli): void {
  const command = program
    .command("export [file]")
    .description("everything stored, as JSON lines; to stdout without a file")
    .option("--session <id>", "only this session")
    .option("--project <folder>", "only this project")
    .option("--since <time>", "only sessions seen since", momentOption(cli.io, "first"))
    .addOption(new Option("--format <name>", "one session as a document").choices(formats).default("jsonl"));
  cli.define(command, (options: ExportOptions, file?: string) => exportTo(cli, options, file));
}

export function addImport(program: Command, cli: Cli): void {
  const command = program.command("import <file>").description("add what an export has and this machine does not");
  cli.define(command, (_options: CommonOptions, file: string) => importFrom(cli, file));
}

async function exportTo(cli: Cli, options: ExportOptions, file: string | undefined): Promise<CommandResult> {
  const wrong = findWrongUsage(options, file);
  if (wrong !== null) return wrongUsage(wrong);
  const path = file === undefined ? null : resolve(cli.io.cwd, file);
  if (path !== null && existsSync(path)) return failed("file_exists", `${path} already exists. Name a new file.`);
  const { format } = options;
  const runtime = await cli.runtime();
  const filter = toFilter(cli, runtime, options);
  if (!filter.ok) return filter;
  if (format !== "jsonl") return exportDocument(cli, runtime, { format, path, session: filter.value.session ?? "" });
  return path === null ? print(cli, runtime, filter.value) : writeTo(cli, runtime, filter.value, path);
}

function findWrongUsage({ json, format, session }: ExportOptions, file: string | undefined): string | null {
  if (file === undefined && json) return "with --json name a file: without one stdout holds the export itself.";
  return format !== "jsonl" && session === undefined ? `--format ${format} needs --session <id>.` : null;
}

/** Reads all lines in one transaction, so they agree; null where nothing is stored. */
function readLines<T>(runtime: Runtime, filter: ExportFilter, body: (lines: Iterable<string>) => T): T | null {
  return runtime.store.read<T | null>((sql) => body(exportLines(sql, runtime.now(), filter)), null);
}

const nothingStored = notFound("nothing is stored yet, so there is nothing to export.");

function print(cli: Cli, runtime: Runtime, filter: ExportFilter): CommandResult {
  const isDone = readLines(runtime, filter, (lines) => {
    for (const line of lines) cli.io.stdout(`${line}\n`);
    return true;
  });
  return isDone ? ok({ data: null, text: "" }) : nothingStored;
}

function writeTo(cli: Cli, runtime: Runtime, filter: ExportFilter, path: string): CommandResult {
  cli.progress(`Exporting to ${path} ...`);
  const lines = readLines(runtime, filter, (lines) => writeLines(path, lines));
  if (lines === null) return nothingStored;
  const text = `Exported ${pluralize(lines, "line")} to ${path}. Snapshots of files are not in it.\n`;
  return ok({ data: { file: path, lines }, text });
}

interface DocumentTarget {
  readonly format: DocumentFormat;
  readonly session: string;
  /** Default: stdout. */
  readonly path: string | null;
}

/** [PO3] */
function exportDocument(cli: Cli, runtime: Runtime, { format, session, path }: DocumentTarget): CommandResult {
  const text = sessionDocument(runtime, session, format);
  if (text === null) return nothingStored;
  if (path === null) {
    cli.io.stdout(text);
    return ok({ data: null, text: "" });
  }
  writeLines(path, [text.trimEnd()]);
  return ok({ data: { file: path, session, format }, text: `Exported session ${session} to ${path}.\n` });
}

function toFilter(cli: Cli, runtime: Runtime, { session, project, since }: ExportOptions): CliResult<ExportFilter> {
  const found = session === undefined ? null : fromHost(findSession(runtime, session));
  if (found && !found.ok) return found;
  const folder = project === undefined ? undefined : projectOfFolder(runtime, resolve(cli.io.cwd, project));
  return ok(omitUndefined({ session: found?.value.id, project: folder, since }));
}

async function importFrom(cli: Cli, file: string): Promise<CommandResult> {
  const path = resolve(cli.io.cwd, file);
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) return notFound(`there is no file ${path}.`);
  if (found.isDirectory())
    return failed("not_a_file", `${path} is a folder. Name a file that \`shim sessions export\` wrote.`);
  const runtime = await cli.runtime();
  cli.progress(`Importing ${path} ...`);
  // The write may run again, so it reads the file each time.
  const importResult = runtime.store.write((sql) => importLines(sql, readFileLines(path)));
  if (importResult.refused.length > 0) {
    const reasons = importResult.refused.map(({ line, reason }) => `\n  line ${line}: ${reason}`).join("");
    return failed("import_refused", `nothing was imported:${reasons}`);
  }
  const { added, skipped } = importResult;
  return ok({
    data: { file: path, added, skipped },
    text: `Imported ${pluralize(added, "row")}; already here: ${skipped}.\n`,
  });
}
