import type { Change } from "../../contract/state.ts";
import type { Watch, WatchOptions } from "./state-watch.ts";

/** Changes in order; null: read everything again; empty: rows changed that are not state. */
export type OnChanges = (changes: readonly Change[] | null) => void;

/** One client's part in a feed; the first of them reads for all. */
export interface Follower {
  readonly onChanges: OnChanges;
  readonly watch: (start: WatchOptions) => Watch;
  /** Hints at changed rows below the prefix. @returns unsubscribes */
  readonly onRows: (listener: () => void) => () => void;
}

/** [EC61] Changes are read once for all clients of a process that follow the same prefix. */
export class ChangeFeeds {
  readonly #feeds = new Map<string, ChangeFeed>();

  /** @param workspace names the coordinator. @returns ends it */
  follow(workspace: string, prefix: string, follower: Follower): () => void {
    const key = `${workspace} ${prefix}`;
    const feed = this.#feeds.get(key) ?? new ChangeFeed(prefix, () => void this.#feeds.delete(key));
    this.#feeds.set(key, feed);
    feed.add(follower);
    return () => feed.remove(follower);
  }
}

class ChangeFeed {
  readonly #prefix: string;
  readonly #onEmpty: () => void;
  readonly #followers = new Set<Follower>();
  #stopReading: (() => void) | null = null;
  #reader: Follower | null = null;
  #hasBegun = false;

  constructor(prefix: string, onEmpty: () => void) {
    this.#prefix = prefix;
    this.#onEmpty = onEmpty;
  }

  add(follower: Follower): void {
    this.#followers.add(follower);
    if (this.#reader === null) return this.#read({ prefix: this.#prefix });
    // Else the first event of the reader is still to come.
    if (!this.#hasBegun) return;
    queueMicrotask(() => {
      if (this.#followers.has(follower)) follower.onChanges(null);
    });
  }

  remove(follower: Follower): void {
    // A follower whose client has closed is gone already, and another feed may have this key.
    if (!this.#followers.delete(follower)) return;
    if (this.#reader === follower) this.#stopReading?.();
    if (this.#followers.size === 0) this.#onEmpty();
  }

  #read(start: WatchOptions): void {
    const [reader] = this.#followers;
    this.#reader = reader ?? null;
    this.#hasBegun = start.after !== undefined;
    if (!reader) return;
    const watch = reader.watch(start);
    const stopRows = reader.onRows(() => this.#each([]));
    this.#stopReading = () => {
      stopRows();
      watch.close();
      const { revision } = watch;
      this.#read({ prefix: this.#prefix, ...(revision === null ? {} : { after: revision }) });
    };
    void this.#deliver(reader, watch);
  }

  async #deliver(reader: Follower, watch: Watch): Promise<void> {
    for await (const event of watch) {
      if (this.#reader !== reader) return;
      this.#hasBegun = true;
      // A snapshot lacks the coordinator's own keys: it only signals that changes were missed.
      if (event.type !== "failed") this.#each(event.type === "changes" ? event.changes : null);
      else this.remove(reader);
    }
  }

  #each(changes: readonly Change[] | null): void {
    for (const follower of this.#followers) follower.onChanges(changes);
  }
}
