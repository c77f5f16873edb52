import type { Trigger, WorkNotes } from "../../../contract/checkpoint.ts";
import type { Predecessor, WorkState } from "../../../contract/work-state.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { uuidv7 } from "../../../shared/ids.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import { beginningOf } from "../../../shared/shorten.ts";
import type { Sql } from "../../../shared/sql.ts";
import { setNewest } from "../../../shared/set-newest.ts";
import { noteFile } from "../../../snapshots/file-state.ts";
import { readHead } from "../../../snapshots/git-head.ts";
import { mayBeProject } from "../../../snapshots/work-tree.ts";
import { encode, type EncodedBody } from "../../../store/checkpoint-body.ts";
import { snapshots } from "../../../store/session-tables.ts";
import { newLife } from "../life/life.ts";
import { isNod } from "../text/excerpt.ts";
import * as life from "../life/row.ts";
import * as journal from "../journal.ts";
import * as recoveries from "../recoveries.ts";
import { recordSettings } from "../session-settings.ts";
import * as sessions from "../sessions.ts";
import { firstPrompt, shortened, withoutSomePrompts } from "../kept-prompts.ts";
import { isEdited, foldWithinBudget, emptyState, withNotes, notesOf, type Notes } from "../work-state.ts";
import * as checkpoints from "./checkpoints.ts";

interface InheritedWork {
  readonly session: string;
  readonly state: WorkState;
}

/** Keeps the prompts of a chain of deaths: all, or the first and the newest that are no nods. */
export function toPredecessor({ session, state }: InheritedWork): Predecessor {
  const known = [...(state.continues?.prompts ?? []), ...state.prompts];
  const all = known.length > maxPrompts ? known.filter(({ text }) => !isNod(text)) : known;
  const kept = [...all.slice(0, 1), ...all.slice(1).slice(-maxPrompts)];
  const effects = [...(state.continues?.effects ?? []), ...(state.effects ?? [])].slice(-maxEffects);
  const answers = [...(state.continues?.answers ?? []), ...state.answers].slice(-maxNotes);
  const plan = state.plan ?? state.continues?.plan;
  return {
    session,
    prompts: kept.map((prompt) => Object.assign({ of: session }, shortened(prompt, maxPromptChars))),
    ...(effects.length === 0 ? {} : { effects }),
    ...(answers.length === 0 ? {} : { answers }),
    ...(plan ? { plan: { ...plan, text: beginningOf(plan.text, maxPlanChars) } } : {}),
    ...notesToKeep(notesOf(state)),
  };
}

function notesToKeep({ goal, nextStep, decisions, openQuestions }: Notes): Pick<Predecessor, "notes"> {
  if (goal === null && nextStep === null && decisions.length + openQuestions.length === 0) return {};
  return {
    notes: {
      goal,
      nextStep,
      decisions: decisions.slice(-maxNotes),
      openQuestions: openQuestions.slice(-maxNotes),
    },
  };
}

const maxPrompts = 12;
const maxNotes = 12;
const maxEffects = 30;
const maxPromptChars = 500;
const maxPlanChars = 3_000;

/** Work on a file of the dead session counts as continuing it; an offer alone does not. */
function markRecovered(
  sql: Sql,
  at: number,
  successor: string,
  successorState: WorkState,
  inherited: readonly InheritedWork[],
): void {
  for (const { session, is } of recoveries.heldBy(sql, successor)) {
    const known = inherited.find((one) => one.session === session);
    if (known === undefined) continue;
    if (is === "taken" || continuesWork(known.state, successorState))
      recoveries.add(sql, { at, session, action: "recovered", by: successor });
  }
}

function continuesWork(dead: WorkState, successor: WorkState): boolean {
  const workedOnFiles = dead.files.filter(isEdited);
  const known = new Set((workedOnFiles.length > 0 ? workedOnFiles : dead.files).map(({ path }) => path));
  return successor.files.some((file) => isEdited(file) && known.has(file.path));
}

export interface CaptureInput {
  readonly sessionId: string;
  readonly trigger: Trigger;
  /** Already redacted. */
  readonly notes?: WorkNotes;
  readonly redactions?: number;
}

