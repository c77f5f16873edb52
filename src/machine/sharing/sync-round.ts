import * as joinPreferences from "./join-preferences.ts";
import * as changes from "./pending-changes.ts";
import * as devices from "./device.ts";
import type { SyncCounts, SyncNotes } from "../../contract/machine/workspaces.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import { isSameWorkspace, readEdgeConfig, type EdgeWorkspace } from "../../coordinator-client/edge-config.ts";
import { FilesSender, type FilesMode } from "./files-sender.ts";
import { pull } from "./pull.ts";
import { RecordSender, type Sent, type SynchronizerOptions, type SyncTarget } from "./record-sender.ts";
import { addWrongKeyNotice, clearWrongKey, readNotes, syncKeys, writeNotes } from "./sync-status.ts";
import type { Failure } from "../../contract/errors.ts";
import { isWithin } from "../../shared/known-time.ts";

export interface SyncReport extends SyncCounts {
  readonly trouble: Failure | null;
}

/** Interval of full pulls in ms: they reveal what was forgotten elsewhere. */
const fullPullEveryMs = 900_000;
const noCounts = () => ({ files: 0, received: 0, refused: 0 });
const nothingSent = (): Sent => ({ sessions: new Set(), checkpoints: new Set(), forgotten: 0 });

export interface RoundOptions {
  readonly isPulling: boolean;
  readonly files: FilesMode;
  /** Workspace of another process that asked for the round, whose environment may differ. */
  readonly asked?: EdgeWorkspace;
}

export class SyncRound {
  readonly #options: SynchronizerOptions;
  readonly #sender: RecordSender;
  readonly #files: FilesSender;
  readonly #abortController = new AbortController();
  #hasTarget = false;
  #counts = noCounts();
  #sent = nothingSent();
  #wasFull: boolean | null = null;
  #pullState = { revision: 0, scope: "", fullAt: Number.NEGATIVE_INFINITY };

  constructor(options: SynchronizerOptions) {
    this.#options = options;
    this.#sender = new RecordSender(options);
    this.#files = new FilesSender(options, this.#abortController.signal);
  }

