import { err, ok, type Result } from "../../shared/result.ts";
import { readEdgeConfig, type EdgeConfig } from "../authority.ts";
import { recordTakeovers } from "../recovery/remote-return.ts";
import * as choices from "./choice.ts";
import * as changes from "./changes.ts";
import * as devices from "./device.ts";
import { FilesSender, type FilesMode } from "./files-sender.ts";
import { readKeys } from "./key-ring.ts";
import * as notes from "./notes.ts";
import type { SyncNotes } from "./notes.ts";
import { pull, type Pulled } from "./pull.ts";
import { sayWrongKey, unsayWrongKey } from "./said.ts";
import { Sender, type SyncTarget } from "./sender.ts";
import type { SessionPace } from "./session-pace.ts";
import type { SyncCall, SyncTrouble } from "./sync-call.ts";
import type { SynchronizerOptions } from "./synchronizer.ts";
import * as uploader from "./uploader.ts";
import { isWithin } from "../../shared/elapsed.ts";

/** @param signal aborted: nobody waits for an answer any more */
export type Connect = (edge: EdgeConfig, signal: AbortSignal) => SyncCall;

export interface SyncReport {
  readonly sessions: number;
  readonly checkpoints: number;
  readonly forgotten: number;
  /** Sessions whose files have arrived. */
  readonly files: number;
  readonly received: number;
  readonly refused: number;
  /** Changes that are not at the coordinator yet. */
  readonly left: number;
  /** Why the round did not come to its end. */
  readonly trouble: SyncTrouble | null;
}

/** All sessions are asked for this often, in ms: what was forgotten elsewhere is missing then. */
const fullPullMs = 900_000;
const nothingDone = { sessions: 0, checkpoints: 0, forgotten: 0, files: 0, received: 0, refused: 0 };

export interface RoundOptions {
  /** Whether other machines' sessions are asked for. */
  readonly isPulling: boolean;
  readonly files: FilesMode;
}

/** One round after the other: what has changed is sealed and sent, then what others have changed is asked for. */
export class Round {
  readonly #options: SynchronizerOptions;
  readonly #sender: Sender;
  readonly #files: FilesSender;
  readonly #pace: SessionPace;
  readonly #ending = new AbortController();
  #isSending = false;
  #done = nothingDone;
  /** Whether the last answer told all sessions; null: none came in this round. */
  #wasFull: boolean | null = null;
  #pulled = { revision: 0, of: "", fullAt: Number.NEGATIVE_INFINITY };

  constructor(options: SynchronizerOptions, pace: SessionPace) {
    this.#options = options;
    this.#pace = pace;
    this.#sender = new Sender(options, pace, (acked) => this.#count(acked));
    this.#files = new FilesSender(options, this.#ending.signal);
  }

  /** Whether a part of files waits to be sent. */
  get isDue(): boolean {
    return this.#files.isDue;
  }

  /** Whether this process was the one that sends, in the last round. */
  get isSending(): boolean {
    return this.#isSending;
  }

  /** Nobody waits for answers any more. */
  async end(): Promise<void> {
    this.#ending.abort();
    await this.#files.settled();
  }

  async run({ isPulling, files }: RoundOptions): Promise<SyncReport> {
    this.#done = nothingDone;
    this.#wasFull = null;
    this.#isSending = false;
    const target = this.#target();
    if (!target.ok) return this.#withoutTarget(target.error);
    if (!this.#claim(target.value)) {
      this.#files.drop();
      return this.report({ code: "not_uploader", message: "another process sends" });
    }
    this.#isSending = true;
    const sent = await this.#sender.send(target.value);
    const received = sent ?? (isPulling ? await this.#receive(target.value) : null);
    this.#note(received);
    const after = sent === null ? await this.#sendFiles(target.value, files) : null;
    return this.report(received ?? after);
  }

  /** Last: what is bounded in size goes first. Its own trouble is noted with the session, and holds up nothing. */
  async #sendFiles(target: SyncTarget, mode: FilesMode): Promise<SyncTrouble | null> {
    const { store } = this.#options.runtime;
    const before = store.read(changes.count, 0);
    const files = await this.#files.work(target, mode);
    this.#done = { ...this.#done, files };
    if (mode !== "all" || store.read(changes.count, 0) <= before) return null;
    // A caller that waits for all of it does not wait for the pace of a session that works.
    this.#pace.hurry();
    return this.#sender.send(target);
  }

