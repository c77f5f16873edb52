import type { Store } from "../store/store.ts";
import { ChangeFeeds } from "./edge/change-feeds.ts";
import { EdgeSockets } from "./edge/socket.ts";

/** Sockets to edges and followed changes, which the clients of one process share. */
export class SharedLinks {
  readonly sockets = new EdgeSockets();
  readonly feeds = new ChangeFeeds();
}

const ofStore = new WeakMap<Store, SharedLinks>();

/** Links of the process that opened the store. */
export function sharedLinksOf(store: Store): SharedLinks {
  const links = ofStore.get(store) ?? new SharedLinks();
  ofStore.set(store, links);
  return links;
}
