import { teamChats } from "../../../store/team-tables.ts";
import { existsSync, statSync } from "node:fs";
import type { Candidate, Plan } from "../../../contract/machine/recovery.ts";
import type { Named } from "../../../contract/machine/operation.ts";
import type { SessionView } from "../../../contract/machine/sessions.ts";
import type { MachineInput, MachineOutput } from "../../../contract/machine/operations.ts";
import { readProcessKey } from "../../../coordinator-client/local/process-key.ts";
import { mayBeAlive } from "../../../platform/processes.ts";
import { type Runtime, storeDurations } from "../../../runtime/runtime.ts";
import { clientTitle } from "../../../clients/adapters.ts";
import { formatAgo, quotedTitle } from "../../../shared/format.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import { isEmpty } from "../../../store/spool.ts";
import * as audit from "../../sessions/machine-audit.ts";
import { catchUp } from "../../sessions/transcripts/record-transcript.ts";
import { importTranscript } from "../../sessions/transcripts/import-transcript.ts";
import { composeBrief, type Brief } from "../brief/brief.ts";
import { openLimitOf } from "../../sessions/usage/at-limit.ts";
import { findIncomplete } from "../incomplete/detect.ts";
import { take, withdraw } from "../marks.ts";
import { clientToStart, planRelaunch } from "../relaunch.ts";
import { findById, findElsewhere } from "../elsewhere/candidates.ts";
import { restore, type Restoration } from "../incomplete/restoration.ts";
import { RecoverySource } from "../source.ts";
import { mayBeContinued, note } from "../../sessions/ending/ending.ts";
import { projectRoot } from "../../../snapshots/git-head.ts";
import * as sessions from "../../sessions/sessions.ts";
import { findNewest } from "../../sharing/sessions-elsewhere.ts";
import type { OperationContext } from "../../context/operation-context.ts";
import type { HandlerContext, Handlers } from "../handler-context.ts";
import type { KeptWorkspace } from "../../sharing/operations/kept-workspace.ts";
import { toViews } from "../other-machines.ts";
import { toSessionView } from "../session-view.ts";
import { findSession, namesOf, shortSession } from "../resolve-id.ts";
import { takePending } from "../../../snapshots/stored-snapshots.ts";
import { capture } from "../../sessions/checkpoints/capture.ts";
import { isSessionPaused } from "../../sessions/session-settings.ts";
import { recordDeath } from "../incomplete/deaths.ts";
import { isAlive } from "../../sessions/life/presence.ts";
import { claim, continues, holderOf } from "../../sessions/life/claim.ts";

