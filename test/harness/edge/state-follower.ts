import type { OutputOf } from "#src/contract/operations.ts";
import type { Json } from "#src/contract/json.ts";
import type { WorkspaceClient } from "#src/coordinator-client/client.ts";
import type { WatchEvent, WatchOptions } from "#src/coordinator-client/edge/state-watch.ts";
import { value } from "./edge-clients.ts";
import type { FakeEdge } from "./fake-edge.ts";

/** Reads all events of a watch, and keeps the keys as they are after them. */
export class Follower {
  readonly events: WatchEvent[] = [];
  readonly revisions: number[] = [];
  readonly keys = new Map<string, Json>();
  readonly close: () => void;

  constructor(client: WorkspaceClient, options: WatchOptions = {}) {
    this.close = client.watch(options, (event) => this.#apply(event));
  }

  get types(): string[] {
    return this.events.map(({ type }) => type);
  }

  #apply(event: WatchEvent): void {
    this.events.push(event);
    if (event.type === "snapshot") {
      this.keys.clear();
      for (const { key, value: text } of event.entries) this.keys.set(key, text);
    } else if (event.type === "changes") {
      for (const { key, op, value: text, revision } of event.changes) {
        this.revisions.push(revision);
        if (op === "set") this.keys.set(key, text);
        else this.keys.delete(key);
      }
    }
  }
}

/** Keys below the prefix, one change after the other. */
export async function write(edge: FakeEdge, from: number, to: number, prefix = "k/"): Promise<void> {
  for (let at = from; at <= to; at++) await edge.host.call("state.set", { key: `${prefix}${at % 7}`, value: at });
  edge.tell();
}

/** What the coordinator has below a prefix at this instant. */
export async function present(edge: FakeEdge, prefix: string): Promise<Record<string, Json>> {
  const found: Record<string, Json> = {};
  for (let cursor: string | null = ""; cursor !== null;) {
    const page: OutputOf<"state.list"> = value(await edge.host.call("state.list", { prefix, limit: 500, cursor }));
    for (const entry of page.entries) found[entry.key] = entry.value;
    cursor = page.cursor;
  }
  return found;
}

export function isInOrder(numbers: readonly number[]): boolean {
  return numbers.every((number, at) => at === 0 || number > (numbers[at - 1] ?? 0));
}
