import { notificationFrame } from "../contract/protocol.ts";
import type { CheckedInputOf, OutputOf } from "../contract/operations.ts";
import * as changes from "../coordination/kernel/changes.ts";
import { isWithin } from "../shared/known-time.ts";
import { fail, ok, type Result } from "../shared/result.ts";
import {
  attach,
  attachmentOf,
  maxPrefixBytes,
  maxWatches,
  prefixBytes,
  type Watch,
  type Outgoing,
} from "./attachments.ts";
import type { StorageSql } from "./storage-sql.ts";

interface WatchesOptions {
  readonly sql: StorageSql;
  readonly outgoing: Outgoing;
  readonly listOpen: () => readonly WebSocket[];
  /** Epoch ms. */
  readonly now: () => number;
}

/** Shortest time between two hints to one watch, in ms. */
const everyMs = 1_000;

/** Tables whose rows are no state, by the prefix that stands for them. */
const tables = { tasks: "$task/", messages: "$message/", inboxes: "$message/" } as const;

/** In memory only: a client that is hinted once too often asks once too often. */
interface Hinted {
  at: number;
  /** Whether something has changed since. */
  isDue: boolean;
}

/**
 * Tells connections that something below a prefix has changed; they ask for what. Costs no
 * row. The timer runs for at most a second after a write, so it keeps no idle object awake.
 */
export class Watches {
  readonly #options: WatchesOptions;
  readonly #hinted = new WeakMap<WebSocket, Map<string, Hinted>>();
  readonly #writes = new Map<string, number>();
  /** Connections that may have a watch; null: unknown since the start. */
  #watching: Set<WebSocket> | null = null;
  #revision = 0;
  #isTimerSet = false;

  constructor(options: WatchesOptions) {
    this.#options = options;
  }

  /** Call at the start of the object: what was written before was hinted then. */
  begin(): void {
    this.#revision = changes.readTotals(this.#options.sql).revision;
    this.#takeWritten();
  }

  watch(socket: WebSocket, { watch: id, prefix }: CheckedInputOf<"state.watch">): Result<OutputOf<"state.watch">> {
    const attachment = attachmentOf(socket);
    if (!attachment) return fail("internal", "this connection is not known");
    const others = attachment.watches.filter((one) => one.id !== id);
    if (others.length >= maxWatches) {
      return fail("quota_exceeded", `a connection has at most ${maxWatches} watches`);
    }
    if (prefixBytes([...others, { prefix }]) > maxPrefixBytes) {
      return fail("quota_exceeded", `the prefixes of a connection have at most ${maxPrefixBytes} bytes`);
    }
    // No watch was to hear of what was written until now.
    if (this.#list().next().done) this.begin();
    this.#watching?.add(socket);
    attach(socket, { ...attachment, watches: [...others, { id, prefix }] });
    return ok({ watch: id, revision: changes.readTotals(this.#options.sql).revision });
  }

  unwatch(socket: WebSocket, { watch: id }: CheckedInputOf<"state.unwatch">): OutputOf<"state.unwatch"> {
    const attachment = attachmentOf(socket);
    const left = attachment?.watches.filter((one) => one.id !== id) ?? [];
    if (!attachment || left.length === attachment.watches.length) return { isRemoved: false };
    attach(socket, { ...attachment, watches: left });
    return { isRemoved: true };
  }

  /** Runs after each commit. @param hasChanges whether keys may have changed */
  notify(hasChanges: boolean): void {
    if (this.#list().next().done) return;
    const prefixes = this.#takeWritten();
    const found = hasChanges ? changes.keysAfter(this.#options.sql, this.#revision) : null;
    this.#revision = found?.revision ?? this.#revision;
    const keys = found === null ? [] : found.keys;
    if (prefixes.size === 0 && keys?.length === 0) return;
    for (const [socket, watch] of this.#list()) {
      const { prefix } = watch;
      if (prefixes.has(prefix) || keys === null || keys.some((key) => key.startsWith(prefix)))
        this.#hint(socket, watch);
    }
  }

  #takeWritten(): Set<string> {
    const prefixes = new Set<string>();
    for (const [table, prefix] of Object.entries(tables)) {
      const writes = this.#options.sql.writesTo(table);
      if (writes > (this.#writes.get(table) ?? 0)) prefixes.add(prefix);
      this.#writes.set(table, writes);
    }
    return prefixes;
  }

  *#list(): Generator<[WebSocket, Watch]> {
    this.#watching ??= new Set(this.#options.listOpen());
    for (const socket of this.#watching) {
      const watches = socket.readyState === WebSocket.OPEN ? (attachmentOf(socket)?.watches ?? []) : [];
      if (watches.length === 0) this.#watching.delete(socket);
      for (const watch of watches) yield [socket, watch];
    }
  }

  #hint(socket: WebSocket, { id }: Watch): void {
    const now = this.#options.now();
    const ofSocket = this.#hinted.get(socket) ?? new Map<string, Hinted>();
    this.#hinted.set(socket, ofSocket);
    const last = ofSocket.get(id);
    if (last && isWithin(now - last.at, everyMs)) {
      last.isDue = true;
      return this.#setTimer();
    }
    ofSocket.set(id, { at: now, isDue: false });
    this.#options.outgoing.send(socket, notificationFrame("state.changed", { watch: id }));
  }

  #setTimer(): void {
    if (this.#isTimerSet) return;
    this.#isTimerSet = true;
    setTimeout(() => {
      this.#isTimerSet = false;
      for (const [socket, watch] of this.#list()) {
        const last = this.#hinted.get(socket)?.get(watch.id);
        if (!last?.isDue) continue;
        this.#hinted.get(socket)?.delete(watch.id);
        this.#hint(socket, watch);
      }
    }, everyMs);
  }
}