  /** When there is something to send, in monotonic ms; infinite: not before another commit. */
  dueAt(): number {
    return Math.min(this.#sender.dueAt(), this.#files.dueAt());
  }

  /** Whether the last round had a workspace to send to. */
  get hasTarget(): boolean {
    return this.#hasTarget;
  }

  async abort(): Promise<void> {
    this.#abortController.abort();
    await this.#files.waitForPreparation();
  }

  async run({ isPulling, files, asked }: RoundOptions): Promise<SyncReport> {
    this.#counts = noCounts();
    this.#sent = nothingSent();
    this.#wasFull = null;
    const target = this.#target(asked);
    this.#hasTarget = target.ok;
    if (!target.ok) {
      // A machine that leaves a workspace deletes the mirror.
      this.#pullState = { ...this.#pullState, scope: "" };
      return this.report(target.error);
    }
    this.#ensureDevice(target.value);
    const sendError = await this.#sender.send(target.value, this.#sent);
    const error = sendError ?? (isPulling ? await this.#pull(target.value) : null);
    this.#saveNotes(error);
    const filesError = sendError === null ? await this.#sendFiles(target.value, files) : null;
    return this.report(error ?? filesError);
  }

  /** Sends files last; their errors are recorded with the session and block nothing. */
  async #sendFiles(target: SyncTarget, mode: FilesMode): Promise<Failure | null> {
    const { store } = this.#options.runtime;
    const previous = store.read(changes.count, 0);
    this.#counts.files = await this.#files.sendDue(target, mode);
    if (mode !== "all" || store.read(changes.count, 0) <= previous) return null;
    return this.#sender.send(target, this.#sent);
  }

  report(error: Failure | null): SyncReport {
    const left = this.#options.runtime.store.read(changes.count, 0);
    const { sessions, checkpoints, forgotten } = this.#sent;
    const sent = { sessions: sessions.size, checkpoints: checkpoints.size, forgotten };
    return { ...sent, ...this.#counts, left, trouble: error };
  }

  #target(asked: EdgeWorkspace | undefined): Result<SyncTarget> {
    const { runtime, connect } = this.#options;
    const edge = readEdgeConfig(runtime.paths.home, runtime.env);
    if (!edge.ok) return fail("edge_unusable", edge.error);
    if (asked && (edge.value === null || !isSameWorkspace(edge.value, asked))) {
      const own = edge.value === null ? "no workspace" : `${edge.value.url}, workspace ${edge.value.workspace}`;
      const message = `the host of this machine syncs with ${own}, as the environment it was started in says; \`shim call host.stop\` ends it, and a repeat starts one in this environment`;
      return fail("other_workspace", message);
    }
    if (edge.value === null) return fail("no_edge", "this machine has joined no workspace");
    const keyRing = syncKeys(runtime, edge.value);
    if (!keyRing.ok) return keyRing;
    return ok({ edge: edge.value, keyRing: keyRing.value, call: connect(edge.value, this.#abortController.signal) });
  }

  /** Inserts a missing device row: the store was lost, or older than the sync. */
  #ensureDevice({ edge }: SyncTarget): void {
    const { workspace } = edge;
    const { store, now, random } = this.#options.runtime;
    if (store.read(devices.get, null)?.workspace === workspace) return;
    store.write((sql) => {
      if (devices.get(sql)?.workspace === workspace) return;
      const since = joinPreferences.read(sql, workspace)?.since ?? 0;
      devices.join(sql, edge, devices.newId(now(), random), since, now());
    });
  }

  async #pull({ edge: { workspace }, keyRing, call }: SyncTarget): Promise<Failure | null> {
    const { runtime, platform, onPulled } = this.#options;
    const scope = [workspace, ...keyRing.keys.keys()].join(" ");
    const now = platform.clock.monotonic();
    // A newer key may open what was refused.
    const isFull = this.#pullState.scope !== scope || now - this.#pullState.fullAt >= fullPullEveryMs;
    const device = runtime.store.read(devices.get, null)?.device ?? null;
    const pulled = await pull(
      { runtime, call, workspace, keys: keyRing, device },
      isFull ? 0 : this.#pullState.revision,
    );
    if (!pulled.ok) return pulled.error;
    this.#pullState = { revision: pulled.value.revision, scope, fullAt: isFull ? now : this.#pullState.fullAt };
    if (device !== null) onPulled(runtime, workspace, device);
    const { stored, refused } = pulled.value;
    this.#counts.received = stored;
    this.#counts.refused = refused.length;
    this.#wasFull = isFull;
    return null;
  }

  /** Only a full pull counts all refused envelopes; until then the count accumulates. */
  #refusedCount(previous: SyncNotes): number {
    return this.#counts.refused + (this.#wasFull === true ? 0 : (previous.refused ?? 0));
  }

  /** Writes only changes: each write wakes others. An acknowledgement has recorded its time. */
  #saveNotes(error: Failure | null): void {
    const { store, now } = this.#options.runtime;
    const previous = store.read(readNotes, {});
    if (isAlreadyNoted(previous, error, this.#refusedCount(previous), now())) return;
    const syncedAtField = error === null ? { syncedAt: now() } : {};
    const problem = error && { code: error.code, message: error.message, at: now() };
    store.write((sql) => {
      writeNotes(sql, { ...syncedAtField, trouble: problem, refused: this.#refusedCount(readNotes(sql)) });
      if (error?.code === "wrong_key") addWrongKeyNotice(sql, now(), error.message);
      if (error === null) clearWrongKey(sql, now());
    });
  }
}

const syncedFreshMs = 60_000;

function isAlreadyNoted(previous: SyncNotes, error: Failure | null, refused: number, now: number): boolean {
  const isFresh = error !== null || isWithin(now - (previous.syncedAt ?? 0), syncedFreshMs);
  return isFresh && previous.trouble?.code === error?.code && (previous.refused ?? 0) === refused;
}
