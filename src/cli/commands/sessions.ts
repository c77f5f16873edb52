import { rmSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import type { Command } from "commander";
import * as z from "zod";
import { localTime } from "../../contract/age.ts";
import { flag } from "../../contract/machine/operation.ts";
import { titleOf, clientTitle } from "../../clients/adapters.ts";
import { stateText, stateWords } from "../../contract/chat-state.ts";
import { triggerText } from "../../contract/checkpoint.ts";
import { hookClients } from "../../contract/clients.ts";
import type { MachineOutput, MachineInput } from "../../contract/machine/operations.ts";
import {
  sessionOperations,
  type ListedCheckpoint,
  type SessionView,
  type TimelineEntry,
} from "../../contract/machine/sessions.ts";
import { storedStates } from "../../contract/machine/stored-states.ts";
import type { CheckedSession } from "../../contract/machine/stores.ts";
import { readFileLines } from "../../platform/data-files.ts";
import { firstOf, oneLine, pluralize } from "../../shared/format.ts";
import { err, ok } from "../../shared/result.ts";
import { exitCodes } from "../../contract/exit-codes.ts";
import { wrongUsage, type Lines, type Columns, type Shown, wrongWords } from "../answer.ts";
import { type Cli, type CommandResult, limitOption } from "../cli.ts";
import { define } from "../operation-command.ts";
import { cutToWidth, wrapLine } from "../screen-text.ts";

/** `shim sessions check` and `import`: what the clients themselves keep. */
function addStoredCommands(sessions: Command, cli: Cli): void {
  define(cli, sessions, "check", {
    operation: "stores.check",
    of: async () => (await import("../../contract/machine/stores.ts")).storesOperations,
    fixed: { folder: cli.io.cwd },
    run: ({ call }) => {
      // Rows are garbage at once: a larger heap for them takes 50 MB and saves no time.
      for (const flag of ["--max-semi-space-size=2", "--semi-space-growth-factor=1", "--heap-growing-percent=15"])
        setFlagsFromString(flag);
      return call();
    },
    view: checkView,
    exitOf: ({ sessions: all, unread }) =>
      unread.length > 0 || all.some(({ state }) => state === "damaged") ? exitCodes.failed : exitCodes.ok,
  });
  define(cli, sessions, "import", {
    input: ImportInput,
    summary: "Add what `shim sessions export` has written; or with --all the sessions that clients keep.",
    example: { all: true },
    args: ["file"],
    run: ({ file, all, client }) => {
      if (all === (file !== undefined)) return wrongWords("give a file, or --all.");
      if (all) return importAll(cli, client);
      return cli.show("sessions.import", { file: file ?? "" }, ({ added, skipped }) => ({
        text: [`Imported ${pluralize(added, "row")}; already here: ${skipped}.`],
      }));
    },
  });
}

type Checked = MachineOutput<"stores.check">;

const maxFindings = 3;
const colours = { damaged: "red", poisoned: "red", invisible: "yellow", expiring: "yellow", whole: "green" } as const;

/** The whole ones first: what is wrong stands where a terminal shows it. */
function checkView({ stores, sessions, unread }: Checked, cli: Cli): Lines {
  const ordered = sessions.toSorted(
    (a, b) => storedStates.indexOf(b.state) - storedStates.indexOf(a.state) || a.changedAt - b.changedAt,
  );
  return [
    ...ordered.flatMap((one) => sessionLines(one, cli)),
    sessions.length > 0 && "",
    ...stores.map(({ client, path, isThere, sessions: count, notes }) => {
      const found = isThere ? [pluralize(count, "session"), ...notes].join("; ") : "not there";
      return `${titleOf(client)}, ${cli.short(path)}: ${found}`;
    }),
    ...unread.map(({ file, why }) => `${cli.paint("red", "not read")}  ${file}: ${why}`),
    ...sumLines(sessions, unread.length),
  ];
}

function sessionLines(one: CheckedSession, cli: Cli): string[] {
  const { state, session, title, bytes, changedAt, findings, kept } = one;
  const about = `${titleOf(one.client)} ${session}  ${cli.ago(changedAt)}, ${sizeText(bytes)}, ${contentText(one)}`;
  const shown = findings.slice(0, maxFindings).map((finding) => `          ${oneLine(finding.text, 400)}`);
  const more = findings.length - shown.length;
  return [
    `${cli.paint(colours[state], state.padEnd(9))} ${about}${title === null ? "" : `  "${oneLine(title, 60)}"`}`,
    ...shown,
    ...(more > 0 ? [`          and ${more} more (--json has all)`] : []),
    ...(kept === null ? [] : [`          copied to ${kept}`]),
  ];
}

function contentText({ lines, prompts, sent, subagents }: CheckedSession): string {
  const isPart = sent !== null && sent !== prompts;
  return [
    pluralize(lines, "row"),
    `${pluralize(prompts, "prompt")}${isPart ? ` (its client sends ${sent})` : ""}`,
    ...(subagents > 0 ? [pluralize(subagents, "sub-agent")] : []),
  ].join(", ");
}

function sizeText(bytes: number): string {
  return bytes < 1_000_000 ? `${Math.ceil(bytes / 1_000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function sumLines(sessions: readonly CheckedSession[], unread: number): string[] {
  const of = (state: CheckedSession["state"]): number => sessions.filter((one) => one.state === state).length;
  const sum = (part: keyof CheckedSession["read"]): number => sessions.reduce((all, { read }) => all + read[part], 0);
  const [rows, damaged, blank] = [sum("rows"), sum("damaged"), sum("blank")];
  const counts = storedStates.toReversed().map((state) => `${of(state)} ${state}`);
  const notRead = unread === 0 ? "" : `; ${pluralize(unread, "path")} could not be read`;
  return [
    `${pluralize(sessions.length, "session")}: ${counts.join(", ")}${notRead}.`,
    `Read: ${grouped(rows + damaged + blank)} bytes, of which ${grouped(rows)} are rows, ${grouped(damaged)} hold none, ${grouped(blank)} are blank.`,
    ...(of("damaged") + of("poisoned") + of("invisible") > 0
      ? ["`shim rescue <id>` says what works, and copies a session so that its client opens it."]
      : []),
    ...(of("expiring") > 0 ? ["`shim sessions check --keep` copies what its client is about to delete."] : []),
  ];
}

const ImportInput = z.strictObject({
  file: z.string().optional().meta({ form: "file" }),
  all: flag("all sessions that clients keep on this machine"),
  client: z.enum(hookClients).optional().describe("with --all: those of one client"),
});

const notAFile = { how: "new", damages: 0, left: null } as const;

/** Each session is stored by itself: one that is interrupted can be repeated. */
async function importAll(cli: Cli, client: (typeof hookClients)[number] | undefined): Promise<CommandResult> {
  const folder = cli.io.cwd;
  const listed = await cli.call("stores.list", client === undefined ? {} : { client });
  if (!listed.ok) return listed;
  const { sessions, unread } = listed.value;
  const counts = { new: 0, again: 0, recorded: 0, damaged: 0 };
  const refused: { session: string | null; file: string | null; why: string }[] = unread.map(({ file, why }) => ({
    session: null,
    file,
    why,
  }));
  const left: string[] = [];
  for (const [at, { session, file }] of sessions.entries()) {
    cli.passing(`${at + 1} of ${sessions.length}: ${session}`);
    const done =
      file === null
        ? await cli.call("transcripts.import-session", { session, folder })
        : await cli.call("transcripts.import", { file, folder, isLongest: true });
    if (!done.ok && done.error.code === "interrupted") {
      cli.passing("");
      const message = `${at} of ${pluralize(sessions.length, "session")} were read; ${done.error.message}`;
      return err({ ...done.error, message });
    }
    if (!done.ok) {
      refused.push({ session, file, why: done.error.message.replace(`${file}: `, "") });
      continue;
    }
    const { how, damages, left: other } = "how" in done.value ? done.value : notAFile;
    counts[how] += 1;
    if (other !== null) left.push(other);
    if (damages > 0) counts.damaged += 1;
  }
  cli.passing("");
  const { new: added, again, recorded, damaged } = counts;
  const text = [
    `Of ${pluralize(sessions.length, "session")} ${added} were added, ${again} read again, ${recorded} left as their chats have recorded them; ${refused.length} could not be read.`,
    damaged > 0 && `In ${damaged} of them parts could not be read: \`shim sessions check\` says which.`,
    left.length > 0 && `Left out, since another file of the session goes on for longer: ${firstOf(left, 5)}`,
    refused.length > 0 &&
      `Not read: ${firstOf(
        refused.map(({ file, session, why }) => `${file ?? session} (${oneLine(why, 120)})`),
        5,
      )}`,
  ];
  return ok({ data: { added, again, recorded, damaged, left, refused }, text });
}