export const recoveryHandlers = {
  /** The sessions that died in the project, else those that were closed there. */
  async "recovery.check"(context, { folder }) {
    const runtime = await context.runtime();
    await recordMissed(context, runtime);
    const project = projectRoot(folder);
    const open = runtime.store.read(
      (sql) => findIncomplete(sql, runtime, { limit: 100 }).map(({ session }) => session),
      [],
    );
    const own = open.filter((session) => session.project === project);
    const dead = own.filter(mayBeContinued);
    const shown = dead.length > 0 ? dead : own;
    const here = runtime.store.read((sql) => shown.map((session) => toSessionView(sql, runtime, session)), []);
    const found = here.length > 0 ? here : await candidatesElsewhere(context, runtime, folder);
    return ok({ project, sessions: found.map(toCandidate), others: open.length - own.length });
  },
  "recovery.brief": (context, input) =>
    onSession(context, input, async (runtime, { source, named }) => {
      const found = await inspect(source, named.session);
      return found.ok ? ok({ ...named, ...toBriefed(runtime, found.value) }) : found;
    }),
  "recovery.plan": async (context, { client, isNew, ...input }) => {
    const asked = clientToStart(client);
    if (!asked.ok) return asked;
    const into = asked.value;
    await recordMissed(context, await context.runtime());
    return onSession(context, input, async (runtime, { source, named }) => {
      if (named.machine === null) await catchUpWith(context, { session: named.session });
      const found = await inspect(source, named.session);
      if (!found.ok) return found;
      const { from } = found.value;
      const start = await planRelaunch(runtime, found.value, { into, isNew });
      const offer = offerOf(runtime, named.session);
      const { session } = from;
      const checked = await source.check(session.id);
      const isFree = checked?.code === "still_running" && into !== null && into.name !== session.client;
      const isLimited = isFree && runtime.store.read((sql) => openLimitOf(sql, session, runtime.now()), null) !== null;
      const obstacle = isLimited ? null : (takenRefusal(runtime, session) ?? checked);
      const isFolderKnown = from.elsewhere !== undefined || (session.cwd ?? session.project) !== null;
      const refusal = obstacle ?? (isFolderKnown && start?.cwd === null ? folderRefusal(from) : null);
      return ok({ ...named, ...toBriefed(runtime, found.value), client: session.client, offer, start, refusal });
    });
  },
  "recovery.take": async ({ runtime: load }, { session, chat, score, limit }) => {
    const runtime = await load();
    const { store } = runtime;
    const own = store.read((sql) => sessions.get(sql, session), null);
    if (own === null && store.read((sql) => findNewest(sql, session), null) === null)
      return err({ code: "not_found", message: `there is no session ${session}.` });
    const taken = take(runtime, { session, to: chat, score: score ?? (own && scoreOf(runtime, own)), limit });
    return taken.ok ? ok({ session }) : taken;
  },
  "recovery.withdraw": async ({ runtime }, { session, chat }) =>
    ok({ isWithdrawn: withdraw(await runtime(), session, chat) }),
  "recovery.dismiss": (context, input) =>
    onSession(context, input, (runtime, { source, named }) => {
      source.dismiss(named.session);
      record(context, runtime, "session.dismissed", named.session);
      return ok(named);
    }),
  "recovery.undo": (context, input) =>
    onSession(context, input, async (runtime, { source, named }) => {
      const released = await source.release(named.session);
      const result = released.ok ? (released.value ? "done" : "nothing_to_undo") : released.error.code;
      record(context, runtime, "session.offered-again", named.session, result);
      if (released.ok) return ok({ ...named, isUndone: released.value });
      const message = `${named.session} was not released: ${released.error.message}. Nothing has changed.`;
      return err({ code: isUnanswered(released.error) ? "edge_unreachable" : "not_released", message });
    }),
  async "recovery.catch-up"({ runtime: load, readSpool }, { session }) {
    const runtime = await load();
    readSpool(runtime);
    const known = session === undefined ? null : runtime.store.read((sql) => sessions.get(sql, session), null);
    if (known && sessions.isOnlyImported(known)) await importAgain(runtime, known);
    else if (known)
      runtime.store.write((sql) => {
        catchUp(sql, runtime.now(), known.id);
        if (known.ending?.isSettled) note(sql, runtime, known.id, {});
      });
    return ok({});
  },
  async "recovery.record-death"({ runtime: load, workspace, readSpool }, { session }) {
    const runtime = await load();
    readSpool(runtime);
    const attesting = attestDeath(runtime, workspace, session);
    try {
      const checkpoint = await saveLastCheckpoint(runtime, session);
      return ok({ checkpoint, trouble: await attesting });
    } finally {
      await attesting;
    }
  },
  "transcripts.import": async ({ runtime }, { file, session: asked, folder, isLongest }) => {
    if (!existsSync(file)) return err({ code: "not_found", message: `there is no file ${file}.` });
    const imported = await importTranscript(await runtime(), { path: file, session: asked, folder, isLongest });
    if (imported.ok) {
      const { session, how, damages, left } = imported.value;
      return ok({ session, how, damages, left });
    }
    return err({ code: "transcript_unusable", message: `${file}: ${imported.error}. Nothing was stored.` });
  },
} satisfies Partial<Handlers>;

/** Without its file the session stays as it was read. */
async function importAgain(
  runtime: Runtime,
  { id: session, transcriptPath: path, transcriptOffset, cwd }: sessions.Session,
): Promise<void> {
  if (path === null || statSync(path, { throwIfNoEntry: false })?.size === transcriptOffset) return;
  const imported = await importTranscript(runtime, { path, session, folder: cwd ?? "/" });
  if (!imported.ok) runtime.log("warn", "the imported transcript was not read again", { path, error: imported.error });
}

/**
 * Frees a dead chat's leases at once; attests only a death that is visible from here.
 *
 * @returns why that failed; null: it did not
 */
async function attestDeath(runtime: Runtime, workspace: KeptWorkspace, session: string): Promise<string | null> {
  const member = runtime.store.read((sql) => teamChats.find(sql, { session }), null);
  const owner = member && readProcessKey(member.process);
  if (!owner || mayBeAlive(runtime.processes, owner)) return null;
  const { chat, process } = member;
  const opened = await workspace.open();
  const answer = opened.ok
    ? await opened.value.call("chats.attest-death", { chat, machine: opened.value.machine, process })
    : opened;
  // A chat that the coordinator does not know holds nothing.
  if (answer.ok || answer.error.code === "unknown_chat") return null;
  return `the death of chat ${chat} could not be attested: ${answer.error.message}`;
}

/** Stores the events that hooks have left in the spool. */
export async function recordMissed(context: HandlerContext, runtime: Runtime): Promise<void> {
  if (!isEmpty(runtime.paths.spool)) await catchUpWith(context, {});
}

/** A store that takes nothing has a brief all the same. */
export async function catchUpWith(
  { call, progress }: HandlerContext,
  input: MachineInput<"recovery.catch-up">,
): Promise<void> {
  const done = await call("recovery.catch-up", input);
  if (!done.ok) progress?.(`Some of the last events are missing: ${done.error.message}`);
}

function toCandidate({ id, shortId, title, machine, lastSeenAt, state, detail }: SessionView): Candidate {
  return { session: id, shortId, title, machine, lastSeenAt, state, detail };
}

