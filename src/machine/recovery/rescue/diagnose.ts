import { existsSync, lstatSync, realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { adapterOf, titleOf } from "../../../clients/adapters.ts";
import type { RescueOffer, RescueReason } from "../../../contract/machine/recovery.ts";
import type { Processes } from "../../../platform/processes.ts";
import { isVersionBefore } from "../../../platform/version.ts";
import { codeOf } from "../../../shared/error.ts";
import { oneLine, pluralize } from "../../../shared/format.ts";
import type { JsonObject } from "../../../shared/json-fields.ts";
import { redactAndClip } from "../../../redaction/redact.ts";
import { importOrigin, type Session } from "../../sessions/sessions.ts";
import { holderOf, openProblem } from "./client-files.ts";
import { pathsOf, type SessionFiles, type Refusal } from "../../../clients/adapter/session-files.ts";
import { damageNames } from "../../../clients/damage-effects.ts";
import type { SessionProgram } from "../../../clients/adapter/client-details.ts";
import { detailsOf, sessionFilesOf } from "../../../clients/details.ts";
import { factsOfDocument, isDocument, readSessionFacts, type RowFault, type TranscriptFacts } from "./session-facts.ts";
import { compressedEnd } from "../../../clients/transcript/transcript-file.ts";
import type { Sent } from "../../../clients/transcript/row-chain.ts";

export interface RescueDeps {
  readonly env: NodeJS.ProcessEnv;
  readonly processes: Processes;
  /** First line that the program prints of its version; null in its place: it starts no client. */
  readonly versionOf: ((program: string) => string | null) | null;
  /** Larger transcripts are not read, since other chats wait for this process. Absent: all are. */
  readonly maxBytes?: number;
}

/** A session before its client's files are read. */
export type ExaminedSession = Pick<
  Session,
  "id" | "client" | "clientVersion" | "transcriptPath" | "cwd" | "project" | "origin"
>;

/** Facts of a session from its client's own files. */
export interface Evidence {
  readonly session: ExaminedSession;
  /** Name of the client for a user. */
  readonly title: string;
  /** Its file, link or folder; null: there is none, or the client keeps it otherwise. */
  readonly file: string | null;
  /** Whether the client keeps it, as far as SHIM can look; null: it cannot. */
  readonly isThere: boolean | null;
  /** File that SHIM has read, and that its client does not find; null: there is none. */
  readonly strayFile: string | null;
  readonly isArchived: boolean;
  readonly facts: TranscriptFacts | null;
  /** Export of a client that keeps no files; null for other clients. */
  readonly document: JsonObject | null;
  /** Why the file cannot be read, as the system names it; null: it can. */
  readonly problem: string | null;
  /** Folder where its client does not find it, and one where it finds a copy; null: it does. */
  readonly moved: { readonly from: string; readonly to: string } | null;
  /** File beside the session's that stops its client. */
  readonly blocked: { readonly path: string; readonly why: string } | null;
  /** Lock of the client, where it stops the session. */
  readonly lock: { readonly path: string; readonly holder: string | null; readonly code: string | null } | null;
}

/** Reads only. @param folder where the user is */
export async function examine(deps: RescueDeps, session: ExaminedSession, folder: string): Promise<Evidence> {
  const home = homeOf(session);
  const nothing = unread(session, folder);
  const { program, sessions: client } = detailsOf(session.client) ?? {};
  if (program) return { ...nothing, ...(await examineExport(deps, program, session, home ?? folder)) };
  if (!client) return nothing;
  const lock = lockOf(deps, client, session.id);
  return { ...nothing, lock, ...(await examineFile(deps, session, client, home)) };
}

/** The same for a file that was read already. @param file where its client keeps the session */
export async function examineRead(
  deps: RescueDeps,
  session: ExaminedSession,
  { file, isArchived, ...read }: Pick<Evidence, "isArchived" | "facts" | "problem"> & { readonly file: string },
  folder: string,
): Promise<Evidence> {
  const nothing = unread(session, folder);
  const client = sessionFilesOf(session.client);
  if (!client) return nothing;
  const moved = isArchived ? null : (movedFile(client, file, session, homeOf(session)) ?? nothing.moved);
  const lock = lockOf(deps, client, session.id);
  const blocked = (await client.store?.blockedBy?.(file)) ?? null;
  return { ...nothing, ...read, file, isArchived, isThere: !isArchived, lock, moved, blocked };
}

/** A folder of the session that is there. */
function homeOf({ cwd, project }: ExaminedSession): string | undefined {
  return [cwd, project].filter((one) => one !== null).find((one) => existsSync(one));
}

function unread(session: ExaminedSession, folder: string): Evidence {
  const from = session.cwd ?? session.project;
  return {
    session,
    title: titleOf(session.client),
    file: null,
    isThere: null,
    strayFile: null,
    isArchived: false,
    facts: null,
    document: null,
    problem: null,
    moved: homeOf(session) === undefined && from !== null ? { from, to: folder } : null,
    lock: null,
    blocked: null,
  };
}

/** The kernel frees a lock with its process: a file then blocks only if it does not open. */
function lockOf({ env, processes }: RescueDeps, client: SessionFiles, id: string): Evidence["lock"] {
  const [path] = pathsOf(env, client, client.locks ?? [], id);
  if (path === undefined || !existsSync(path)) return null;
  const pid = holderOf(path);
  if (pid !== null) return { path, holder: `${processes.facts(pid)?.command ?? "unknown"} (pid ${pid})`, code: null };
  const code = openProblem(path);
  return code === null ? null : { path, holder: null, code };
}

async function examineExport(
  deps: RescueDeps,
  program: SessionProgram,
  { id }: ExaminedSession,
  cwd: string,
): Promise<Partial<Evidence>> {
  if (deps.versionOf === null) return {};
  const document = await program.exportSession({ env: deps.env, cwd }, id);
  const isThere = document !== null || (deps.versionOf(program.command) === null ? null : false);
  return { document, isThere, facts: document && factsOfDocument(document, program) };
}

async function examineFile(
  { env, maxBytes = Infinity }: RescueDeps,
  session: ExaminedSession,
  client: SessionFiles,
  home: string | undefined,
): Promise<Partial<Evidence>> {
  const { id, origin, transcriptPath } = session;
  const known =
    origin === importOrigin || transcriptPath === null ? [] : [transcriptPath, `${transcriptPath}${compressedEnd}`];
  const own = pathsOf(env, client, client.files, id);
  const file = [...known, ...own].find((path) => lstatSync(path, { throwIfNoEntry: false }));
  if (file === undefined) return examineMissing(env, session, client);
  const moved = own.includes(file) ? movedFile(client, file, session, home) : null;
  const blocked = (await client.store?.blockedBy?.(file)) ?? null;
  const there = { file, isThere: true, blocked, ...(moved ? { moved } : {}) };
  try {
    if (statSync(file).size > maxBytes) return there;
    return {
      ...there,
      facts: await readSessionFacts(file, {
        name: session.client,
        version: session.clientVersion,
        files: client,
        session: id,
      }),
    };
  } catch (error) {
    const problem = codeOf(error);
    if (problem === null) throw error;
    return { ...there, problem };
  }
}

function examineMissing(
  env: NodeJS.ProcessEnv,
  { id, origin, transcriptPath: path }: ExaminedSession,
  client: SessionFiles,
): Partial<Evidence> {
  const archived = pathsOf(env, client, client.archive ?? [], id);
  const strayFile = origin === importOrigin && path !== null && existsSync(path) ? path : null;
  return { isArchived: archived.length > 0, isThere: false, strayFile };
}

/** @returns null: its client finds the file in the folder in which it runs */
function movedFile(
  { isInFolder, folderOf }: SessionFiles,
  file: string,
  { cwd }: ExaminedSession,
  home: string | undefined,
): Evidence["moved"] {
  if (home === undefined || !isInFolder) return null;
  const to = realpathSync(home);
  const folder = folderOf?.(file, to) ?? dirname(file);
  // Names of long paths are cut.
  return to.length <= 180 && folder !== dirname(file) ? { from: cwd ?? to, to } : null;
}

export interface Finding {
  /** Reason, if any; null: nothing is wrong. */
  readonly reason: RescueReason | null;
  /** Ends no sentence. */
  readonly why: string;
  /** Cheapest first. */
  readonly offers: readonly RescueOffer[];
  /** File to be renamed. */
  readonly aside: string | null;
  /** Rows of a copy; null: all. */
  readonly until: number | null;
}

const largeBytes = 536_870_912;
/** A process for which other chats wait starts no client, and reads no transcript over 64 MB. */
export const besideOthers: Pick<RescueDeps, "versionOf" | "maxBytes"> = { versionOf: null, maxBytes: 67_108_864 };

interface Kind {
  readonly reason: RescueReason;
  /** Its client has just ended within seconds of its start. */
  readonly isAfterFailure?: true;
  /** @returns why, which ends no sentence; a session without it is not of this kind */
  sign(seen: Evidence, deps: RescueDeps): string | null | undefined | false;
  /** File that helps when it is out of the way; the other fields too are ways that help. */
  readonly aside?: (seen: Evidence) => string | null;
  readonly unarchive?: true;
  readonly copy?: string | ((seen: Evidence) => string);
}

/** The first whose sign is there is the reason. */
const kinds: readonly Kind[] = [
  {
    reason: "locked",
    sign: ({ lock }) => lock?.holder && `${lock.holder} holds ${lock.path}: continue there, or end that process`,
    copy: "a copy of it",
  },
  {
    reason: "locked",
    sign: ({ lock }) => lock && `nobody holds ${lock.path}, and it cannot be opened (${lock.code})`,
    aside: ({ lock }) => lock && lock.path,
    copy: "a copy of it",
  },
  {
    reason: "unreadable",
    sign: ({ blocked, title }) =>
      blocked &&
      `${title} does not open it, since ${blocked.path} ${blocked.why}; it makes a new one where there is none`,
    aside: ({ blocked }) => blocked && blocked.path,
  },
  { reason: "invisible", sign: ({ isArchived, title }) => isArchived && `${title} has archived it`, unarchive: true },
  {
    reason: "deleted",
    sign({ isThere, strayFile, title, session: { transcriptPath: path } }) {
      if (isThere !== false || strayFile !== null) return null;
      if (path === null)
        return `${title} has no conversation of it, or cannot read it (\`shim sessions check\` reads what is there)`;
      return `${path} is no longer there, and ${title} has no other file of it`;
    },
  },
  {
    reason: "invisible",
    sign: ({ strayFile, title }) =>
      strayFile && `SHIM has read it from ${strayFile}, where ${title} does not find it by its id`,
  },
  {
    reason: "unreadable",
    sign: ({ file, problem }) => problem && `${file} cannot be read (${problem})`,
  },
  {
    reason: "unreadable",
    sign: ({ facts }) =>
      facts?.rows === 0 &&
      facts.refused === null &&
      facts.leftOut === null &&
      (facts.lines === 0
        ? "its transcript is empty"
        : `no row of a conversation can be read in its ${pluralize(facts.lines, "line")}`),
  },
  {
    reason: "unreadable",
    sign: ({ facts, title }) =>
      facts?.isHeadless && `${title} does not open it, since its first row, which names the session, is lost`,
    copy: "a copy that begins with such a row",
  },
  {
    reason: "unreadable",
    sign: ({ facts, title }) =>
      facts?.refused && `${title} does not load it with its line ${facts.refused.line}${faultText(facts.refused)}`,
    copy: "a copy that it loads",
  },
  {
    reason: "too_large",
    sign: ({ facts }) => facts && refusalText(facts, "size"),
    copy: ({ facts }) => acceptedText(facts),
  },
  {
    reason: "poisoned",
    sign: ({ facts }) => facts && refusalText(facts, "content"),
    copy: ({ facts }) => acceptedText(facts),
  },
  {
    reason: "cut_off",
    sign: ({ facts, title }) => facts && lostText(facts, title),
    copy: "a copy in which each row names the one before it",
  },
  {
    reason: "cut_off",
    sign: ({ facts, title }) =>
      facts?.leftOut &&
      `${title} does not read what stands in its line ${facts.leftOut.line}${faultText(facts.leftOut)}`,
    copy: "a copy that it reads",
  },
  {
    reason: "invisible",
    sign({ moved, file, title }) {
      if (moved === null) return null;
      if (!existsSync(moved.from)) return `its folder ${moved.from} is gone`;
      return `${title} does not look for it in ${dirname(file ?? "")} when it runs in ${moved.to}`;
    },
    copy: ({ moved }) => `a copy of it for ${moved?.to}`,
  },
  { reason: "version", isAfterFailure: true, sign: versionText },
  {
    reason: "too_large",
    isAfterFailure: true,
    sign: ({ facts }) =>
      facts && facts.bytes > largeBytes && `its transcript has ${Math.round(facts.bytes / 1_048_576)} MB`,
  },
  {
    reason: "refused",
    sign: ({ facts }) => facts && lastRefusalText(facts),
    copy: "a copy",
  },
  {
    reason: "unknown",
    isAfterFailure: true,
    sign: ({ title }) => `${title} ended at once, and what it has stored of the session looks whole`,
  },
];

/**
 * Pure but for `versionOf`.
 *
 * @param hasFailed the client has just ended within seconds of its start
 */
export function judge(deps: RescueDeps, seen: Evidence, hasFailed: boolean): Finding {
  for (const kind of kinds) {
    const why = (hasFailed || kind.isAfterFailure !== true) && kind.sign(seen, deps);
    if (!why) continue;
    const refused = kind.reason === "refused" || !seen.facts ? null : lastRefusalText(seen.facts);
    const until = untilOf(seen.facts);
    const ways = waysOf(kind, seen, until);
    return { reason: kind.reason, why: refused === null ? why : `${why}; and ${refused}`, ...ways, until };
  }
  return { reason: null, why: checkedText(seen), offers: [briefOffer], aside: null, until: null };
}

const briefOffer: RescueOffer = { kind: "brief", text: "a new chat with its brief" };

function untilOf(facts: TranscriptFacts | null): number | null {
  return facts && repeated(facts) ? facts.accepted : (facts?.beforeRefused ?? null);
}

/** Says what was read where no reason was found. */
function checkedText({ facts, title, file, document }: Evidence): string {
  if (facts === null) return `SHIM has not read what ${title} keeps of it`;
  const { lines, rows, prompts, unreadable, unlinked, sent } = facts;
  const isWhole = document !== null || (file !== null && isDocument(file));
  const count = isWhole ? rows : lines - unreadable;
  const read = `${pluralize(count, isWhole ? "message" : "row")} ${count === 1 ? "was" : "were"} read`;
  const none = unreadable === 0 ? "" : `, ${pluralize(unreadable, "line")} ${unreadable === 1 ? "holds" : "hold"} none`;
  const counted = sent === null ? pluralize(prompts, "prompt") : linkedText;
  const what = unlinked === null ? counted : unlinkedText(unlinked);
  const rest = sent === null ? `nothing that stops ${title}` : `${title} sends ${sentText(sent)}`;
  return `its ${read}${none}: ${what}, and ${rest}${passingText(facts)}`;
}

const linkedText = "each of the conversation names one that is there";

/** A missing row: its client may find another way to those before it, not what stood in it. */
export function unlinkedText({ count, line }: NonNullable<TranscriptFacts["unlinked"]>): string {
  const rows = count === 1 ? "1 row is missing" : `${count} rows are missing`;
  return `${rows}, which others name (the first one in line ${line})`;
}

function sentText({ prompts, sent }: Sent): string {
  if (sent === prompts) return prompts === 1 ? "its prompt" : `all ${prompts} prompts`;
  return `${sent} of ${pluralize(prompts, "prompt")} (the others stand before a compaction, or in another branch)`;
}

function passingText({ refusals }: TranscriptFacts): string {
  const last = refusals.at(-1);
  return last === undefined ? "" : `; its last prompt met an error that may pass (${last.structure || "no code"})`;
}

function waysOf(kind: Kind, seen: Evidence, until: number | null): Pick<Finding, "offers" | "aside"> {
  const aside = kind.aside?.(seen) ?? null;
  const offers: RescueOffer[] = [];
  if (aside !== null) offers.push({ kind: "aside", text: "rename that file, which takes it out of the way" });
  const unarchive = kind.unarchive && sessionFilesOf(seen.session.client)?.unarchive?.(seen.session.id);
  if (unarchive)
    offers.push({ kind: "unarchive", text: `\`${[unarchive.command, ...unarchive.args].join(" ")}\`, then resume it` });
  const without = withoutText(seen.facts);
  if (kind.copy !== undefined && until !== 0 && canBeCopied(seen)) {
    const text = typeof kind.copy === "string" ? kind.copy : kind.copy(seen);
    offers.push({ kind: "copy", text: `${text}${without}` });
  }
  // The copy may be refused again, too.
  return { offers: without === "" ? [...offers, briefOffer] : [briefOffer, ...offers], aside };
}

function canBeCopied({ facts, moved, file, session }: Evidence): boolean {
  if (facts === null || (facts.rows === 0 && facts.leftOut === null && facts.refused === null) || facts.isPart)
    return false;
  if (file !== null && isDocument(file)) return false;
  return moved === null || file === null || sessionFilesOf(session.client)?.folderOf?.(file, moved.to) !== null;
}

function refusalText(facts: TranscriptFacts, of: "size" | "content"): string | null {
  const refusal = repeated(facts);
  if (refusal?.of !== of) return null;
  const alike = lasting(facts).filter((one) => one.of === of).length;
  return `the API has refused ${countText(alike, facts)} in the same way${codesOf([refusal])}`;
}

/** A prompt that the API refused once may be refused again. */
function lastRefusalText(facts: TranscriptFacts): string | null {
  const refused = repeated(facts) ? [] : lasting(facts);
  return refused.length === 0 ? null : `the API has refused ${countText(refused.length, facts)}${codesOf(refused)}`;
}

/** The others met errors that may pass. */
function countText(refused: number, { refusals }: TranscriptFacts): string {
  const last = refusals.length === 1 ? "its last prompt" : `its last ${refusals.length} prompts`;
  return refused === refusals.length ? last : `${refused} of ${last}`;
}

function codesOf(refusals: readonly Refusal[]): string {
  const codes = [...new Set(refusals.map(({ structure }) => structure))].join(", ");
  const text = refusals.at(-1)?.text ?? "";
  return ` (${codes})${text === "" ? "" : `: "${oneLine(redactAndClip(text, 160), 160)}"`}`;
}

function acceptedText(facts: TranscriptFacts | null): string {
  const prompts = pluralize(facts?.promptsAfter ?? 0, "prompt");
  return `a copy that ends at the last request which the API accepted: it lacks the last answer and ${prompts}`;
}

/** Says what a copy lacks where the API has refused prompts, but no two alike. */
function withoutText(facts: TranscriptFacts | null): string {
  if (facts === null || lasting(facts).length === 0 || repeated(facts)) return "";
  if (facts.promptsAfter === 0) return ", without the last answer and what came since";
  return facts.refusals.length === 1
    ? " without the last prompt"
    : " without the first of these prompts and what came since";
}

function lasting({ refusals }: TranscriptFacts): readonly Refusal[] {
  return refusals.filter(({ of }) => of !== "passing");
}

/** The refusal that two prompts met alike. Errors that may pass take none back. */
function repeated(facts: TranscriptFacts): Refusal | null {
  const [before, last] = lasting(facts).slice(-2);
  return last !== undefined && before?.of === last.of ? last : null;
}

function faultText({ damage, version }: RowFault): string {
  return damage === null ? "" : `, which holds ${damageNames[damage]} (seen with ${version})`;
}

function lostText({ sent, isCut }: TranscriptFacts, title: string): string | null {
  const lost = sent?.lost ?? null;
  if (lost?.where === "before") return `${title} does not find what stands before its line ${lost.line}`;
  if (lost !== null) return `${title} does not find what stands from its line ${lost.line} on`;
  return isCut ? `its last line is cut: ${title} would write behind it, and no longer find what stands before` : null;
}

function versionText({ session, title }: Evidence, { versionOf }: RescueDeps): string | null {
  const program = adapterOf(session.client)?.commands.resume(session.id).command;
  const installed = program === undefined ? null : versionIn(versionOf?.(program) ?? null);
  const written = versionIn(session.clientVersion);
  const isOlder = installed && written && isVersionBefore(installed, written);
  return isOlder ? `${title} ${written} wrote it, and the one on the PATH is ${installed}` : null;
}

function versionIn(text: string | null): string | null {
  return /\b\d{1,9}\.\d{1,9}\.\d{1,9}\b/.exec(text ?? "")?.[0] ?? null;
}
