import { isTransient } from "../../contract/errors.ts";
import { createHash, type Hash } from "node:crypto";
import { appendFileSync, existsSync, statSync, truncateSync, renameSync, writeFileSync } from "node:fs";
import type { Command } from "commander";
import * as z from "zod";
import { Duration, File } from "../../contract/machine/operation.ts";
import { operations, type OutputOf } from "../../contract/operations.ts";
import type { Workspace } from "../../machine/sharing/operations/workspace.ts";
import { readFileLines } from "../../platform/data-files.ts";
import { age, pluralize } from "../../shared/format.ts";
import { parseJson } from "../../shared/json-fields.ts";
import { repeat } from "../../shared/async-work.ts";
import { err, fail, ok, type Result } from "../../shared/result.ts";
import { requireYes, type Cli, type CommandResult, type CommonOptions } from "../cli.ts";
import { define } from "../operation-command.ts";
import { workspaceOperations } from "../../contract/workspaces.ts";

/**
 * An exported workspace as JSON lines: one with the freeze, one for each page, one with the number
 * of rows of each table and the SHA-256 of the lines before it.
 */

const Header = z.object({ shim: z.literal("workspace"), format: z.literal(1), freeze: z.int(), at: z.string() });
const Page = operations["workspace.export"].output;
const End = z.object({ end: z.object({ counts: z.record(z.string(), z.int()), sha256: z.string() }) });

export type ExportHeader = z.infer<typeof Header>;
type ExportPage = OutputOf<"workspace.export">;
export type ExportEnd = z.infer<typeof End>["end"];

/** Sum of the lines of a file, in their order. */
class ExportSum {
  readonly #hash: Hash = createHash("sha256");
  readonly counts: Record<string, number> = {};
  pages = 0;
  bytes = 0;

  add(line: string): void {
    this.#hash.update(`${line}\n`);
    this.bytes += Buffer.byteLength(line) + 1;
  }

  addPage({ page: { table, rows } }: ExportPage): void {
    this.counts[table] = (this.counts[table] ?? 0) + rows.length;
    this.pages += 1;
  }

  end(): ExportEnd {
    return { counts: this.counts, sha256: this.#hash.copy().digest("hex") };
  }

  get rows(): number {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
  }
}

/** Follows the lines of a file. */
class Reading {
  readonly sum = new ExportSum();
  header: ExportHeader | null = null;
  last: ExportPage | null = null;
  end: ExportEnd | null = null;

