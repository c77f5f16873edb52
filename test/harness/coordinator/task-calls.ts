import type { Refusal } from "#src/contract/errors.ts";
import type { InputOf, OutputOf } from "#src/contract/operations.ts";
import type { Json } from "#src/contract/values.ts";
import type { EngineOperation } from "#src/coordination/engine.ts";
import type { Result } from "#src/shared/result.ts";
import { Peer } from "./peers.ts";
import { admin, type RuleHost } from "./engine-host.ts";
import { ask, given } from "./state-calls.ts";

/** Tasks and the chats that work on them, as tests use them. */

export type NewTask = InputOf<"tasks.submit">["tasks"][number];
export type Claimed = OutputOf<"tasks.claim">["claims"][number];
type Claiming = Partial<Omit<InputOf<"tasks.claim">, "self">>;
type Hold = Pick<Claimed, "task" | "claim">;
type HoldOperation = Extract<EngineOperation, `tasks.${"heartbeat" | "ack" | "nack" | "release"}`>;
type More<Name extends HoldOperation> = Omit<InputOf<Name>, "self" | "task" | "claim">;

/** A chat that works on tasks. */
export class Hand extends Peer {
  #requests = 0;

  /** A registered one that nothing is expected of for a day. */
  static override async join(
    host: RuleHost,
    chat: string,
    more: Partial<InputOf<"chats.register">> = {},
  ): Promise<Hand> {
    const hand = new Hand(host, chat, more);
    await hand.back();
    return hand;
  }

  tryClaim(request: Claiming = {}): Promise<Result<OutputOf<"tasks.claim">, Refusal>> {
    const requestId = `claim-${(this.#requests += 1)}`;
    return this.host.call("tasks.claim", { self: this.self, requestId, ...request }, this.actor);
  }

  async claim(request: Claiming = {}): Promise<Claimed[]> {
    return given(await this.tryClaim(request)).claims;
  }

  /** Exactly one. */
  async take(request: Claiming = {}): Promise<Claimed> {
    const [one] = await this.claim(request);
    if (!one) throw new Error(`there is nothing for ${this.chat}`);
    return one;
  }

  try<Name extends HoldOperation>(
    name: Name,
    { task, claim }: Hold,
    more: More<Name>,
  ): Promise<Result<OutputOf<Name>, Refusal>> {
    return this.host.call(name, { self: this.self, task, claim, ...more } as InputOf<Name>, this.actor);
  }

  async do<Name extends HoldOperation>(name: Name, held: Hold, more: More<Name>): Promise<OutputOf<Name>> {
    return given(await this.try(name, held, more));
  }

  async ack(held: Hold, result: Json = null): Promise<string> {
    return (await this.do("tasks.ack", held, { result })).state;
  }

  async nack(held: Hold, more: Partial<More<"tasks.nack">> = {}): Promise<string> {
    return (await this.do("tasks.nack", held, { reason: "broken", ...more })).state;
  }
}

/** A workspace in which chats live long without a word. */
export async function calm<Host extends RuleHost>(open: () => Promise<Host>): Promise<Host> {
  const host = await open();
  await ask(host, "settings.set", { settings: { chatTtlMs: 600_000 } });
  return host;
}

/** @returns their numbers */
export async function submit<Tasks extends NewTask[]>(
  host: RuleHost,
  ...tasks: Tasks
): Promise<{ [At in keyof Tasks]: number }> {
  const submitted = await ask(host, "tasks.submit", { tasks });
  return submitted.tasks.map(({ task }) => task) as { [At in keyof Tasks]: number };
}

export async function submitOne(host: RuleHost, task: Partial<NewTask> = {}): Promise<number> {
  const [number] = await submit(host, { type: "build", ...task });
  return number;
}

export function taskOf(host: RuleHost, task: number): Promise<OutputOf<"tasks.get">> {
  return ask(host, "tasks.get", { task });
}

/** The state, with the reason of a death. */
export async function stateOf(host: RuleHost, task: number): Promise<string> {
  const { state, reason } = await taskOf(host, task);
  return reason === null ? state : `${state} ${reason}`;
}

export async function statesOf(host: RuleHost, tasks: readonly number[]): Promise<string[]> {
  const states: string[] = [];
  for (const task of tasks) states.push(await stateOf(host, task));
  return states;
}

/** How the attempts ended, the first one first. */
export async function endsOf(host: RuleHost, task: number): Promise<string[]> {
  const { attempts } = await ask(host, "tasks.history", { task, limit: 100 });
  return attempts.map(({ end }) => end).toReversed();
}

export async function cancel(host: RuleHost, task: number, reason = "not wanted"): Promise<string> {
  return given(await host.call("tasks.cancel", { task, reason }, admin)).state;
}