export interface CaptureResult {
  readonly checkpoint: checkpoints.Checkpoint;
  /** False: the state was already in this checkpoint. */
  readonly isNew: boolean;
}

export type CaptureError =
  | { readonly code: "unknown_session" }
  | { readonly code: "nothing_to_save" }
  | { readonly code: "too_large"; readonly bytes: number; readonly maxBytes: number; readonly largest: string };

interface CaptureBasis {
  readonly session: sessions.Session;
  readonly last: checkpoints.Checkpoint | null;
  /** The last checkpoint cannot be read; the state rests on an earlier one. */
  readonly isLastDamaged: boolean;
  readonly state: WorkState;
  readonly journalSeq: number;
  readonly inheritedWork: readonly InheritedWork[];
  readonly unread: readonly UnreadRow[];
}

/** Spares unpacking the last checkpoint. Trusted only while it is still the newest. */
type RecentStates = Map<string, { readonly checkpointId: string; readonly hash: string; readonly state: WorkState }>;

const maxRecent = 30;
const recentOf = new WeakMap<Runtime["store"], RecentStates>();

/** States of the sessions that this process has saved last. */
export function recentStates(store: Runtime["store"]): RecentStates {
  const known = recentOf.get(store) ?? new Map();
  recentOf.set(store, known);
  return known;
}

function keepRecent(recent: RecentStates, session: string, { checkpoint }: CaptureResult, state: WorkState): void {
  setNewest(recent, session, { checkpointId: checkpoint.id, hash: checkpoint.hash, state }, maxRecent);
}

/** Throws StoreError when the store cannot write; nothing is half-written then. */
export function capture(runtime: Runtime, input: CaptureInput): Result<CaptureResult, CaptureError> {
  return runtime.durations.time("shim_save_duration_seconds", () => save(runtime, input), {
    counts: (saved) => saved.ok && saved.value.isNew,
    session: () => input.sessionId,
  });
}

function save(runtime: Runtime, input: CaptureInput): Result<CaptureResult, CaptureError> {
  const recent = recentStates(runtime.store);
  const basis = runtime.store.read((sql) => readBasis(sql, input.sessionId, recent), null);
  if (!basis) return err({ code: "unknown_session" });
  markUnread(runtime, basis.unread);
  const state = presentState(runtime, basis, input);
  if (isEmpty(state)) return err({ code: "nothing_to_save" });
  const fitted = fit(state, runtime.config.checkpoint.maxBytes);
  if (!fitted.ok) return fitted;
  const result = runtime.store.write((sql) => store(sql, runtime, input, basis, fitted.value));
  // Deleted meanwhile.
  if (!result) return err({ code: "unknown_session" });
  keepRecent(recent, input.sessionId, result, fitted.value.state);
  return ok(result);
}

function readBasis(sql: Sql, sessionId: string, recent: RecentStates): CaptureBasis | null {
  const session = sessions.get(sql, sessionId);
  if (!session) return null;
  const last = checkpoints.latest(sql, sessionId);
  const unread: UnreadRow[] = [];
  const { state, ...known } = foldJournal(sql, sessionId, findBase(sql, sessionId, last, recent), unread);
  const inheritedWork = findInherited(sql, sessionId, unread);
  const [dead] = inheritedWork;
  return {
    session,
    last,
    ...known,
    unread,
    inheritedWork,
    state: dead ? { ...state, continues: toPredecessor(dead) } : state,
  };
}

interface UnreadRow {
  readonly sessionId: string;
  readonly seq: number;
}

function foldJournal(
  sql: Sql,
  sessionId: string,
  base: BaseState,
  unread: UnreadRow[],
  lastSeq = Number.MAX_SAFE_INTEGER,
): BaseState {
  let { state, journalSeq } = base;
  for (;;) {
    const rows = journal.list(sql, sessionId, journalSeq).filter(({ seq }) => seq <= lastSeq);
    const newest = rows.at(-1);
    if (!newest) {
      const before = { life: base.state.life, seq: base.journalSeq };
      return {
        ...base,
        state: { ...state, life: life.read(sql, sessionId, before, journalSeq) ?? newLife },
        journalSeq,
      };
    }
    const folded = foldWithinBudget(state, rows);
    state = folded.state;
    unread.push(...folded.unread.map((seq) => ({ sessionId, seq })));
    journalSeq = newest.seq;
  }
}