function grouped(count: number): string {
  return count.toLocaleString("en");
}

export function addCommand(program: Command, cli: Cli): void {
  const { input, summary, example } = sessionOperations["sessions.list"];
  const sessions = define(cli, program, "sessions", {
    input: input.extend({ id: z.string().optional() }),
    summary,
    example,
    args: ["id"],
    run: ({ id, ...asked }) =>
      id === undefined
        ? cli.show("sessions.list", asked, (listed) => ({ text: listView(listed, cli, asked) }))
        : showFound(cli, id, false, {}),
  });
  addShow(sessions, cli);
  addRecall(sessions, cli);
  define(cli, sessions, "search", {
    operation: "sessions.search",
    of: sessionOperations,
    rest: "text",
    isVerbatim: true,
    view: foundView,
  });
  define(cli, sessions, "name", {
    operation: "sessions.name",
    of: sessionOperations,
    args: ["session", "name"],
    view: ({ shortId, name, title }) => [
      name === null
        ? `${shortId} has no name now; its title is "${title ?? "untitled"}".`
        : `${shortId} is called "${name}".`,
    ],
  });
  addExport(sessions, cli);
  addStoredCommands(sessions, cli);
}

function listView(
  { sessions, project, scripts, hasOthers }: MachineOutput<"sessions.list">,
  cli: Cli,
  { incomplete = false, allMachines = false }: MachineInput<"sessions.list">,
): Shown {
  // Names this machine when other machines are in the same answer.
  const where = `${project === null ? "" : ` in ${project}`}${allMachines ? " on this machine" : ""}`;
  const shared: Columns<SessionView> = {
    ID: "shortId",
    STATE: ({ state }) => stateWords[state],
    DETAIL: ({ detail }) => detail,
  };
  const times: Columns<SessionView> = {
    SEEN: ({ lastSeenAt }) => cli.ago(lastSeenAt),
    SAVED: ({ savedAt }) => (savedAt === null ? "never" : cli.ago(savedAt)),
    CHECKPOINTS: "checkpoints",
  };
  const own: Columns<SessionView> = {
    ...shared,
    CLIENT: clientTitle,
    ...times,
    PROJECT: (one) => cli.short(one.project),
    TITLE: "title",
  };
  const others: Columns<SessionView> = {
    ...shared,
    ...times,
    MACHINE: ({ machine }) => machine,
    "PROJECT THERE": "project",
    TITLE: "title",
  };
  const here = sessions.filter(({ machine }) => machine === null);
  const elsewhere = sessions.filter(({ machine }) => machine !== null);
  const rows = cli.table(here, own, `${incomplete ? "No session died unfinished" : "No sessions"}${where}.\n`);
  const table = `${rows}${scripts === 0 ? "" : `and ${pluralize(scripts, "run")} of scripts (--scripts)\n`}`;
  if (!allMachines) return table;
  if (hasOthers)
    return [table, "", cli.table(elsewhere, others, "Other machines: none.\n").replace(/^ID/, "Other machines:\nID")];
  const why = "This machine has not joined a workspace, or has no key of it (`shim workspace status`).";
  return [table, "", `Other machines: none. ${why}`];
}

