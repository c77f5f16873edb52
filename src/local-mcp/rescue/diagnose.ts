import { existsSync, lstatSync, realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { adapterOf } from "../../clients/adapters.ts";
import type { RescueOffer, RescueReason } from "../../contract/machine/rescue.ts";
import type { Processes } from "../../platform/processes.ts";
import { codeOf } from "../../shared/error.ts";
import { oneLine, pluralize } from "../../shared/format.ts";
import type { JsonObject } from "../../shared/json-fields.ts";
import { redactAndClip } from "../sessions/entries.ts";
import { importOrigin, type Session } from "../sessions/sessions.ts";
import { holderOf, openProblem } from "./client-files.ts";
import { codexLock, pathsOf, transcriptsOf, type ClientTranscripts } from "./client-transcripts.ts";
import { exportSession, factsOfDocument } from "./opencode-sessions.ts";
import { readTranscript, type TranscriptFacts } from "./read-conversation.ts";

export interface RescueDeps {
  readonly env: NodeJS.ProcessEnv;
  readonly processes: Processes;
  /** First line that the program prints of its version; null: it cannot be started. */
  readonly versionOf: (program: string) => string | null;
  /** Other chats wait for this process: it starts no client, and reads no transcript over 64 MB. */
  readonly isShared: boolean;
}

/** Facts of a session from its client's own files. */
export interface Evidence {
  readonly session: Session;
  /** Name of the client for a user. */
  readonly title: string;
  /** Its file, link or folder; null: there is none, or the client keeps it otherwise. */
  readonly file: string | null;
  /** Whether the client keeps it, as far as SHIM can look; null: it cannot. */
  readonly isThere: boolean | null;
  readonly isArchived: boolean;
  readonly facts: TranscriptFacts | null;
  /** OpenCode's export; null for other clients. */
  readonly document: JsonObject | null;
  /** Why the file cannot be read, as the system names it; null: it can. */
  readonly problem: string | null;
  /** Folder where its client does not find it, and one where it finds a copy; null: it does. */
  readonly moved: { readonly from: string; readonly to: string } | null;
  /** Codex's lock, where it stops the session. */
  readonly lock: { readonly path: string; readonly holder: string | null; readonly code: string | null } | null;
}

/** [RS1] Reads only. @param folder where the user is */
export async function examine(deps: RescueDeps, session: Session, folder: string): Promise<Evidence> {
  const folders = [session.cwd, session.project].filter((one) => one !== null);
  const home = folders.find((one) => existsSync(one));
  const nothing: Evidence = {
    session,
    title: adapterOf(session.client)?.title ?? session.client,
    file: null,
    isThere: null,
    isArchived: false,
    facts: null,
    document: null,
    problem: null,
    moved: home === undefined && folders[0] !== undefined ? { from: folders[0], to: folder } : null,
    lock: null,
  };
  if (session.client === "opencode") return { ...nothing, ...(await examineOpenCode(deps, session, home ?? folder)) };
  const client = transcriptsOf(session.client);
  if (!client) return nothing;
  const [path] = session.client === "codex" ? pathsOf(deps.env, client, codexLock, session.id) : [];
  const lock = path === undefined ? null : lockOf(deps, path);
  return { ...nothing, lock, ...(await examineFile(deps, session, client, home)) };
}

/** [RS4] The kernel frees a lock with its process: a file then blocks only if it does not open. */
function lockOf({ processes }: RescueDeps, path: string): Evidence["lock"] {
  if (!existsSync(path)) return null;
  const pid = holderOf(path);
  if (pid !== null) return { path, holder: `${processes.facts(pid)?.command ?? "unknown"} (pid ${pid})`, code: null };
  const code = openProblem(path);
  return code === null ? null : { path, holder: null, code };
}

async function examineOpenCode(deps: RescueDeps, { id }: Session, cwd: string): Promise<Partial<Evidence>> {
  if (deps.isShared) return {};
  const document = await exportSession({ env: deps.env, cwd }, id);
  const isThere = document !== null || (deps.versionOf("opencode") === null ? null : false);
  return { document, isThere, facts: document && factsOfDocument(document) };
}

async function examineFile(
  { env, isShared }: RescueDeps,
  session: Session,
  client: ClientTranscripts,
  home: string | undefined,
): Promise<Partial<Evidence>> {
  const known = session.origin === importOrigin ? [] : [session.transcriptPath ?? ""];
  const own = pathsOf(env, client, client.files, session.id);
  const file = [...known, ...own].find((path) => lstatSync(path, { throwIfNoEntry: false }));
  if (file === undefined) {
    const archived = client.archive === undefined ? [] : pathsOf(env, client, client.archive, session.id);
    return { isArchived: archived.length > 0, isThere: false };
  }
  const to = home !== undefined && own.includes(file) ? folderWithout(client, file, home) : null;
  const there = { file, isThere: true, ...(to === null ? {} : { moved: { from: session.cwd ?? to, to } }) };
  try {
    if (isShared && statSync(file).size > sharedBytes) return there;
    return { ...there, facts: await readTranscript(file, client) };
  } catch (error) {
    const problem = codeOf(error);
    if (problem === null) throw error;
    return { ...there, problem };
  }
}

/** @returns the folder in which its client runs and does not find the file; null: it does */
function folderWithout({ isInFolder, folderOf }: ClientTranscripts, file: string, home: string): string | null {
  const real = realpathSync(home);
  const folder = folderOf?.(file, real) ?? dirname(file);
  // Names of long paths are cut.
  return isInFolder && real.length <= 180 && folder !== dirname(file) ? real : null;
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
const sharedBytes = 67_108_864;

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

/** [RS1] The first whose sign is there is the reason. */
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
  { reason: "invisible", sign: ({ isArchived, title }) => isArchived && `${title} has archived it`, unarchive: true },
  {
    reason: "deleted",
    sign({ isThere, title, session: { transcriptPath: path } }) {
      if (isThere !== false) return null;
      return path === null ? `${title} has no conversation of it, or cannot read it` : `${path} is no longer there`;
    },
  },
  {
    reason: "unreadable",
    sign: ({ file, problem }) => problem && `${file} cannot be read (${problem})`,
  },
  {
    reason: "unreadable",
    sign: ({ facts }) =>
      facts?.rows === 0 && `no row of a conversation can be read in its ${pluralize(facts.lines, "line")}`,
  },
  {
    reason: "unreadable",
    sign: ({ facts, title }) =>
      facts && facts.refused !== null && `${title} does not load it with its line ${facts.refused}`,
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
    reason: "unknown",
    isAfterFailure: true,
    sign: ({ title }) => `${title} ended at once, and what it has stored of the session looks whole`,
  },
];

/**
 * [RS1] Pure but for `versionOf`.
 *
 * @param hasFailed the client has just ended within seconds of its start
 */
export function judge(deps: RescueDeps, seen: Evidence, hasFailed: boolean): Finding {
  const until = seen.facts && repeated(seen.facts) ? seen.facts.accepted : null;
  for (const kind of kinds) {
    const why = (hasFailed || kind.isAfterFailure !== true) && kind.sign(seen, deps);
    if (why) return { reason: kind.reason, why, ...waysOf(kind, seen, until), until };
  }
  return { reason: null, why: "nothing is wrong with it", offers: [], aside: null, until };
}

function waysOf(kind: Kind, seen: Evidence, until: number | null): Pick<Finding, "offers" | "aside"> {
  const aside = kind.aside?.(seen) ?? null;
  const offers: RescueOffer[] = [];
  if (aside !== null) offers.push({ kind: "aside", text: "rename that file, which takes it out of the way" });
  if (kind.unarchive)
    offers.push({ kind: "unarchive", text: `\`codex unarchive ${seen.session.id}\`, then resume it` });
  if (kind.copy !== undefined && until !== 0 && canBeCopied(seen))
    offers.push({ kind: "copy", text: typeof kind.copy === "string" ? kind.copy : kind.copy(seen) });
  return { offers: [...offers, { kind: "brief", text: "a new chat with its brief" }], aside };
}

function canBeCopied({ facts, moved, file, session }: Evidence): boolean {
  if (facts === null || facts.rows === 0 || facts.isPart) return false;
  return moved === null || file === null || transcriptsOf(session.client)?.folderOf?.(file, moved.to) !== null;
}

/** [RS2] */
function refusalText(facts: TranscriptFacts, of: "size" | "content"): string | null {
  const refusal = repeated(facts);
  if (refusal?.of !== of) return null;
  const words = refusal.text === "" ? "" : `: "${oneLine(redactAndClip(refusal.text, 160), 160)}"`;
  return `the API has refused its last ${facts.refusals.length} prompts in the same way (${refusal.structure})${words}`;
}

function acceptedText(facts: TranscriptFacts | null): string {
  const prompts = pluralize(facts?.promptsAfter ?? 0, "prompt");
  return `a copy that ends at the last request which the API accepted: it lacks the last answer and ${prompts}`;
}

/** The refusal that the last two prompts met alike; a refusal that may pass is none. */
function repeated({ refusals }: TranscriptFacts) {
  const [before, last] = refusals.slice(-2);
  return last !== undefined && before?.structure === last.structure && last.of !== "passing" ? last : null;
}

function lostText({ lost, isCut }: TranscriptFacts, title: string): string | null {
  if (lost !== null) return `${title} does not find what stands before its line ${lost}`;
  return isCut ? `its last line is cut: ${title} would write behind it, and no longer find what stands before` : null;
}

function versionText({ session, title }: Evidence, { versionOf }: RescueDeps): string | null {
  const program = adapterOf(session.client)?.commands.resume(session.id).command;
  const installed = program === undefined ? null : versionIn(versionOf(program));
  const written = versionIn(session.clientVersion);
  const isOlder = installed && written && isBefore(installed, written);
  return isOlder ? `${title} ${written.join(".")} wrote it, and the one on the PATH is ${installed.join(".")}` : null;
}

function versionIn(text: string | null): number[] | null {
  const [, ...parts] = /\b(\d{1,9})\.(\d{1,9})\.(\d{1,9})\b/.exec(text ?? "") ?? [];
  return parts.length === 3 ? parts.map(Number) : null;
}

function isBefore(one: readonly number[], other: readonly number[]): boolean {
  const at = one.findIndex((part, index) => part !== other[index]);
  return at >= 0 && (one[at] ?? 0) < (other[at] ?? 0);
}
