import type { WorkspaceClient } from "#src/coordinator-client/client.ts";
import type { Change } from "#src/contract/state.ts";
import type { FakeEdge } from "./fake-edge.ts";

/** What a watch has said, in order. */
export class Follower {
  /** Null: everything is to be read again. */
  readonly events: (readonly Change[] | null)[] = [];
  readonly close: () => void;

  constructor(client: WorkspaceClient, prefix = "") {
    this.close = client.onChanges(prefix, (changes) => void this.events.push(changes));
  }

  get changes(): Change[] {
    return this.events.flatMap((event) => event ?? []);
  }

  get revisions(): number[] {
    return this.changes.map(({ revision }) => revision);
  }

  /** How often everything was to be read. */
  get beginnings(): number {
    return this.events.filter((event) => event === null).length;
  }
}

/** Keys below the prefix, one change after the other. */
export async function write(edge: FakeEdge, from: number, to: number, prefix = "k/"): Promise<void> {
  for (let at = from; at <= to; at++) await edge.host.call("state.set", { key: `${prefix}${at % 7}`, value: at });
  edge.tell();
}

export function isInOrder(numbers: readonly number[]): boolean {
  return numbers.every((number, at) => at === 0 || number > (numbers[at - 1] ?? 0));
}