/** Words and calls of a session, quoted. */
function addRecall(sessions: Command, cli: Cli): void {
  define(cli, sessions, "recall", {
    operation: "recovery.recall",
    of: async () => (await import("../../contract/machine/recovery.ts")).recoveryOperations,
    args: ["session"],
    rest: "words",
    fixed: { folder: cli.io.cwd },
    view: ({ text }) => text,
    isVerbatim: true,
  });
}

const ShowInput = z.strictObject({
  id: z.string(),
  stored: flag("everything that is stored about the session, in full"),
});

function addShow(sessions: Command, cli: Cli): void {
  define(cli, sessions, "show", {
    input: ShowInput,
    summary: "What happened in a session, then its checkpoints; of a checkpoint the whole state.",
    example: { id: "5f0e0e5e" },
    args: ["id"],
    own: [limitOption(20, "at most this many checkpoints")],
    run: ({ id, stored }, { limit }) => showFound(cli, id, stored, typeof limit === "number" ? { limit } : {}),
  });
}

/** @param given beginning of the id of a session or a checkpoint */
async function showFound(
  cli: Cli,
  given: string,
  stored: boolean,
  limit: { readonly limit?: number },
): Promise<CommandResult> {
  const found = await cli.call("sessions.find", { id: given });
  if (!found.ok) return found;
  const { kind, id } = found.value;
  if (kind === "checkpoint") return showCheckpoint(cli, id);
  if (!stored) return showSession(cli, id, limit);
  return cli.show("sessions.stored", { session: id }, (all) => ({ text: storedLines(all, cli), isVerbatim: true }));
}