/** The next fold, here or in a process after this one, skips them. */
function markUnread({ store, log }: Runtime, rows: readonly UnreadRow[]): void {
  if (rows.length === 0) return;
  store.write((sql) => {
    for (const { sessionId, seq } of rows) journal.markUnread(sql, sessionId, seq);
  });
  log("warn", "entries were not interpreted: they took too long", { entries: rows });
}

const maxChain = 200;

/** A session that died before its first checkpoint has stored nothing that it inherited. */
function findInherited(
  sql: Sql,
  sessionId: string,
  unread: UnreadRow[],
  later: readonly string[] = [],
): InheritedWork[] {
  const chain = [...later, sessionId];
  const held = recoveries
    .heldBy(sql, sessionId)
    .filter(({ session: id }) => !chain.includes(id) && sessions.get(sql, id));
  return held.map(({ session: id }) => {
    const { state } = foldJournal(sql, id, findBase(sql, id, checkpoints.latest(sql, id), new Map()), unread);
    const [before] = chain.length < maxChain ? findInherited(sql, id, unread, chain) : [];
    return { session: id, state: before ? { ...state, continues: toPredecessor(before) } : state };
  });
}

type BaseState = Pick<CaptureBasis, "state" | "journalSeq" | "isLastDamaged">;

/** The newest checkpoint that is not damaged; the journal holds the rest. */
function findBase(sql: Sql, sessionId: string, last: checkpoints.Checkpoint | null, recent: RecentStates): BaseState {
  const cached = recent.get(sessionId);
  if (last && cached?.checkpointId === last.id && cached.hash === last.hash) {
    return { state: cached.state, journalSeq: last.journalSeq, isLastDamaged: false };
  }
  for (let next = last; next; next = checkpoints.latest(sql, sessionId, next.seq)) {
    const state = checkpoints.findState(sql, next.seq);
    if (state) return { state, journalSeq: next.journalSeq, isLastDamaged: next !== last };
  }
  return { state: emptyState, journalSeq: 0, isLastDamaged: last !== null };
}

/** Returns null for an unknown session. */
export function currentState(sql: Sql, sessionId: string): WorkState | null {
  return readBasis(sql, sessionId, new Map())?.state ?? null;
}

export interface PastState {
  readonly state: WorkState;
  /** On which the state rests; null: on the journal alone. */
  readonly checkpoint: checkpoints.Checkpoint | null;
}

/** The state with a row of the journal and all before it. */
export function stateAt(sql: Sql, sessionId: string, journalSeq: number): PastState {
  const last = checkpoints.latestAt(sql, sessionId, journalSeq);
  const base = findBase(sql, sessionId, last, new Map());
  const { state } = foldJournal(sql, sessionId, base, [], journalSeq);
  return { state, checkpoint: base.journalSeq === 0 ? null : last };
}

function presentState(runtime: Runtime, basis: CaptureBasis, { trigger, notes }: CaptureInput): WorkState {
  // The files of now may be a person's.
  if (trigger === "undo") return basis.state;
  const now = runtime.now();
  const state = notes ? withNotes(basis.state, notes, now) : basis.state;
  const limits = { maxFileBytes: runtime.config.snapshots.maxFileBytes };
  const files = state.files.map((file) => (file.action === "read" ? file : noteFile(file.path, file.action, limits)));
  const head = basis.session.project ? readHead(basis.session.project) : null;
  return { ...state, files, ...(head ? { git: head, firstGit: state.firstGit ?? head } : {}) };
}

function isEmpty(state: WorkState): boolean {
  const { git: _git, firstGit: _first, writtenGit: _written, continues: _continues, statedAt: _times, ...rest } = state;
  const { life: stands, ...work } = rest;
  return [...Object.values(work), stands.turn, stands.calls].every(
    (value) => value === null || value === 0 || (Array.isArray(value) && value.length === 0),
  );
}