  /** A machine that has left a workspace has deleted what others have stored. */
  #withoutTarget(trouble: SyncTrouble): SyncReport {
    this.#pulled = { ...this.#pulled, of: "" };
    return this.report(trouble);
  }

  report(trouble: SyncTrouble | null): SyncReport {
    const left = this.#options.runtime.store.read((sql) => changes.count(sql) + changes.sealedCount(sql), 0);
    return { ...this.#done, left, trouble };
  }

  #target(): Result<SyncTarget, SyncTrouble> {
    const { runtime, connect } = this.#options;
    const edge = readEdgeConfig(runtime.paths.home, runtime.env);
    if (!edge.ok) return err({ code: "edge_unusable", message: edge.error });
    if (edge.value === null) return err({ code: "no_edge", message: "this machine has joined no workspace" });
    const { workspace } = edge.value;
    if (runtime.store.read((sql) => choices.read(sql, workspace), null)?.isSynced === false)
      return err({
        code: "no_sync",
        message: "this machine has joined with --no-sync; `shim edge key` begins to sync",
      });
    const ring = readKeys(runtime.paths.home, edge.value, runtime.env);
    if (!ring.ok) return err({ code: "no_key", message: ring.error });
    if (ring.value === null) return err({ code: "no_key", message: "this machine has no key of the workspace" });
    return ok({ edge: edge.value, ring: ring.value, call: connect(edge.value, this.#ending.signal) });
  }

  /** [SY63] [SY61] Also makes the device's row where there is none: the store was lost, or older than the sync. */
  #claim({ edge: { workspace } }: SyncTarget): boolean {
    const { runtime, process } = this.#options;
    const { store, now, random, processes } = runtime;
    const isReady = store.read(
      (sql) => devices.get(sql)?.workspace === workspace && !uploader.isDue(sql, now(), process, processes),
      false,
    );
    if (isReady) return store.read((sql) => uploader.isOwn(sql, process), false);
    return store.write((sql) => {
      if (devices.get(sql)?.workspace !== workspace) {
        const since = choices.read(sql, workspace)?.since ?? 0;
        devices.join(sql, workspace, devices.newId(now(), random), since);
      }
      return uploader.claim(sql, now(), process, processes);
    });
  }

  #count(acked: readonly string[]): void {
    const of = (kind: string): number => acked.filter((one) => one === kind).length;
    const { sessions, checkpoints, forgotten } = this.#done;
    this.#done = {
      ...this.#done,
      sessions: sessions + of("session"),
      checkpoints: checkpoints + of("checkpoint"),
      forgotten: forgotten + of("forget"),
    };
  }

  async #receive({ edge: { workspace }, ring, call }: SyncTarget): Promise<SyncTrouble | null> {
    const { runtime, outside } = this.#options;
    const of = [workspace, ...ring.keys.keys()].join(" ");
    const now = outside.clock.monotonic();
    // What did not open may open under a key that came since.
    const isFull = this.#pulled.of !== of || now - this.#pulled.fullAt >= fullPullMs;
    const device = runtime.store.read(devices.get, null)?.device ?? null;
    const pulled = await pull({ runtime, call, workspace, keys: ring, device }, isFull ? 0 : this.#pulled.revision);
    if (!pulled.ok) return pulled.error;
    this.#pulled = { revision: pulled.value.revision, of, fullAt: isFull ? now : this.#pulled.fullAt };
    if (device !== null) recordTakeovers(runtime, workspace, device);
    this.#take(pulled.value);
    this.#wasFull = isFull;
    return null;
  }

  #take({ stored, refused }: Pulled): void {
    this.#done = { ...this.#done, received: stored, refused: refused.length };
  }

  /** [SY51] What is refused is told again only when all sessions are asked for: until then the count goes on. */
  #refused(before: SyncNotes): number {
    return this.#done.refused + (this.#wasFull === true ? 0 : (before.refused ?? 0));
  }

  /** Written only where it says something new: each write wakes others. */
  #note(trouble: SyncTrouble | null): void {
    const { store, now } = this.#options.runtime;
    const { sessions, checkpoints, forgotten } = this.#done;
    const isQuiet = sessions + checkpoints + forgotten === 0;
    const before = store.read(notes.read, {});
    if (isQuiet && isSaid(before, trouble, this.#refused(before), now())) return;
    const synced = trouble === null ? { syncedAt: now() } : {};
    const said = trouble && { code: trouble.code, message: trouble.message, at: now() };
    store.write((sql) => {
      notes.write(sql, { ...synced, trouble: said, refused: this.#refused(notes.read(sql)) });
      if (trouble?.code === "wrong_key") sayWrongKey(sql, now(), trouble.message);
      if (trouble === null) unsayWrongKey(sql, now());
    });
  }
}

/** Of what `shim edge status` says, in ms. */
const freshMs = 60_000;

function isSaid(before: SyncNotes, trouble: SyncTrouble | null, refused: number, now: number): boolean {
  const isFresh = trouble !== null || isWithin(now - (before.syncedAt ?? 0), freshMs);
  return isFresh && before.trouble?.code === trouble?.code && (before.refused ?? 0) === refused;
}