function showSession(cli: Cli, id: string, limit: { readonly limit?: number }): Promise<CommandResult> {
  return cli.show("sessions.show", { session: id, ...limit }, ({ session, timeline, checkpoints, total }) => {
    const { causeDetail, title } = session;
    const more = total - checkpoints.length;
    const hint = "`shim sessions show <id>` prints a checkpoint, `shim restore <id>` brings its files back.";
    const text = [
      `${session.id} (${title ?? "untitled"}, ${clientTitle(session)})`,
      cli.wrap(`${stateText(session)}${causeDetail === null ? "" : `. ${causeDetail}`}`),
      "",
      ...timeline.flatMap((entry) => wrapLine(timelineLine(cli, entry), cli.columns, timeIndent)),
      "",
      ...(total === 0 ? ["No checkpoints."] : checkpointRows(cli, checkpoints)),
      more > 0 && `  ${more} more: add \`--limit ${total}\``,
      total > 0 && cli.wrap(cli.format(hint)),
    ];
    return { text, isVerbatim: true };
  });
}

const sourceColours: Partial<Record<TimelineEntry["source"], "green" | "red" | "cyan" | "yellow">> = {
  effect: "yellow",
  checkpoint: "green",
  crash: "red",
  recovery: "cyan",
  signal: "yellow",
};

const timeIndent = " ".repeat(localTime(0).length + 2);

function timelineLine(cli: Cli, entry: TimelineEntry): string {
  const source = entry.source.padEnd(10);
  const colour = sourceColours[entry.source];
  const number = entry.prompt === undefined ? "" : `prompt ${entry.prompt}, `;
  return `${localTime(entry.at)}  ${colour ? cli.paint(colour, source) : source}  ${number}${oneLine(entry.text)}`;
}

function foundView({ text, sessions, missing }: MachineOutput<"sessions.search">, cli: Cli): Lines {
  if (missing !== null) cli.progress(`The newest checkpoints are not searched: ${missing}`);
  if (sessions.length === 0) return [`Nothing found for "${oneLine(text, 80)}".`];
  const width = cli.columns - 6;
  return sessions.flatMap(({ shortId, title, project, total, checkpoints }) => {
    const folder = project === null ? "" : `  ${cli.short(project)}`;
    const more = total - checkpoints.length;
    return [
      cli.paint("bold", `${shortId}  ${oneLine(title ?? "untitled", 60)}${folder}`),
      ...checkpoints.flatMap((one) => [
        `  ${cutToWidth(`${one.shortId}  ${cli.ago(one.at)}  ${triggerText(one.trigger)}: ${lastRequest(one)}`, width)}`,
        ...matchingLines(one, text).map((line) => `      ${oneLine(line, width)}`),
      ]),
      more > 0 && `  ${more} more: add \`--session ${shortId}\``,
    ];
  });
}

