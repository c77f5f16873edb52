import { existsSync, statSync } from "node:fs";
import { adapterOf } from "../../clients/adapters.ts";
import type { RescueOffer, RescueReason } from "../../contract/machine/rescue.ts";
import type { Processes } from "../../platform/processes.ts";
import { codeOf } from "../../shared/error.ts";
import { oneLine, pluralize } from "../../shared/format.ts";
import type { JsonObject } from "../../shared/json-fields.ts";
import { redactAndClip } from "../sessions/entries.ts";
import { importOrigin, type Session } from "../sessions/sessions.ts";
import { blockingLock, type BlockingLock } from "./client-locks.ts";
import { transcriptsOf, type ClientTranscripts } from "./client-transcripts.ts";
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

/** Facts of a session from the client's own files. */
export interface Evidence {
  readonly lock: BlockingLock | null;
  /** Its file; null: there is none, or the client keeps it otherwise. */
  readonly file: string | null;
  /** Whether the client keeps it, as far as SHIM can look; null: it cannot. */
  readonly isThere: boolean | null;
  readonly archived: string | null;
  readonly facts: TranscriptFacts | null;
  /** OpenCode's export; null for other clients. */
  readonly document: JsonObject | null;
  /** Why the file cannot be read, as the system names it; null: it can. */
  readonly problem: string | null;
  /** Its folder, where that is gone; null: it is there. */
  readonly goneFolder: string | null;
}

const nothing = { file: null, isThere: null, archived: null, facts: null, document: null, problem: null };

/** [RS1] Reads only. @param folder where the user is */
export async function examine(deps: RescueDeps, session: Session, folder: string): Promise<Evidence> {
  const folders = [session.cwd, session.project].filter((one) => one !== null);
  const home = folders.find((one) => existsSync(one));
  const goneFolder = home === undefined ? (folders[0] ?? null) : null;
  const common = { ...nothing, lock: blockingLock(deps, session), goneFolder };
  if (session.client === "opencode") return { ...common, ...(await examineOpenCode(deps, session, home ?? folder)) };
  const transcripts = transcriptsOf(session.client);
  return { ...common, ...(transcripts ? await examineFile(deps, session, transcripts) : {}) };
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
  transcripts: ClientTranscripts,
): Promise<Partial<Evidence>> {
  const known = session.origin === importOrigin ? [] : [session.transcriptPath ?? ""];
  const file = [...known, ...transcripts.find(env, session.id)].find((path) => existsSync(path));
  if (file === undefined) return { archived: transcripts.archive?.(env, session.id)[0] ?? null, isThere: false };
  try {
    if (isShared && statSync(file).size > sharedBytes) return { file, isThere: true };
    return { file, isThere: true, facts: await readTranscript(file, transcripts) };
  } catch (error) {
    const problem = codeOf(error);
    if (problem === null) throw error;
    return { file, isThere: true, problem };
  }
}

export interface Finding {
  /** Reason, if any; null: nothing is wrong. */
  readonly reason: RescueReason | null;
  /** Ends no sentence. */
  readonly why: string;
  /** Cheapest first. */
  readonly offers: readonly RescueOffer[];
  /** Rows of a copy; null: all. */
  readonly until: number | null;
}

const healthy: Finding = { reason: null, why: "nothing is wrong with it", offers: [], until: null };
const brief: RescueOffer = { kind: "brief", text: "a new chat with its brief" };
const largeBytes = 536_870_912;
const sharedBytes = 67_108_864;

/**
 * [RS1] Pure but for `versionOf`.
 *
 * @param hasFailed the client has just ended within seconds of its start
 */
export function judge(deps: RescueDeps, session: Session, evidence: Evidence, hasFailed: boolean): Finding {
  const { lock, facts, archived, problem, goneFolder, isThere } = evidence;
  const title = titleOf(session);
  if (lock) return lockFinding(lock, facts);
  if (archived !== null) {
    const offers = [{ kind: "unarchive" as const, text: `\`codex unarchive ${session.id}\`, then resume it` }, brief];
    return { ...healthy, reason: "invisible", why: `${title} has archived it`, offers };
  }
  if (isThere === false) return { ...healthy, reason: "deleted", why: goneText(session, title), offers: [brief] };
  if (problem !== null)
    return { ...healthy, reason: "unreadable", why: `${evidence.file} cannot be read (${problem})`, offers: [brief] };
  const broken = facts && (damageFinding(facts, title, hasFailed) ?? refusalFinding(facts));
  if (broken) return broken;
  if (goneFolder !== null) {
    // Gemini CLI names the folders of its projects by a table of its own.
    const copy = session.client === "gemini" ? [] : copyOffer(facts, "a copy of it in this folder");
    const offers = [...copy, brief];
    return { ...healthy, reason: "invisible", why: `its folder ${goneFolder} is gone`, offers };
  }
  return hasFailed ? failureFinding(deps, session, facts, title) : healthy;
}

