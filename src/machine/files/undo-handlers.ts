import { existsSync } from "node:fs";
import type { CheckedMachineInput, MachineOutput } from "../../contract/machine/operations.ts";
import type { Failure } from "../../contract/errors.ts";
import { notUtf8 } from "../../platform/paths.ts";
import { runApart, type Runtime } from "../../runtime/runtime.ts";
import { messageOf } from "../../shared/error.ts";
import { oneLine, pluralize } from "../../shared/format.ts";
import { asObject, listAt } from "../../shared/json-fields.ts";
import { err, fail, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import { askedWorkMs } from "../../snapshots/git.ts";
import { isChosen, toFileChange } from "../../snapshots/file-changes.ts";
import { undoFiles, writePlanned, type UndoInput, type PlannedUndo } from "../../snapshots/undo-files.ts";
import type { FileEntry } from "../../snapshots/file-entry.ts";
import { entryOf } from "../../snapshots/path-state.ts";
import { takePending } from "../../snapshots/stored-snapshots.ts";
import type { UndoneFile } from "../../snapshots/undo-history.ts";
import { snapshots } from "../../store/session-tables.ts";
import * as audit from "../sessions/machine-audit.ts";
import { capture } from "../sessions/checkpoints/capture.ts";
import { lackOf, listMoments, type Moment } from "./moments.ts";
import { catchUp, isTurnOpen } from "../sessions/transcripts/record-transcript.ts";
import * as news from "../sessions/news.ts";
import * as sessions from "../sessions/sessions.ts";
import { contentsOf } from "./images.ts";
import { changingTurns, newestUndoOf, openUndoOf, readSteps, repositoriesOf, type UndoRow } from "./steps.ts";
import type { HandlerContext, Handlers } from "../recovery/handler-context.ts";
import { pickMoment } from "./fork-handlers.ts";
import { commandsAtWork } from "../recovery/incomplete/commands-at-work.ts";
import { findSession, namesOf, pathsIn, projectOfFolder } from "../recovery/resolve-id.ts";

type Input = CheckedMachineInput<"undo.preview">;
type Facts = Omit<MachineOutput<"undo.preview">, "diff">;

export const undoHandlers: Pick<Handlers, "undo.preview" | "undo.apply"> = {
  "undo.preview": (context, input) =>
    onChat(context, input, async (runtime, chat) => {
      const done = chat.found ? ok(chat.found) : await run(runtime, chat, "preview", "preview");
      return done.ok ? ok({ ...factsOf(runtime, chat, done.value), diff: done.value.diff }) : done;
    }),
  "undo.apply": async (context, input) => {
    context.readSpool(await context.runtime());
    return onChat(context, input, (runtime, chat) => apply(runtime, chat, context.by), readInterruption);
  },
};

/** No event tells of an interruption, and the timer may not have read the transcript yet. */
function readInterruption({ store, now }: Runtime, { id }: sessions.Session): void {
  store.write((sql) => {
    if (isTurnOpen(sql, id)) catchUp(sql, now(), id);
  });
}

/**
 * The files of now are stored first, so that a redo is an undo of what the undo did. So is what
 * is about to change: an undo that is killed can be completed, and taken back.
 */
async function apply(
  runtime: Runtime,
  chat: ChosenChat,
  by: HandlerContext["by"] = "command line",
): Promise<Result<MachineOutput<"undo.apply">>> {
  const { session, prompt } = chat;
  const saved = capture(runtime, { sessionId: session.id, trigger: "undo" });
  if (!saved.ok) return fail("restore_failed", `this moment could not be saved (${saved.error.code}).`);
  const { id: checkpoint } = saved.value.checkpoint;
  const newest = runtime.store.read((sql) => openUndoOf(sql, session.id), null);
  const open = newest?.prompt === prompt?.number ? newest : null;
  const planned = withOpen(await run(runtime, chat, checkpoint, "save"), open);
  const operation = { redoOf: chat.redoOf, prompt: prompt?.number, continues: open?.id };
  const action = { kind: chat.redoOf === null ? "files.undone" : "files.redone", session: session.id, by } as const;
  const begun = runtime.store.write((sql) => {
    const isBegun = planned.ok && record(sql, checkpoint, planned.value, { ...operation, open: "killed" });
    return isBegun ? audit.append(sql, runtime.now(), { ...action, result: "begun" }) : null;
  });
  const done = planned.ok ? await putBack(runtime, chat, checkpoint, planned.value) : planned;
  const end = done.ok ? { result: "done", rows: done.value.changes.length } : { result: done.error.code, rows: null };
  runtime.store.write((sql) => {
    if (begun !== null) audit.settle(sql, begun, end);
    else if (!done.ok) audit.append(sql, runtime.now(), { ...action, ...end });
    if (!done.ok && done.error.code === "outcome_unknown") return;
    const isOpen = done.ok && isPartial(chat, done.value);
    if (!done.ok || !record(sql, checkpoint, done.value, { ...operation, ...(isOpen && { open: "partial" }) })) {
      snapshots.update(sql, { checkpointId: checkpoint }, { state: "skipped", reason: "nothing was put back" });
      return;
    }
    const text = newsOf(chat, done.value);
    news.add(sql, runtime.now(), session.id, `undo:${checkpoint}`, { kind: "notice", text });
  });
  if (!done.ok) return done;
  const { planned: made, refused } = done.value;
  return ok({ ...factsOf(runtime, chat, done.value), refused, checkpoint: made && checkpoint });
}

/** Whether something of an undo is still to be taken back after this redo. */
function isPartial({ what, chosen }: ChosenChat, { refused }: WrittenPlan): boolean {
  return refused.length > 0 || ("redo" in what && what.redo.some(({ path }) => !isChosen(chosen, path)));
}

/** The undo that it completes is a part of it. */
function withOpen(planned: Result<PlannedUndo>, open: UndoRow | null): Result<PlannedUndo> {
  if (!planned.ok || planned.value.planned === null || open === null) return planned;
  const own = planned.value.planned;
  const isOwn = new Set(own.changes.map(({ path }) => path));
  const changes = [...undoneIn(open).filter(({ path }) => !isOwn.has(path)), ...own.changes];
  return ok({ ...planned.value, planned: { ...own, changes } });
}

function undoneIn({ detail }: UndoRow): readonly UndoneFile[] {
  return listAt(asObject(JSON.parse(detail)), "undone") as readonly UndoneFile[];
}

/** Stored with its files. */
interface UndoRecord {
  /** The undo that a redo takes back. */
  readonly redoOf: string | null;
  readonly prompt: number | undefined;
  /** An undo of the same turns that was killed, or refused in part. */
  readonly continues: string | undefined;
  /** "killed" until it is over. */
  readonly open?: "killed" | "partial";
}

/** @returns false: nothing is to be recorded */
function record(
  sql: Sql,
  checkpointId: string,
  { planned }: PlannedUndo,
  { redoOf, ...operation }: UndoRecord,
): boolean {
  if (planned?.snapshot.state !== "done") return false;
  const { state, repository, head, branch, commit, ...rest } = planned.snapshot;
  const detail = { ...rest, ...operation, ...(redoOf !== null && { redoOf }), undone: planned.changes };
  return snapshots.update(sql, { checkpointId }, { state, repository, head, branch, commit, detail }) > 0;
}

type WrittenPlan = PlannedUndo & Pick<MachineOutput<"undo.apply">, "refused">;

/** Files that have changed since they were saved stay. */
async function putBack(
  runtime: Runtime,
  chat: ChosenChat,
  checkpointId: string,
  files: PlannedUndo,
): Promise<Result<WrittenPlan>> {
  const { planned } = files;
  if (planned === null) return ok({ ...files, refused: [] });
  try {
    const entries = planned.changes.map(({ after }) => after);
    const input = { ...inputOf(runtime, chat, checkpointId, entries), changes: planned.changes };
    const done = await runApart(runtime, "writePlanned", writePlanned, input);
    if (!done.ok) return refused(done.error);
    const { written, notRestored } = done.value;
    const made = written.length === 0 ? null : { ...planned, changes: written };
    return ok({ ...files, changes: written.map(toFileChange), planned: made, refused: notRestored });
  } catch (error) {
    const again =
      chat.redoOf === null ? "`shim undo --redo` takes back what it did, and `shim undo`" : "`shim undo --redo`";
    const message = `it ended before it was done (${messageOf(error)}). It may have put files back: ${again} completes it.`;
    return fail("outcome_unknown", message);
  }
}

const maxNamed = 10;

/** The chat still has its changes in its context. */
function newsOf({ prompt }: ChosenChat, { changes }: PlannedUndo): string {
  const named = changes.slice(0, maxNamed).map(({ path }) => path);
  const more = changes.length > maxNamed ? ` and ${changes.length - maxNamed} more` : "";
  const what = prompt === null ? "put back what an undo had taken away" : "took back your changes";
  return `the user ${what} in ${pluralize(changes.length, "file")}: ${named.join(", ")}${more}. Read a file again before you edit it.`;
}

interface ChosenChat {
  readonly session: sessions.Session & { readonly project: string };
  /** Absent (null) where its last undo is taken back. */
  readonly prompt: Moment | null;
  /** Checkpoint of the undo that is taken back. */
  readonly redoOf: string | null;
  readonly what: UndoInput["what"];
  readonly chosen: readonly string[];
  /** Changes found as the chat was chosen. */
  readonly found?: PlannedUndo;
}

async function onChat<T>(
  { runtime: load }: HandlerContext,
  input: Input,
  act: (runtime: Runtime, chat: ChosenChat) => Promise<Result<T>>,
  prepare: (runtime: Runtime, session: sessions.Session) => void = () => undefined,
): Promise<Result<T>> {
  const runtime = await load();
  const named = input.session === undefined ? null : findSession(runtime, input.session);
  if (named && !named.ok) return named;
  const of = named ? { session: named.value } : { project: projectOfFolder(runtime, input.folder) };
  const found = input.redo ? newestUndo(runtime, of) : newestTurn(runtime, of);
  if (!found.ok) return found;
  const session = withProject(runtime, found.value.session);
  if (!session.ok) return session;
  const chosen = pathsIn(session.value.project, input.folder, input.files);
  if (!chosen.ok) return chosen;
  prepare(runtime, session.value);
  // The ends of turns that wait for their files: the undo would change them.
  await takePending(runtime, [session.value.id], AbortSignal.timeout(askedWorkMs));
  const whole = { session: session.value, chosen: chosen.value };
  const { undo } = found.value;
  if (undo !== null) return act(runtime, { ...whole, ...readUndo(undo) });
  const turns = await chooseTurns(runtime, of, whole, input.prompt);
  return turns.ok ? act(runtime, turns.value) : turns;
}

/** A number counts in the chat that an undo without one shows. */
async function chooseTurns(
  runtime: Runtime,
  of: Chats,
  whole: Pick<ChosenChat, "session" | "chosen">,
  prompt: string,
): Promise<Result<ChosenChat>> {
  const isLast = prompt === "last";
  const shown = "session" in of && !isLast ? ok(null) : await newestUndoable(runtime, of, whole.chosen);
  if (!shown.ok) return shown;
  if (isLast && shown.value !== null) return ok(shown.value);
  const chat = { ...whole, ...(shown.value && { session: shown.value.session }) };
  const given = readTurns(runtime, chat.session, prompt);
  return given.ok ? ok({ ...chat, ...given.value }) : given;
}

function withProject(runtime: Runtime, session: sessions.Session): Result<ChosenChat["session"]> {
  const { project } = session;
  if (project !== null && existsSync(project)) return ok({ ...session, project });
  const chat = nameOf(runtime, session);
  const why = project && (notUtf8(project) ?? `the project ${project} of ${chat} does not exist`);
  const message = why === null ? `${chat} works in no project.` : `${why}.`;
  return fail("no_project", message);
}

type Chats = { readonly session: sessions.Session } | { readonly project: string };

interface FoundChat {
  readonly session: sessions.Session;
  /** Its undo that is taken back; null: a turn is. */
  readonly undo: UndoRow | null;
}

/** The chat that changed files last; without one the named chat. */
function newestTurn(runtime: Runtime, of: Chats): Result<FoundChat> {
  const [turn] = runtime.store.read((sql) => changingTurns(sql, of), []);
  if (turn) return ok({ session: turn.session, undo: null });
  if ("session" in of) return ok({ session: of.session, undo: null });
  const any = { project: of.project, limit: 1, withScripts: true };
  const isKnown = runtime.store.read((sql) => sessions.list(sql, any).length > 0, false);
  const what = isKnown
    ? `no chat of ${of.project} has changed files, as far as its events are stored`
    : `no chat of ${of.project} is stored`;
  const message = `${what}. \`shim sessions\` lists those that are stored; --session names one.`;
  return fail("not_found", message);
}

function newestUndo(runtime: Runtime, of: Chats): Result<FoundChat> {
  const found = runtime.store.read((sql) => {
    const row = newestUndoOf(sql, "session" in of ? { session: of.session.id } : of);
    const session = row && sessions.get(sql, row.session);
    return row && session && { session, undo: row };
  }, null);
  if (found) return ok(found);
  const whose = "session" in of ? nameOf(runtime, of.session) : `the chats of ${of.project}`;
  return fail("not_found", `nothing of ${whose} was undone, or its files are stored no more.`);
}

/** Turns whose files are compared: a comparison takes a tenth of a second. */
const maxCompared = 10;

/**
 * The newest turn whose changes can be put back, or at least named. One that was undone
 * counts while something of it can still be put back.
 */
async function newestUndoable(
  runtime: Runtime,
  of: Chats,
  chosen: readonly string[],
): Promise<Result<ChosenChat | null>> {
  const turns = runtime.store.read((sql) => changingTurns(sql, of), []);
  let compared = 0;
  for (const { session, prompt, at } of turns) {
    const own = withProject(runtime, session);
    const given = readTurns(runtime, session, String(prompt.number));
    if (!own.ok || !given.ok) continue;
    if (++compared > maxCompared) break;
    const chat = { session: own.value, chosen, ...given.value };
    const done = await run(runtime, chat, "preview", "preview");
    if (!done.ok) return done;
    const isUndone = runtime.store.read((sql) => newestUndoOf(sql, { session: session.id })?.at ?? 0, 0) >= at;
    // A killed undo of other turns is not completed by one of these.
    const open = runtime.store.read((sql) => openUndoOf(sql, session.id), null);
    const begun = open === null || open.prompt === prompt.number ? [] : undoneIn(open).map(toFileChange);
    const isNew = done.value.changes.some(({ path }) => begun.every((one) => one.path !== path));
    if (isNew || (done.value.left.length > 0 && !isUndone)) return ok({ ...chat, found: done.value });
  }
  return ok(null);
}

function nameOf(runtime: Runtime, session: sessions.Session): string {
  const { shortId, title } = namesOf(runtime, session);
  return `chat ${shortId}${title === null ? "" : ` (${oneLine(title, 60)})`}`;
}

type Given = Omit<ChosenChat, "session" | "chosen" | "found">;

function readTurns(runtime: Runtime, session: sessions.Session, wanted: string): Result<Given> {
  const chat = nameOf(runtime, session);
  const moments = runtime.store.read((sql) => listMoments(sql, session.id), []);
  if (moments.length === 0)
    return fail("not_found", `no prompt of ${chat} is stored, so that none of its turns can be undone.`);
  const prompt = pickMoment(moments, wanted);
  if (!prompt.ok) return err({ ...prompt.error, message: `in ${chat} ${prompt.error.message}` });
  const none = { steps: [], others: [], isClockRight: false };
  const { seq } = prompt.value;
  if (seq === null) return fail("no_snapshot", `in ${chat} ${lackOf(prompt.value) ?? ""}.`);
  const what = runtime.store.read((sql) => readSteps(sql, session, seq), none);
  return ok({ prompt: prompt.value, redoOf: null, what });
}

function readUndo(undo: UndoRow): Given {
  return {
    prompt: null,
    redoOf: undo.id,
    what: { redo: undoneIn(undo), isBegun: undo.isRedoBegun === 1 },
  };
}

async function run(
  runtime: Runtime,
  chat: ChosenChat,
  checkpointId: string,
  how: UndoInput["how"],
): Promise<Result<PlannedUndo>> {
  const { what, chosen } = chat;
  const input = { ...inputOf(runtime, chat, checkpointId, entriesIn(what)), what, chosen, how };
  const done = await runApart(runtime, "undoFiles", undoFiles, input);
  return done.ok ? done : refused(done.error);
}

/** Files that images may hold alone. */
function entriesIn(what: UndoInput["what"]): FileEntry[] {
  if ("redo" in what) return what.redo.flatMap(({ before, after }) => [before, after]);
  const images = what.steps.flatMap((step) => ("images" in step ? step.images : []));
  return images.flatMap(({ before, after }) => [before, after]).map(entryOf);
}

function inputOf(
  runtime: Runtime,
  { session: { id, project } }: ChosenChat,
  checkpointId: string,
  entries: readonly FileEntry[],
) {
  const { env, paths, config, now } = runtime;
  const contents = runtime.store.read((sql) => contentsOf(sql, id, entries), []);
  const earlier = runtime.store.read((sql) => repositoriesOf(sql, id, project), []);
  const where = { env: { ...env }, project, snapshots: paths.snapshots, earlier, contents };
  return { ...where, limits: { ...config.snapshots, timeoutMs: askedWorkMs }, checkpointId, now: now() };
}

function refused({ code, message }: Failure): Result<never> {
  return fail(code, `${message}. Nothing was put back.`);
}

function factsOf(runtime: Runtime, { session, prompt }: ChosenChat, { changes, left }: PlannedUndo): Facts {
  return {
    ...namesOf(runtime, session),
    project: session.project,
    prompt: prompt && { number: prompt.number, text: prompt.text, at: prompt.at },
    changes,
    left,
    atWork: commandsAtWork(runtime, session),
  };
}