async function candidatesElsewhere(context: HandlerContext, runtime: Runtime, folder: string): Promise<SessionView[]> {
  const reach = await context.others.read(runtime, context.progress, folder);
  return reach?.here ? toViews(runtime, await findElsewhere(reach, reach.here.project)) : [];
}

interface Found {
  readonly source: RecoverySource;
  readonly named: Named;
}

/** A session of this machine counts first: more is known of it. */
async function onSession<T>(
  context: HandlerContext,
  { session: id, folder }: { readonly session: string; readonly folder?: string | undefined },
  act: (runtime: Runtime, found: Found) => Result<T> | Promise<Result<T>>,
): Promise<Result<T>> {
  const runtime = await context.runtime();
  const found = findSession(runtime, id);
  if (!found.ok && found.error.code !== "not_found") return found;
  const reach = found.ok ? null : await context.others.read(runtime, context.progress, folder);
  const row = found.ok ? found.value : reach && findById(reach, id);
  if (row === null) return found as Result<T>;
  return act(runtime, { source: new RecoverySource(runtime, { reach }), named: namesOf(runtime, row) });
}

function scoreOf(runtime: Runtime, session: sessions.Session): number | null {
  const from = restore(runtime, session);
  return from && composeBrief(from, runtime.now()).score.total;
}

async function inspect(source: RecoverySource, session: string): Promise<Result<Brief>> {
  const found = await source.inspect(session);
  if (found.ok && found.value) return ok(found.value);
  return err({ code: "not_found", message: `session ${session} was deleted meanwhile.` });
}

type Briefed = Pick<MachineOutput<"recovery.brief">, "cause" | "causeDetail" | "score" | "brief">;

function toBriefed({ config }: Runtime, { from, score, text }: Brief): Briefed {
  const { cause, causeDetail, elsewhere } = from;
  const brief = text(elsewhere ? "brief" : config.recovery);
  return { cause, causeDetail, score, brief };
}

function offerOf(runtime: Runtime, session: string): Plan["offer"] {
  const holder = runtime.store.read((sql) => holderOf(sql, runtime, session), null);
  return holder && { shortId: shortSession(runtime, holder.chat), msAgo: runtime.now() - holder.at };
}

/** Refusal of a session that a living chat has taken. */
function takenRefusal(runtime: Runtime, { id }: sessions.Session): Plan["refusal"] {
  const found = runtime.store.read((sql) => {
    const known = claim(sql, runtime, id);
    const chat = continues(known) ? sessions.get(sql, known.by) : null;
    return known && chat && isAlive(runtime, chat) ? { chat, at: known.at } : null;
  }, null);
  if (!found) return null;
  const { chat, at } = found;
  const where = chat.cwd === null ? "" : ` in ${chat.cwd}`;
  const name = `chat ${shortSession(runtime, chat.id)} (${quotedTitle(sessions.displayTitle(chat), 60)}, ${clientTitle(chat)}${where})`;
  const message = `${id} is continued by ${name} since ${formatAgo(runtime.now(), at)}: go on there. To have it here, end that chat or leave it, then \`shim resume --undo ${shortSession(runtime, id)}\`, and resume again.`;
  return { code: "held", message };
}

function folderRefusal({ session, elsewhere }: Restoration): NonNullable<Plan["refusal"]> {
  if (!elsewhere)
    return { code: "folder_gone", message: `the folder of the session (${session.cwd ?? "unknown"}) is gone.` };
  const there = `${elsewhere.root ?? "no project"} on ${elsewhere.machine}`;
  const message = `this folder is not its project (${there}): run this in that project's folder on this machine.`;
  return { code: "project_elsewhere", message };
}

export function record(
  { by = "command line" }: OperationContext,
  runtime: Runtime,
  kind: audit.MachineAction["kind"],
  session: string,
  result = "done",
): void {
  audit.record(runtime, { kind, session, by, result });
}

export function isUnanswered({ code }: { readonly code: string }): boolean {
  return code === "unreachable" || code === "outcome_unknown";
}

const filesTimeoutMs = 5_000;

/**
 * Reads transcript and journal. Files are taken for a new checkpoint only.
 *
 * @returns its id; null: nothing to save, a session that ended well, or a pause
 * @throws {StoreError} when the store cannot be written now
 */
export async function saveLastCheckpoint(runtime: Runtime, sessionId: string): Promise<string | null> {
  const session = runtime.store.read((sql) => sessions.get(sql, sessionId), null);
  if (!session || session.ending?.how === "ended") return null;
  runtime.store.write((sql) => {
    catchUp(sql, runtime.now(), sessionId);
    // First, since the checkpoint would hide the loss that the death record counts.
    recordDeath(sql, runtime, sessionId);
  });
  if (runtime.store.read((sql) => isSessionPaused(sql, runtime.now(), session), false)) return null;
  const saved = capture(runtime, { sessionId, trigger: "detached" });
  if (!saved.ok) return null;
  storeDurations(runtime);
  if (saved.value.isNew) await takePending(runtime, [sessionId], AbortSignal.timeout(filesTimeoutMs));
  return saved.value.checkpoint.id;
}