function titleOf({ client }: Session): string {
  return adapterOf(client)?.title ?? client;
}

function goneText({ transcriptPath }: Session, title: string): string {
  return transcriptPath === null ? `${title} has no conversation of it` : `${title} has deleted ${transcriptPath}`;
}

function copyOffer(facts: TranscriptFacts | null, text: string): RescueOffer[] {
  return facts && facts.rows > 0 && !facts.isPart ? [{ kind: "copy", text }] : [];
}

/** [RS4] */
function lockFinding({ path, holder, code }: BlockingLock, facts: TranscriptFacts | null): Finding {
  if (holder) {
    const why = `${holder.command} (pid ${holder.pid}) holds ${path}: continue there, or end that process`;
    return { ...healthy, reason: "locked", why, offers: [...copyOffer(facts, "a copy of it"), brief] };
  }
  const why = `nobody holds ${path}, and it cannot be opened (${code})`;
  const unlock: RescueOffer = { kind: "unlock", text: "rename that file, which takes it out of the way" };
  return { ...healthy, reason: "locked", why, offers: [unlock, ...copyOffer(facts, "a copy of it"), brief] };
}

/** [RS3] */
function damageFinding(facts: TranscriptFacts, title: string, hasFailed: boolean): Finding | null {
  const { rows, lines, hasHead } = facts;
  // A damaged text is a reason only where its client has failed.
  const refused = facts.refused.length > 0 || !hasFailed ? facts.refused : facts.damaged;
  const found = (why: string, text: string): Finding => ({
    ...healthy,
    reason: "unreadable",
    why,
    offers: [...copyOffer(facts, text), brief],
    until: repeated(facts) ? facts.accepted : null,
  });
  if (rows === 0) return found(`no row of a conversation can be read in its ${pluralize(lines, "line")}`, "");
  if (refused.length > 0) {
    const more = refused.length > 1 ? ` and ${refused.length - 1} more` : "";
    return found(`${title} does not load it with its line ${refused[0]}${more}`, "a copy that it loads");
  }
  return hasHead ? null : found(`its first line is missing, without which ${title} does not load it`, "a copy with it");
}

/** [RS2] */
function refusalFinding(facts: TranscriptFacts): Finding | null {
  const refusal = repeated(facts);
  if (!refusal) return null;
  const { refusals, accepted, promptsAfter } = facts;
  const words = refusal.text === "" ? "" : `: "${oneLine(redactAndClip(refusal.text, 160), 160)}"`;
  const why = `the API has refused its last ${refusals.length} prompts in the same way (${refusal.structure})${words}`;
  const text = `a copy that ends at the last request which the API accepted: it lacks the last answer and ${pluralize(promptsAfter, "prompt")}`;
  const copy = accepted > 0 ? copyOffer(facts, text) : [];
  const reason = refusal.of === "size" ? "too_large" : "poisoned";
  return { reason, why, offers: [...copy, brief], until: accepted };
}

/** The refusal that the last two prompts met alike; a refusal that may pass is none. */
function repeated({ refusals }: TranscriptFacts) {
  const [before, last] = refusals.slice(-2);
  const isSame = last !== undefined && before?.structure === last.structure && last.of !== "passing";
  return isSame ? last : null;
}

function failureFinding(
  { versionOf }: RescueDeps,
  session: Session,
  facts: TranscriptFacts | null,
  title: string,
): Finding {
  const program = adapterOf(session.client)?.commands?.resume(session.id).command;
  const installed = program === undefined ? null : versionIn(versionOf(program));
  const written = versionIn(session.clientVersion);
  if (installed && written && isOlder(installed, written)) {
    const why = `${title} ${written.join(".")} wrote it, and the one on the PATH is ${installed.join(".")}`;
    return { ...healthy, reason: "version", why, offers: [brief] };
  }
  if (facts && facts.bytes > largeBytes) {
    const why = `its transcript has ${Math.round(facts.bytes / 1_048_576)} MB`;
    return { ...healthy, reason: "too_large", why, offers: [brief] };
  }
  const why = `${title} ended at once, and what it has stored of the session looks whole`;
  return { ...healthy, reason: "unknown", why, offers: [brief] };
}

function versionIn(text: string | null): number[] | null {
  const [, ...parts] = /\b(\d{1,9})\.(\d{1,9})\.(\d{1,9})\b/.exec(text ?? "") ?? [];
  return parts.length === 3 ? parts.map(Number) : null;
}

function isOlder(one: readonly number[], other: readonly number[]): boolean {
  const at = one.findIndex((part, index) => part !== other[index]);
  return at >= 0 && (one[at] ?? 0) < (other[at] ?? 0);
}
