import type { InputOf } from "#src/contract/operations.ts";
import * as dispatch from "#src/coordination/scheduling/dispatch.ts";
import { ok } from "#src/shared/result.ts";
import type { LocalHost } from "./local-host.ts";
import { Hand } from "./task-calls.ts";

/** Tasks that are given out, and chats that they are given to. */

type MakeTaker = (host: LocalHost, chat: string, more?: Partial<InputOf<"chats.register">>) => Promise<Hand>;

/** Makes chats with a connection that take tasks as they come, so many at a time. */
export function takersOf(capacity: number): MakeTaker {
  return async (host, chat, more = {}) => {
    const hand = await Hand.join(host, chat, { taskTypes: ["*"], capacity, ...more });
    await host.connect(chat);
    return hand;
  };
}

/** What the consumer of the queue does with a token. @returns how many tasks were given */
export function look(host: LocalHost): number {
  return host.commit((tx) => ok(dispatch.assignQueued(tx))).value;
}

/** How often a token was asked for since it was last asked. */
export function tokens(host: LocalHost): number {
  const count = host.hints.filter(({ kind }) => kind === "dispatch").length;
  host.hints.length = 0;
  return count;
}