  /** @returns false: the line is cut, or not of an export */
  take(text: string): boolean {
    const value = parseJson(text);
    if (this.header === null) this.header = Header.safeParse(value).data ?? null;
    else if ((this.end = End.safeParse(value).data?.end ?? null)) return true;
    else {
      const page = Page.safeParse(value).data;
      if (!page) return false;
      this.last = page;
      this.sum.addPage(page);
    }
    if (this.header !== null) this.sum.add(text);
    return this.header !== null;
  }
}

export interface UnfinishedExport {
  readonly header: ExportHeader;
  readonly sum: ExportSum;
  readonly last: ExportPage | null;
}

/** Cuts off what follows the last whole page. @returns null: nothing can be continued */
function readUnfinished(path: string): UnfinishedExport | null {
  if (!existsSync(path)) return null;
  const reading = new Reading();
  for (const line of readFileLines(path)) if (!reading.take(line) || reading.end) break;
  const { header, sum, last } = reading;
  if (header === null) return null;
  // A page that was cut at its line feed is whole.
  if (sum.bytes > statSync(path).size) appendFileSync(path, "\n");
  truncateSync(path, sum.bytes);
  return { header, sum, last };
}

export interface WholeExport {
  readonly header: ExportHeader;
  readonly end: ExportEnd;
  readonly rows: number;
}

/** Checks every line of a file before any is used. */
function checkExport(path: string): Result<WholeExport> {
  if (!existsSync(path)) return fail("not_found", `there is no file ${path}`);
  const reading = new Reading();
  let number = 0;
  for (const line of readFileLines(path)) {
    number += 1;
    const isKnown = reading.take(line);
    const { header, end, sum } = reading;
    if (header === null) return damaged(path, "its first line is not that of an exported workspace");
    const isCut = !isKnown && parseJson(line) === undefined;
    if (!isKnown) return damaged(path, `line ${number} is ${isCut ? "cut" : "no page of an export"}`);
    if (!end) continue;
    const own = sum.end();
    if (end.sha256 === own.sha256) return ok({ header, end: own, rows: sum.rows });
    return damaged(path, "its lines are not those that were written (SHA-256 differs)");
  }
  return damaged(path, `it ends after line ${number}, without the line that ends an export`);
}

/** The pages of a file that was checked. */
function* pagesOf(path: string): Generator<ExportPage> {
  for (const line of readFileLines(path)) {
    const page = Page.safeParse(parseJson(line)).data;
    if (page) yield page;
  }
}

function damaged(path: string, why: string): Result<never> {
  const message = `${path} is not a whole export: ${why}. Nothing was imported; export the workspace again`;
  return fail("bad_input", message);
}

/** Pause before a page is asked for again: the coordinator limits what a token does. */
const pauseMs = 1_000;
const mostTries = 60;

/** An export that was interrupted can be continued for so long. */
const freezeMs = 600_000;
const pagesPerFreeze = 10;

export function addTransfer(workspace: Command, cli: Cli): void {
  define(cli, workspace, "freeze", {
    operation: "workspace.freeze",
    of: workspaceOperations,
    example: { ms: 600_000 },
    args: ["ms"],
    view: ({ remainingMs }) => [
      `The workspace is read only for ${age(remainingMs)}: \`shim workspace thaw\` ends that.`,
    ],
  });
  define(cli, workspace, "thaw", {
    operation: "workspace.freeze",
    of: workspaceOperations,
    summary: "End a freeze: the workspace takes changes again.",
    fixed: { ms: 0 },
    view: () => ["The workspace takes changes again."],
  });
  define(cli, workspace, "export", {
    input: z.strictObject({
      file: File,
      keepFrozenMs: Duration.optional().describe("leave it read only for so long afterwards, such as 7d for a move"),
    }),
    summary: "Write the whole workspace to a file, but its tokens; it is read only meanwhile.",
    example: { file: "team.jsonl" },
    args: ["file"],
    run: ({ file, keepFrozenMs = 0 }) => exportTo(cli, keepFrozenMs, file),
  });
  define(cli, workspace, "import", {
    input: z.strictObject({ file: File }),
    summary: "Fill a new workspace, which this machine has joined, from the file of an export.",
    example: { file: "team.jsonl" },
    args: ["file"],
    asks: true,
    run: ({ file }, options) => importFrom(cli, options, file),
  });
}

async function exportTo(cli: Cli, keepMs: number, path: string): Promise<CommandResult> {
  if (existsSync(path)) return fail("file_exists", `${path} exists: give another name`);
  return cli.withWorkspace(async (link) => {
    const partial = `${path}.part`;
    const frozen = await link.call("workspace.freeze", { ms: freezeMs });
    if (!frozen.ok) return frozen;
    const { freeze, remainingMs: before } = frozen.value;
    const earlierMs = before > freezeMs ? before : 0;
    const sum = await writePages(cli, { patient: patience(cli), link, freeze }, partial);
    if (!sum.ok) return withAdvice(sum.error, path);
    appendFileSync(partial, `${JSON.stringify({ end: sum.value.end() })}\n`);
    renameSync(partial, path);
    const ended = await endFreeze(link, keepMs, earlierMs);
    if (!ended.ok) return ended;
    const { rows, bytes } = sum.value;
    const remainingMs = ended.value;
    return ok({
      data: { file: path, rows, bytes, sha256: sum.value.end().sha256, remainingMs },
      text: [
        `${pluralize(rows, "row")} in ${path} (${bytes} bytes), readable by you only: sealed sessions are still sealed, all else is plain text.`,
        remainingMs > 0 &&
          `The workspace is read only for ${age(remainingMs)} more: \`shim workspace thaw\` ends that.`,
      ],
    });
  });
}

/** @param earlierMs of a freeze of before, which stays @returns how long it stays frozen */
async function endFreeze(link: Workspace, keepMs: number, earlierMs: number): Promise<Result<number>> {
  if (keepMs === 0 && earlierMs > 0) return ok(earlierMs);
  const ended = await link.call("workspace.freeze", { ms: keepMs });
  return ended.ok ? ok(ended.value.remainingMs) : ended;
}

function withAdvice(error: Extract<Result<never>, { ok: false }>["error"], path: string): Result<never> {
  const message = `${error.message}. What was read is in ${path}.part: the same command continues within ten minutes, while the workspace is read only (\`shim workspace thaw\` ends that)`;
  return err({ ...error, message });
}

interface Source {
  readonly patient: Patience;
  readonly link: Workspace;
  /** Number of the freeze. */
  readonly freeze: number;
}

/** Writes the pages that a file lacks. */
async function writePages(cli: Cli, { patient, link, freeze }: Source, path: string): Promise<Result<ExportSum>> {
  const earlier = readUnfinished(path);
  const isContinued = earlier?.header.freeze === freeze;
  if (earlier && !isContinued)
    cli.progress("The workspace may have changed since the export was interrupted: it begins again.");
  const sum = isContinued ? earlier.sum : new ExportSum();
  const write = (line: string): void => {
    appendFileSync(path, `${line}\n`);
    sum.add(line);
  };
  if (!isContinued) {
    writeFileSync(path, "", { mode: 0o600 });
    write(JSON.stringify({ shim: "workspace", format: 1, freeze, at: new Date(cli.io.now()).toISOString() }));
  }
  for (let last: ExportPage | null = isContinued ? earlier.last : null; last === null || last.next !== null;) {
    const after = last;
    const page = await patient(() => nextPage(link, freeze, after, sum.pages));
    if (!page.ok) return page;
    last = page.value;
    write(JSON.stringify(last));
    sum.addPage(last);
    cli.passing(`${pluralize(sum.rows, "row")} of the workspace read`);
  }
  cli.passing("");
  return ok(sum);
}

type Patience = <T>(ask: () => Promise<Result<T>>) => Promise<Result<T>>;

/** Repeats what is refused for now, until Ctrl-C. */
function patience(cli: Cli): Patience {
  const stop = cli.io.interrupted();
  const interrupted: Result<never> = fail("interrupted", "interrupted");
  return (ask) =>
    repeat(
      async () => (stop.aborted ? interrupted : ask()),
      (answer, tries) => (!answer.ok && isTransient(answer.error) && tries < mostTries ? pauseMs : null),
      (ms) => cli.io.wait(ms, stop),
    );
}

async function nextPage(
  link: Workspace,
  freeze: number,
  last: ExportPage | null,
  pages: number,
): Promise<Result<OutputOf<"workspace.export">>> {
  if (pages % pagesPerFreeze === pagesPerFreeze - 1) {
    const extended = await link.call("workspace.freeze", { ms: freezeMs });
    if (!extended.ok) return extended;
  }
  return link.call("workspace.export", { freeze, ...(last?.next ? { after: last.next } : {}) });
}

async function importFrom(cli: Cli, options: CommonOptions, path: string): Promise<CommandResult> {
  const checked = checkExport(path);
  if (!checked.ok) return checked;
  const { header, end, rows } = checked.value;
  const question = `Fill this machine's workspace with ${pluralize(rows, "row")} of ${header.at}? What its chats have registered there begins anew.`;
  const refused = await requireYes(cli, question, options);
  if (refused) return refused;
  const patient = patience(cli);
  return cli.withWorkspace(async (link) => {
    const id = end.sha256;
    const begun = await link.call("workspace.import", { id, part: 0 });
    if (!begun.ok) return begun;
    let part = 0;
    for (const { page } of pagesOf(path)) {
      part += 1;
      if (part < begun.value.next) continue;
      const input = { id, part, page };
      const taken = await patient(() => link.call("workspace.import", input));
      if (!taken.ok) return taken;
      cli.passing(`part ${part} imported`);
    }
    cli.passing("");
    const last = { id, part: part + 1, counts: end.counts };
    const done = await patient(() => link.call("workspace.import", last));
    if (!done.ok) return done;
    const { epoch } = done.value;
    return ok({
      data: { rows, epoch },
      text: [
        `${pluralize(rows, "row")} are imported, each table counted, with epoch ${epoch}.`,
        "No lease is granted for ten minutes, since a chat may still trust one of before. Other machines join with a token of this workspace.",
        "Sealed sessions keep the key of before: set it here with `shim workspace key set`, and give it where other machines join.",
      ],
    });
  });
}
