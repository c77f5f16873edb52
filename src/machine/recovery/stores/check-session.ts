import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import {
  type SessionFiles,
  type HiddenSession,
  rootOf,
  subagentFiles,
} from "../../../clients/adapter/session-files.ts";
import { titleOf } from "../../../clients/adapters.ts";
import { detailsOf, sessionFilesOf } from "../../../clients/details.ts";
import { ContentReader } from "../../../clients/transcript.ts";
import { problemOf, TranscriptBytes } from "../../../clients/transcript/transcript-file.ts";
import type { TranscriptRow } from "../../../clients/transcript/transcript-rows.ts";
import { type CheckedSession, type StoredState, type StoreFinding } from "../../../contract/machine/stores.ts";
import { redactAndClip } from "../../../redaction/redact.ts";
import { dayOf, pluralize } from "../../../shared/format.ts";
import { textAt, type JsonObject } from "../../../shared/json-fields.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import { examineRead, judge, unlinkedText, type Finding, type RescueDeps } from "../rescue/diagnose.ts";
import { readSessionFacts, type FoundDamage, type TranscriptFacts } from "../rescue/session-facts.ts";
import { uuidAtEnd, type KeptSession } from "./kept-sessions.ts";
import { storedStates } from "../../../contract/machine/stored-states.ts";

/** Claude Code reads no more of a file for its list, in bytes. */
const headBytes = 65_536;
/** Lines in which the first words of the user are searched. */
const titleLines = 200;
const titleChars = 80;

/** Signs in a session's rows that decide how its client treats the file, beside what was said. */
class SessionSigns {
  readonly #details;
  readonly #files: SessionFiles;
  readonly #content: ContentReader;
  /** First words of the user; null: none. */
  title: string | null = null;
  cwd: string | null = null;
  /** A row names the session. */
  isNamed = false;
  /** Line of the first prompt, from 1; null: there is none. */
  firstPromptLine: number | null = null;
  hidden: HiddenSession | null = null;
  /** Rows whose time is none, and the line of the first one; null: there is none. */
  untimed: { readonly count: number; readonly line: number } | null = null;
  /** Its client never deletes it by itself. */
  isExempt = false;
  /** Names of backups of files. */
  readonly backups = new Set<string>();

  constructor(client: string, files: SessionFiles) {
    this.#details = detailsOf(client);
    this.#files = files;
    this.#content = new ContentReader(this.#details?.readRow);
  }

  add(one: TranscriptRow): void {
    const { row } = one;
    if (row === null) return;
    this.#addNames(row);
    this.#addTreatment(row, one.position);
    const time = textAt(row, "timestamp");
    if (time !== null && Number.isNaN(Date.parse(time)))
      this.untimed = { count: (this.untimed?.count ?? 0) + 1, line: this.untimed?.line ?? one.line };
    if (this.firstPromptLine === null && this.#files.rowOf(row)?.kind === "prompt") this.firstPromptLine = one.line;
    if (this.title === null && one.line <= titleLines) this.title = this.#titleWith(one);
  }

  #addNames(row: JsonObject): void {
    if (this.isNamed && this.cwd !== null) return;
    const named = this.isNamed ? null : (this.#details?.headOf?.(row) ?? null);
    this.isNamed ||= named !== null;
    this.cwd ??= named?.cwd ?? textAt(row, "cwd", 4_096);
  }

  #addTreatment(row: JsonObject, position: number): void {
    const { hides, isExempt, backups } = this.#files.store ?? {};
    if (position < headBytes) this.hidden ??= hides?.(row) ?? null;
    this.isExempt ||= isExempt?.(row) === true;
    for (const name of backups?.namesIn(row) ?? []) this.backups.add(name);
  }

  #titleWith(one: TranscriptRow): string | null {
    this.#content.add([one]);
    const first = this.#content.firstPrompt?.trim().split("\n")[0];
    return first === undefined ? null : redactAndClip(first, titleChars);
  }
}

export interface CheckDeps extends RescueDeps {
  readonly now: () => number;
  /** Where the user is. */
  readonly folder: string;
  /** Prompts of a session in the client's own list of them, newest last. */
  readonly promptsOf: (session: string) => readonly { readonly at: number }[];
}

/** A file that was written to so shortly before may be in the middle of a row. */
const beingWrittenMs = 10_000;
/** Within a week the user can still do something. */
const expiringMs = 7 * 86_400_000;
/** The clocks of a row and of the client's list of prompts. */
const slackMs = 60_000;

