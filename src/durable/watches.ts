import { notificationFrame } from "../contract/frames.ts";
import type { Refusal } from "../contract/errors.ts";
import type { CheckedInputOf, OutputOf } from "../contract/operations.ts";
import * as changes from "../coordination/kernel/changes.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { Sql } from "../shared/sql.ts";
import {
  attach,
  attachmentOf,
  maxPrefixBytes,
  maxWatches,
  prefixBytes,
  type Attachment,
  type Watch,
} from "./attachments.ts";
import type { Outgoing } from "./outgoing.ts";

/** Changes that a client may be behind before its watch stalls. */
const maxBehind = 1_000;
const changesPerFrame = 200;
/** Unacknowledged characters of changes per connection. */
const maxUnackedChars = 2_000_000;
/** Revisions that stored positions may lag behind; they are compared again after a start. */
const maxLag = 256;

interface PushBudget {
  readonly isSpent: (token: string) => boolean;
  readonly charge: (token: string, chars: number) => void;
}

interface Watcher {
  readonly socket: WebSocket;
  readonly attachment: Attachment;
}

/** [DO5] [DO14] Stores an attachment after a send, or when its positions lag far behind. */
export class Watches {
  readonly #sql: Sql;
  readonly #outgoing: Outgoing;
  readonly #budget: PushBudget;
  /** Revision at which positions were stored; null: unknown since the start. */
  #storedAt: number | null = null;
  #newest = 0;
  /** Connections that may have a watch; null: unknown since the start. */
  #watching: Set<WebSocket> | null = null;

  constructor(sql: Sql, outgoing: Outgoing, budget: PushBudget) {
    this.#sql = sql;
    this.#outgoing = outgoing;
    this.#budget = budget;
  }

