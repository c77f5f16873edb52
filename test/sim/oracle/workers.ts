import { type Commit, readAccepted, type Readers, type Request } from "../host/sim-host.ts";
import { all, keepMap, keepSet, type PutBack } from "./keep.ts";
import type { KnownTask } from "./task-known.ts";

/** A chat, as far as tasks are concerned: what it said when it registered. */
export interface Worker {
  readonly chat: string;
  readonly incarnation: number;
  readonly capabilities: ReadonlySet<string>;
  readonly capacity: number;
  /** Null: it asks for itself. */
  readonly types: ReadonlySet<string> | null;
}

/** Which chats take what, by their registrations. */
export class Workers {
  readonly all = new Map<string, Worker>();
  readonly draining = new Set<string>();
  /** Requests that have made a chat drain. */
  readonly drains = new Set<string>();
  /** By its own word. */
  readonly stuck = new Set<string>();

  keep(): PutBack {
    return all(keepMap(this.all), keepSet(this.draining), keepSet(this.drains), keepSet(this.stuck));
  }

  committed(commit: Commit): void {
    const { request, result } = commit;
    for (const fact of commit.facts) {
      if (fact.kind !== "offline") continue;
      this.draining.delete(fact.chat);
      this.stuck.delete(fact.chat);
    }
    if (request?.name === "chats.drain" && result.ok) this.#drained(request as Request<"chats.drain">);
    readAccepted(this.#on, commit);
  }

  readonly #on: Readers = {
    "chats.heartbeat": ({ self: { chat } }, { status }) => {
      if (status === "stuck") this.stuck.add(chat);
      else this.stuck.delete(chat);
    },
    "chats.register": ({ chat, capabilities, capacity, taskTypes }, { incarnation }) => {
      const types = taskTypes ? new Set(taskTypes) : null;
      this.all.set(chat, { chat, incarnation, capabilities: new Set(capabilities), capacity, types });
    },
  };

  /** A drain that took effect takes none again under its id. */
  #drained({ input: { chat, requestId }, actor }: Request<"chats.drain">): void {
    const id = requestId === undefined ? null : `${actor.machine} ${requestId}`;
    if (id !== null && this.drains.has(id)) return;
    if (id !== null && !this.draining.has(chat)) this.drains.add(id);
    this.draining.add(chat);
  }
}

export function isAble({ capabilities }: Worker, { input }: KnownTask): boolean {
  return input.capabilities.every((one) => capabilities.has(one));
}

/** Whether it is given such tasks as they come. */
export function wants({ types }: Worker, { input }: KnownTask): boolean {
  return types !== null && (types.has("*") || types.has(input.type));
}