/** Reads only. @returns why the file cannot be read */
export async function checkSession(deps: CheckDeps, kept: KeptSession): Promise<Result<CheckedSession, string>> {
  const client = sessionFilesOf(kept.client);
  if (client === null) return err("its client keeps no files");
  const head = new SessionSigns(kept.client, client);
  let facts: TranscriptFacts;
  let chained: readonly StoreFinding[];
  try {
    facts = await readSessionFacts(
      kept.path,
      { name: kept.client, version: null, files: client, session: kept.id },
      (one) => head.add(one),
    );
    chained = await chainFindings(kept.client, kept.path, facts);
  } catch (error) {
    return err(problemOf(error));
  }
  const subagents = await checkSubagents(kept, client);
  const findings = [
    ...damagesOf(deps, kept, facts),
    ...chained,
    ...untimedRows(head),
    ...(kept.subagentOf === null ? await findingsOfSession(deps, kept, client, facts, head) : [subagentFinding(kept)]),
    ...subagents.findings,
    ...(kept.by === null && !head.isExempt ? expiry(deps, kept, client, facts) : []),
  ];
  return ok({
    client: kept.client,
    session: kept.id,
    title: head.title,
    folder: head.cwd,
    file: kept.path,
    changedAt: kept.changedAt,
    state: worstOf(findings),
    findings,
    bytes: facts.bytes + subagents.bytes,
    read: added(readOf(facts), subagents.read),
    lines: facts.lines,
    // A row that stands twice is one prompt to its client.
    prompts: facts.sent?.prompts ?? facts.prompts,
    sent: facts.sent?.sent ?? null,
    subagents: subagents.files,
    kept: null,
  });
}

async function findingsOfSession(
  deps: CheckDeps,
  kept: KeptSession,
  client: SessionFiles,
  facts: TranscriptFacts,
  head: SessionSigns,
): Promise<StoreFinding[]> {
  return [
    ...unlinkedRows(facts),
    ...(await findingsOfClient(deps, kept, facts, head)),
    ...lostPrompts(deps, kept, facts),
    ...(kept.by === null ? unlisted(client, kept, facts, head) : []),
    ...lostBackups(deps, kept, client, head),
  ];
}

function subagentFinding({ subagentOf }: KeptSession): StoreFinding {
  return { state: "whole", text: `it is of a sub-agent of ${subagentOf}, whose chat has its results` };
}

export function worstOf(findings: readonly StoreFinding[]): StoredState {
  return storedStates.find((state) => findings.some((one) => one.state === state)) ?? "whole";
}

const damageTexts: Readonly<Record<FoundDamage["kind"], string>> = {
  torn: "a row is cut",
  zeros: "zeros stand where rows were",
  not_utf8: "a row holds bytes that are no text, so some of its words are lost",
  foreign: "text that is no row",
  too_long: "a line is too long for a row",
};

function damagesOf({ now }: CheckDeps, { changedAt }: KeptSession, facts: TranscriptFacts): StoreFinding[] {
  const isBeingWritten = now() - changedAt < beingWrittenMs;
  const last = facts.damages.at(-1);
  const isUnfinished = (one: FoundDamage): boolean =>
    isBeingWritten && one === last && one.kind === "torn" && one.position + one.bytes === facts.readBytes;
  const found = facts.damages.filter((one) => !isUnfinished(one)).map((one) => damageOf(one));
  if (!facts.isUnended) return found;
  const text = "the compressed file is cut, or damaged: what followed is lost";
  return [...found, { state: "damaged", text, position: facts.readBytes }];
}

function damageOf({ kind, position, bytes, line, after }: FoundDamage): StoreFinding {
  const time = after === null ? "" : `, after ${new Date(after).toISOString().slice(0, 16).replace("T", " ")} UTC`;
  const text = `${damageTexts[kind]}: ${positionText({ position, bytes, line }, time)}`;
  return { state: "damaged", text, position, bytes };
}

const statesOfReasons: Readonly<Partial<Record<NonNullable<Finding["reason"]>, StoredState>>> = {
  cut_off: "damaged",
  unreadable: "damaged",
  poisoned: "poisoned",
  too_large: "poisoned",
  refused: "poisoned",
  locked: "invisible",
  invisible: "invisible",
};