  watch(
    socket: WebSocket,
    { watch: id, prefix, after }: CheckedInputOf<"state.watch">,
  ): Result<OutputOf<"state.watch">, Refusal> {
    const attachment = attachmentOf(socket);
    if (!attachment) return err({ code: "internal", message: "this connection is not known" });
    const others = attachment.watches.filter((one) => one.id !== id);
    if (others.length >= maxWatches) {
      return err({ code: "quota_exceeded", message: `a connection has at most ${maxWatches} watches` });
    }
    if (prefixBytes([...others, { prefix }]) > maxPrefixBytes) {
      return err({
        code: "quota_exceeded",
        message: `the prefixes of a connection have at most ${maxPrefixBytes} bytes`,
      });
    }
    const first = changes.pull(this.#sql, { prefix, after, limit: 1 });
    if (!first.ok) return first;
    this.#watching?.add(socket);
    attach(socket, {
      ...attachment,
      watches: [...others, { id, prefix, compared: after, sent: after, taken: after, chars: 0, isStalled: false }],
    });
    return ok({ watch: id, revision: after });
  }

  unwatch(socket: WebSocket, { watch: id }: CheckedInputOf<"state.unwatch">): OutputOf<"state.unwatch"> {
    const attachment = attachmentOf(socket);
    const left = attachment?.watches.filter((one) => one.id !== id) ?? [];
    if (!attachment || left.length === attachment.watches.length) return { isRemoved: false };
    attach(socket, { ...attachment, watches: left });
    return { isRemoved: true };
  }

  taken(socket: WebSocket, id: unknown, revision: unknown): void {
    const attachment = attachmentOf(socket);
    const watch = attachment?.watches.find((one) => one.id === id);
    if (!attachment || !watch || typeof revision !== "number" || !acknowledge(watch, revision)) return;
    const newest = changes.readTotals(this.#sql).revision;
    for (const one of attachment.watches) if (one.compared < newest) this.#follow({ socket, attachment }, one);
    attach(socket, attachment);
  }

  /** @returns connections that watch exactly this prefix */
  listOf(watched: string, listSockets: () => readonly WebSocket[]): WebSocket[] {
    return this.#listWatchers(listSockets)
      .filter(({ attachment }) => attachment.watches.some(({ prefix }) => prefix === watched))
      .map(({ socket }) => socket);
  }

  /** @param listSockets all connections, of which most have no watch */
  notify(listSockets: () => readonly WebSocket[]): void {
    const watchers = this.#listWatchers(listSockets);
    const newest = watchers.length === 0 ? 0 : changes.readTotals(this.#sql).revision;
    const sentTo = new Set<Watcher>();
    if (newest > this.#newest) this.#stallSlow(watchers, newest, sentTo);
    this.#newest = newest;
    for (let from = oldestPosition(watchers); from !== null && from < newest; from = oldestPosition(watchers)) {
      this.#storedAt ??= from;
      this.#compare(watchers, changes.readAfter(this.#sql, from), sentTo);
    }
    this.#store(watchers, sentTo, newest);
  }

  #listWatchers(listSockets: () => readonly WebSocket[]): Watcher[] {
    const watchers: Watcher[] = [];
    this.#watching ??= new Set(listSockets());
    for (const socket of this.#watching) {
      const attachment = socket.readyState === WebSocket.OPEN ? attachmentOf(socket) : null;
      if (attachment && attachment.watches.length > 0) watchers.push({ socket, attachment });
      else this.#watching.delete(socket);
    }
    return watchers;
  }

  #store(watchers: readonly Watcher[], sentTo: ReadonlySet<Watcher>, newest: number): void {
    const storedAt = (this.#storedAt ??= newest);
    // Positions below the compaction floor would be lost although nothing was missed.
    const isLagging =
      newest - storedAt >= maxLag || (newest > storedAt && changes.compactionFloor(this.#sql) > storedAt);
    for (const { socket, attachment } of isLagging ? watchers : sentTo) attach(socket, attachment);
    if (isLagging) this.#storedAt = newest;
  }

  /** Stalls watches that are far behind when new changes arrive. */
  #stallSlow(watchers: readonly Watcher[], newest: number, sentTo: Set<Watcher>): void {
    for (const watcher of watchers) {
      for (const watch of watcher.attachment.watches) {
        const { isStalled, compared, sent, taken } = watch;
        if (isStalled || (sent - taken < maxBehind && !(isFull(watcher) && newest - compared >= maxBehind))) continue;
        this.#stall(watcher, watch);
        sentTo.add(watcher);
      }
    }
  }

  #compare(watchers: readonly Watcher[], batch: changes.ChangeBatch | null, sentTo: Set<Watcher>): void {
    for (const watcher of watchers) {
      const isBlocked = isFull(watcher);
      for (const watch of watcher.attachment.watches) {
        if (isWaiting(watch, isBlocked)) continue;
        if (batch?.hasNone(watch.prefix, watch.compared)) skipTo(watch, Math.max(watch.compared, batch.revision));
        else if (this.#follow(watcher, watch, batch)) sentTo.add(watcher);
      }
    }
  }

  #follow(watcher: Watcher, watch: Watch, batch: changes.ChangeBatch | null = null): boolean {
    let isSent = false;
    for (let isMore = true; isMore && !isWaiting(watch, isFull(watcher));) {
      const pulled = this.#next(watch, batch);
      const isSending = pulled.ok && pulled.value.changes.length > 0;
      if (!pulled.ok || (isSending && this.#budget.isSpent(watcher.attachment.token.id))) {
        return this.#stall(watcher, watch);
      }
      if (isSending) isSent = this.#send(watcher, watch, pulled.value);
      else skipTo(watch, pulled.value.revision);
      isMore = pulled.value.isMore;
    }
    return isSent;
  }

  #next({ prefix, compared: after }: Watch, batch: changes.ChangeBatch | null): ReturnType<typeof changes.pull> {
    const request = { prefix, after, limit: changesPerFrame };
    return batch?.covers(after) ? ok(batch.pull(request)) : changes.pull(this.#sql, request);
  }

  #send({ socket, attachment }: Watcher, watch: Watch, { changes: sent, revision }: OutputOf<"state.changes">): true {
    const { id, sent: after } = watch;
    const text = notificationFrame("state.changes", { watch: id, after, changes: sent, revision });
    this.#outgoing.send(socket, text);
    this.#budget.charge(attachment.token.id, text.length);
    watch.compared = revision;
    watch.sent = revision;
    watch.chars = (watch.chars ?? 0) + text.length;
    return true;
  }

  #stall({ socket }: Watcher, watch: Watch): true {
    this.#outgoing.send(socket, notificationFrame("resync", { watch: watch.id, revision: watch.taken }));
    watch.isStalled = true;
    watch.chars = 0;
    return true;
  }
}

/** Oldest position that can continue; null: all wait for their clients. */
function oldestPosition(watchers: readonly Watcher[]): number | null {
  let oldest: number | null = null;
  for (const watcher of watchers) {
    const isBlocked = isFull(watcher);
    for (const watch of watcher.attachment.watches) {
      if (!isWaiting(watch, isBlocked) && (oldest === null || watch.compared < oldest)) oldest = watch.compared;
    }
  }
  return oldest;
}

function isWaiting({ isStalled, sent, taken }: Watch, isBlocked: boolean): boolean {
  return isStalled || isBlocked || sent - taken >= maxBehind;
}

function isFull({ attachment }: Watcher): boolean {
  let chars = 0;
  for (const watch of attachment.watches) chars += watch.chars ?? 0;
  return chars >= maxUnackedChars;
}

function acknowledge(watch: Watch, revision: number): boolean {
  const isAll = revision >= watch.sent;
  const taken = isAll ? watch.compared : Math.max(watch.taken, revision);
  const isNew = taken !== watch.taken || (isAll && (watch.chars ?? 0) > 0);
  watch.taken = taken;
  if (isAll) watch.chars = 0;
  return isNew;
}

/** Advances without a frame; a client that has acknowledged the last frame is up to date. */
function skipTo(watch: Watch, revision: number): void {
  if (watch.taken >= watch.sent) watch.taken = revision;
  watch.compared = revision;
}
