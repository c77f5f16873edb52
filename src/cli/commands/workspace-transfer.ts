import { appendFileSync, existsSync, renameSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import type { OutputOf } from "../../contract/operations.ts";
import type { Workspace } from "../../machine/operations/operation-context.ts";
import { age, pluralize } from "../../shared/format.ts";
import { repeat } from "../../shared/repeat.ts";
import { err, ok } from "../../shared/result.ts";
import { wrongUsage, type CliResult } from "../answer.ts";
import { requireYes, type Cli, type CommandResult, type CommonOptions } from "../cli.ts";
import { parseDuration } from "../times.ts";
import { checkExport, ExportSum, pagesOf, readUnfinished, type ExportPage } from "../workspace-file.ts";
import { defineWork } from "../workspace-command.ts";

/** Pause before a page is asked for again: the coordinator limits what a token does. */
const pauseMs = 1_000;
const mostTries = 60;

/** An export that was interrupted can be continued for so long. */
const freezeMs = 600_000;
const pagesPerFreeze = 10;

interface ExportOptions extends CommonOptions {
  readonly keepFrozen?: string;
}

export function addTransfer(workspace: Command, cli: Cli): void {
  defineWork(cli, workspace, "freeze", {
    operation: "workspace.freeze",
    args: ["ms"],
    view: ({ remainingMs }) => [
      `The workspace is read only for ${age(remainingMs)}: \`shim workspace thaw\` ends that.`,
    ],
  });
  defineWork(cli, workspace, "thaw", {
    operation: "workspace.freeze",
    summary: "End a freeze: the workspace takes changes again.",
    fixed: { ms: 0 },
    view: () => ["The workspace takes changes again."],
  });
  const exporting = workspace
    .command("export <file>")
    .description("write the whole workspace to a file, but its tokens; it is read only meanwhile")
    .option("--keep-frozen <duration>", "leave it read only for so long afterwards, such as 7d for a move");
  cli.define(exporting, (options: ExportOptions, file: string) => exportTo(cli, options, file));
  const importing = workspace
    .command("import <file>")
    .description("fill a new workspace, which this machine has joined, from the file of an export")
    .option("-y, --yes", "do not ask");
  cli.define(importing, (options: ImportOptions, file: string) => importFrom(cli, options, file));
}

async function exportTo(cli: Cli, { keepFrozen }: ExportOptions, file: string): Promise<CommandResult> {
  const path = resolve(cli.io.cwd, file);
  if (existsSync(path)) return err({ code: "file_exists", message: `${path} exists: give another name` });
  const keepMs = keepFrozen === undefined ? 0 : parseDuration(keepFrozen);
  if (keepMs === null) return wrongUsage("--keep-frozen takes a duration, such as 2h or 7d.");
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
async function endFreeze(link: Workspace, keepMs: number, earlierMs: number): Promise<CliResult<number>> {
  if (keepMs === 0 && earlierMs > 0) return ok(earlierMs);
  const ended = await link.call("workspace.freeze", { ms: keepMs });
  return ended.ok ? ok(ended.value.remainingMs) : ended;
}

function withAdvice(error: Extract<CliResult<never>, { ok: false }>["error"], path: string): CliResult<never> {
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
async function writePages(cli: Cli, { patient, link, freeze }: Source, path: string): Promise<CliResult<ExportSum>> {
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

type Patience = <T>(ask: () => Promise<CliResult<T>>) => Promise<CliResult<T>>;

/** Repeats what is refused for now, until Ctrl-C. */
function patience(cli: Cli): Patience {
  const stop = cli.io.interrupted();
  const interrupted: CliResult<never> = err({ code: "interrupted", message: "interrupted" });
  return (ask) =>
    repeat(
      async () => (stop.aborted ? interrupted : ask()),
      (answer, tries) => (!answer.ok && answer.error.isTransient === true && tries < mostTries ? pauseMs : null),
      (ms) => cli.io.wait(ms, stop),
    );
}

async function nextPage(
  link: Workspace,
  freeze: number,
  last: ExportPage | null,
  pages: number,
): Promise<CliResult<OutputOf<"workspace.export">>> {
  if (pages % pagesPerFreeze === pagesPerFreeze - 1) {
    const extended = await link.call("workspace.freeze", { ms: freezeMs });
    if (!extended.ok) return extended;
  }
  return link.call("workspace.export", { freeze, ...(last?.next ? { after: last.next } : {}) });
}

interface ImportOptions extends CommonOptions {
  readonly yes?: boolean;
}

async function importFrom(cli: Cli, options: ImportOptions, file: string): Promise<CommandResult> {
  const path = resolve(cli.io.cwd, file);
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
        "No lease is granted for ten minutes, since a chat may still trust one of before. Other machines join with a token of this workspace and the key that they have.",
      ],
    });
  });
}