/** Findings of `rescue`, and reasons why the client's list leaves the session out. */
async function findingsOfClient(
  deps: CheckDeps,
  { client, id, path, isArchived, by }: KeptSession,
  facts: TranscriptFacts,
  head: SessionSigns,
): Promise<StoreFinding[]> {
  const { cwd } = head;
  const session = { id, client, clientVersion: null, transcriptPath: path, cwd, project: null, origin: "startup" };
  const seen = await examineRead(deps, session, { file: path, isArchived, facts, problem: null }, deps.folder);
  const { reason, why } = judge(deps, seen, false);
  const state = reason === null ? undefined : statesOfReasons[reason];
  const title = titleOf(client);
  const hidden = by === null ? head.hidden : null;
  if (by !== null && state === "invisible") return [{ state: "whole", text: `${by} keeps it, and shows it` }];
  return [
    ...(state === undefined ? [] : [{ state, text: why }]),
    ...(hidden === null
      ? []
      : [{ state: "invisible" as const, text: `${title} does not list it (${hidden.why}): ${hidden.shownBy(id)}` }]),
  ];
}

function unlinkedRows({ unlinked, sent }: TranscriptFacts): StoreFinding[] {
  if (unlinked === null || sent?.lost) return [];
  return [{ state: "damaged", text: unlinkedText(unlinked) }];
}

/** A part of a row that is lost can leave a row, with another value behind the name of its time. */
function untimedRows({ untimed }: SessionSigns): StoreFinding[] {
  if (untimed === null) return [];
  const { count, line } = untimed;
  const rows = count === 1 ? "1 row has" : `${count} rows have`;
  return [
    { state: "damaged", text: `${rows} another text as its time (the first one in line ${line}): a part is lost` },
  ];
}

/** The client's own list of prompts holds later ones than the file. */
function lostPrompts({ promptsOf }: CheckDeps, { id }: KeptSession, { newestAt }: TranscriptFacts): StoreFinding[] {
  if (newestAt === null) return [];
  const later = promptsOf(id).filter(({ at }) => at > newestAt + slackMs).length;
  if (later === 0) return [];
  const text = `its client's list of prompts has ${pluralize(later, "later prompt")} of it, which the file lacks`;
  return [{ state: "damaged", text }];
}

/** The conversation is whole without them: only going back to them is lost. */
function lostBackups({ env }: CheckDeps, { id }: KeptSession, files: SessionFiles, head: SessionSigns): StoreFinding[] {
  const backups = files.store?.backups;
  if (backups === undefined || head.backups.size === 0) return [];
  const folder = backups.folder(rootOf(env, files), id);
  const gone = [...head.backups].filter((name) => !existsSync(join(folder, basename(name)))).length;
  if (gone === 0) return [];
  const text = `${gone} of ${pluralize(head.backups.size, "backup")} of files are gone from ${folder}: going back to them in the chat is not possible`;
  return [{ state: "whole", text }];
}

function unlisted(
  client: SessionFiles,
  { path }: KeptSession,
  { rows }: TranscriptFacts,
  head: SessionSigns,
): StoreFinding[] {
  const found = client.store?.unlisted?.({
    rows,
    isNamed: head.isNamed,
    firstPromptLine: head.firstPromptLine,
  });
  if (!client.store?.isNamedById || uuidAtEnd(basename(path)) !== null) return found ? [found] : [];
  return [{ state: "invisible", text: "its client reads no file of this name: rename it to end in its id" }];
}

function expiry(
  { env, now }: CheckDeps,
  { changedAt, client }: KeptSession,
  files: SessionFiles,
  { newestAt }: TranscriptFacts,
): StoreFinding[] {
  const cleanUp = files.store?.cleanUp?.(rootOf(env, files)) ?? null;
  if (cleanUp === null) return [];
  const at = (cleanUp.isByRows ? (newestAt ?? changedAt) : changedAt) + cleanUp.afterMs;
  if (at - now() > expiringMs) return [];
  const title = titleOf(client);
  const when = at <= now() ? "when it starts next" : `on ${dayOf(at)}`;
  return [{ state: "expiring", text: `${title} deletes it ${when} (${cleanUp.setting})` }];
}

type ReadBytes = CheckedSession["read"];

function readOf({ rowBytes: rows, readBytes, damages }: TranscriptFacts): ReadBytes {
  const damaged = damages.reduce((sum, { bytes }) => sum + bytes, 0);
  return { rows, damaged, blank: readBytes - rows - damaged };
}