interface FittedState {
  readonly state: WorkState;
  readonly packed: EncodedBody;
}

/** Cuts the chat's words first, then the prompts; never the chat's own notes. */
function fit(state: WorkState, maxBytes: number): Result<FittedState, CaptureError> {
  let fitting = state;
  for (;;) {
    const packed = encode(fitting);
    if (packed.rawBytes <= maxBytes) return ok({ state: fitting, packed });
    const shorter = shorten(fitting);
    if (!shorter) return err({ code: "too_large", bytes: packed.rawBytes, maxBytes, largest: largestField(fitting) });
    fitting = shorter;
  }
}

function shorten(state: WorkState): WorkState | null {
  const { words } = state;
  if (words.length > 1) return { ...state, words: words.slice(Math.ceil(words.length / 2)) };
  const shorter = withoutSomePrompts(state);
  if (shorter) return shorter;
  const { earlierWords, firstWords } = state;
  const isSaid = words.length + earlierWords.length + firstWords.length > 0;
  return isSaid ? { ...state, words: [], earlierWords: [], firstWords: [] } : null;
}

function largestField(state: WorkState): string {
  const sizes = Object.entries(state).map(([name, value]) => ({ name, bytes: JSON.stringify(value ?? null).length }));
  return sizes.reduce((largest, field) => (field.bytes > largest.bytes ? field : largest)).name;
}

/** Triggers whose checkpoint needs the files of its moment, also for a known state. */
const ownFiles: ReadonlySet<Trigger> = new Set(["turn", "undo", "give"]);
/** Triggers that are no sign of life of the chat. */
const byPersons: ReadonlySet<Trigger> = new Set(["undo", "give"]);

function store(
  sql: Sql,
  runtime: Runtime,
  input: CaptureInput,
  basis: CaptureBasis,
  fitted: FittedState,
): CaptureResult | null {
  const { last } = basis;
  const now = runtime.now();
  const seenAt = byPersons.has(input.trigger) ? basis.session.lastSeenAt : now;
  if (!sessions.markSaved(sql, now, input.sessionId, sessionTitle(fitted.state), seenAt)) return null;
  markRecovered(sql, now, input.sessionId, fitted.state, basis.inheritedWork);
  if (last?.hash === fitted.packed.hash && !basis.isLastDamaged && !ownFiles.has(input.trigger)) {
    // The events since change nothing: they need not be folded, or counted as news, again.
    checkpoints.setJournalSeq(sql, last.seq, basis.journalSeq);
    return { checkpoint: last, isNew: false };
  }
  return { checkpoint: insertCheckpoint(sql, now, runtime, input, basis, fitted), isNew: true };
}

function insertCheckpoint(
  sql: Sql,
  now: number,
  runtime: Runtime,
  input: CaptureInput,
  basis: CaptureBasis,
  { state, packed }: FittedState,
): checkpoints.Checkpoint {
  const checkpoint = {
    id: `cp_${uuidv7(now, runtime.random(16))}`,
    session: input.sessionId,
    at: now,
    trigger: input.trigger,
    journalSeq: basis.journalSeq,
    redactions: input.redactions ?? 0,
    summary: checkpoints.summarize(basis.session.title, state),
    ...packed,
  };
  const seq = checkpoints.insert(sql, checkpoint);
  recordSettings(sql, now, input.sessionId, runtime.config, { model: basis.session.model });
  const { body: _body, ...kept } = checkpoint;
  const { project } = basis.session;
  if (project !== null && runtime.config.snapshots.isEnabled && mayBeProject(runtime.env, project))
    enqueueSnapshot(sql, kept, project);
  return { ...kept, seq };
}

function sessionTitle(state: WorkState): string | null {
  return (state.goal ?? firstPrompt(state))?.split("\n")[0]?.slice(0, 100) ?? null;
}

/** The files follow after the answer. */
function enqueueSnapshot(
  sql: Sql,
  { id, session, at, trigger }: Pick<checkpoints.Checkpoint, "id" | "session" | "at" | "trigger">,
  project: string,
): void {
  snapshots.insert(sql, { checkpointId: id, session, at, state: trigger === "undo" ? "running" : "pending", project });
}