function matchingLines({ summary, contents }: ListedCheckpoint, words: string): string[] {
  const terms = words.toLowerCase().split(/\s+/);
  const [, ...behindTitle] = summary.split("\n");
  const lines = behindTitle.filter((line) => line !== contents.lastRequest);
  return lines.filter((line) => terms.some((word) => line.toLowerCase().includes(word))).slice(0, 3);
}

/** The whole state in one checkpoint. */
function showCheckpoint(cli: Cli, id: string): Promise<CommandResult> {
  return cli.show("checkpoints.get", { checkpoint: id }, ({ checkpoint, state, snapshot }) => {
    const why = snapshot?.reason ? ` (${snapshot.reason})` : "";
    const hint = snapshot?.state === "done" ? `, \`shim restore ${checkpoint.shortId}\` brings them back` : "";
    const text = [
      checkpoint.id,
      `saved: ${localTime(checkpoint.at)} (${cli.ago(checkpoint.at)}), because: ${triggerText(checkpoint.trigger)}`,
      `session: ${checkpoint.session}`,
      `size: ${checkpoint.rawBytes} bytes, ${checkpoint.redactions} secrets removed, sha256 ${checkpoint.hash}`,
      cli.format(`files: ${snapshot?.state ?? "none"}${why}${hint}`),
      "state:",
      JSON.stringify(state, null, 2),
    ];
    return { text, isVerbatim: true };
  });
}

function lastRequest({ contents }: ListedCheckpoint): string {
  return contents.isDamaged ? "(damaged)" : oneLine(contents.lastRequest ?? "-");
}

function checkpointRows(cli: Cli, checkpoints: readonly ListedCheckpoint[]): string[] {
  const columns: Columns<ListedCheckpoint> = {
    CHECKPOINT: "shortId",
    SAVED: ({ at }) => cli.ago(at),
    BECAUSE: ({ trigger }) => triggerText(trigger),
    "LAST REQUEST": lastRequest,
  };
  const rows = cli.table(checkpoints, columns, undefined, cli.columns - 2);
  return rows
    .trimEnd()
    .split("\n")
    .map((row) => `  ${row}`);
}

function storedLines({ session, copies, ...tables }: MachineOutput<"sessions.stored">, cli: Cli): Lines {
  const fields = Object.entries(session).map(([name, value]) => `${name}: ${fieldText(name, value)}`);
  return [
    ...sectionLines("session", fields),
    ...Object.entries(tables).flatMap(([name, rows]) => sectionLines(name, rows.map(rowText))),
    cli.format("content of a checkpoint: `shim sessions show <id>`"),
    cli.format(`copies: ${copies.backups} backups may hold the same; \`shim forget ${session.id}\` deletes all of it`),
  ];
}

function sectionLines(name: string, lines: readonly string[]): string[] {
  return [`${name} (${lines.length})`, ...lines.map((line) => `  ${line.replaceAll("\n", "\n    ")}`)];
}

function rowText({ at, text, ...row }: { readonly at: number; readonly text?: unknown }): string {
  return `${localTime(at)} ${typeof text === "string" ? text : JSON.stringify(row)}`;
}

function fieldText(name: string, value: unknown): string {
  if (name.endsWith("At") && typeof value === "number") return localTime(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}

function addExport(sessions: Command, cli: Cli): void {
  define(cli, sessions, "export", {
    operation: "sessions.export",
    of: sessionOperations,
    args: ["file"],
    run: async ({ input: { file }, options: { json }, call }) =>
      file === undefined && json === true
        ? wrongUsage("with --json name a file: without one stdout holds the export itself.")
        : call(),
    view: ({ file, isTemporary, lines, session }) => {
      const what = session === null ? pluralize(lines, "line") : `session ${session}`;
      if (!isTemporary) return [`Exported ${what} to ${file}. Snapshots of files are not in it.`];
      try {
        for (const line of readFileLines(file)) cli.io.stdout(`${line}\n`);
        return "";
      } finally {
        rmSync(file);
      }
    },
  });
}