function added(one: ReadBytes, other: ReadBytes): ReadBytes {
  return { rows: one.rows + other.rows, damaged: one.damaged + other.damaged, blank: one.blank + other.blank };
}

interface CheckedSubagents {
  readonly files: number;
  readonly bytes: number;
  readonly read: ReadBytes;
  readonly findings: readonly StoreFinding[];
}

/** Transcripts of a session's sub-agents, in the folder that is named by it. */
async function checkSubagents(kept: KeptSession, client: SessionFiles): Promise<CheckedSubagents> {
  const nothing = { rows: 0, damaged: 0, blank: 0 };
  const sum = { files: 0, bytes: 0, read: nothing, findings: [] as StoreFinding[] };
  const folder = client.store?.subagents?.(kept.path, kept.id);
  const onUnlisted = (file: string, error: unknown): void =>
    void sum.findings.push({ state: "damaged", text: `sub-agents of it: ${problemOf(error)}`, file });
  for (const file of folder === undefined ? [] : subagentFiles(folder, onUnlisted)) {
    sum.files += 1;
    try {
      const facts = await readSessionFacts(file, { name: kept.client, version: null, files: client, session: null });
      sum.bytes += facts.bytes;
      sum.read = added(sum.read, readOf(facts));
      for (const one of [...facts.damages.map(damageOf), ...(await chainFindings(kept.client, file, facts))])
        sum.findings.push({ ...one, file, text: `sub-agent ${basename(file)}: ${one.text}` });
    } catch (error) {
      sum.findings.push({ state: "damaged", text: `sub-agent ${basename(file)}: ${problemOf(error)}`, file });
    }
  }
  return sum;
}

/** Bytes of a transcript that a finding is about. */
type Found = Pick<TranscriptRow, "position" | "bytes" | "line">;

/** @param since follows the line's number */
function positionText({ position, bytes, line }: Found, since = ""): string {
  return `${bytes.toLocaleString("en")} bytes at byte ${position.toLocaleString("en")} (line ${line}${since})`;
}

interface Twin extends Found {
  readonly id: string;
  readonly digest: string;
}

/**
 * Rows with the id of another one, and rows whose parents lead back to them. Only where there are
 * such is the file read again, for their positions and texts.
 *
 * @throws a system error for a file that cannot be read
 */
async function chainFindings(
  client: string,
  path: string,
  { twins, loops }: Pick<TranscriptFacts, "twins" | "loops">,
): Promise<StoreFinding[]> {
  if (twins.size === 0 && loops.length === 0) return [];
  const found: Twin[] = [];
  const rowsOfLoops = new Map(loops.map(({ line, rows }) => [line, rows]));
  const findings: StoreFinding[] = [];
  for await (const some of TranscriptBytes.open(path).rows())
    for (const { row, text, position, bytes, line } of some) {
      const id = textAt(row, "uuid");
      if (id === null) continue;
      if (twins.has(id)) {
        const digest = createHash("sha256").update(text).digest("base64");
        found.push({ id, position, bytes, line, digest });
      }
      const rows = rowsOfLoops.get(line);
      if (rows !== undefined) findings.push(loopFinding({ position, bytes, line }, rows));
      rowsOfLoops.delete(line);
    }
  return [...findings, ...twinFindings(titleOf(client), [...Map.groupBy(found, ({ id }) => id).values()])];
}

function twinFindings(title: string, all: readonly (readonly Twin[])[]): StoreFinding[] {
  let doubled = 0;
  const others = all.flatMap((twins) => {
    const read = twins.at(-1);
    const unread = twins.filter(({ digest }) => digest !== read?.digest);
    doubled += twins.length - unread.length - 1;
    return unread.map((one) => {
      const text = `a row has the id of another one, and other content: ${positionText(one)}; ${title} reads the one in line ${read?.line}`;
      return { state: "damaged" as const, text, position: one.position };
    });
  });
  if (doubled === 0) return others;
  const stand = doubled === 1 ? "stands" : "stand";
  return [...others, { state: "whole", text: `${pluralize(doubled, "row")} ${stand} twice, which changes nothing` }];
}

function loopFinding(found: Found, rows: number): StoreFinding {
  const which = rows === 1 ? "a row names itself as the one before it" : `${rows} rows name each other in a loop`;
  const text = `${which}: ${positionText(found)}; what stands before is not reached through it`;
  return { state: "damaged", text, position: found.position };
}
