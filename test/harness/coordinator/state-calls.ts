import type { Refusal } from "#src/contract/errors.ts";
import type { Target } from "#src/contract/messages.ts";
import type { InputOf, OutputOf } from "#src/contract/operations.ts";
import type { Json } from "#src/contract/values.ts";
import type { EngineOperation } from "#src/coordination/engine.ts";
import type { Result } from "#src/shared/result.ts";
import { admin, type RuleHost, type RowHost } from "./engine-host.ts";

/** What tests of state and messages ask a host. */

export const minute = 60_000;
export const hour = 3_600_000;
export const day = 86_400_000;

/** What was answered; a refusal fails the test. */
export function given<T>(result: Result<T, { readonly code: string; readonly message: string }>): T {
  if (!result.ok) throw new Error(`refused: ${result.error.code}: ${result.error.message}`);
  return result.value;
}

/** The refusal; an answer fails the test. */
export function refused(result: Result<unknown, Refusal>): Refusal {
  if (result.ok) throw new Error(`not refused: ${JSON.stringify(result.value)}`);
  return result.error;
}

export async function ask<Name extends EngineOperation>(
  host: RuleHost,
  name: Name,
  input: InputOf<Name>,
): Promise<OutputOf<Name>> {
  return given(await host.call(name, input, admin));
}

export async function refusal<Name extends EngineOperation>(
  host: RuleHost,
  name: Name,
  input: InputOf<Name>,
): Promise<Refusal> {
  return refused(await host.call(name, input, admin));
}

/** @returns the version */
export async function set(
  host: RuleHost,
  key: string,
  value: Json,
  more: Omit<InputOf<"state.set">, "key" | "value"> = {},
): Promise<number> {
  return (await ask(host, "state.set", { key, value, ...more })).version;
}

export async function get(host: RuleHost, key: string): Promise<OutputOf<"state.get">["entry"]> {
  return (await ask(host, "state.get", { key })).entry;
}

/** All entries below a prefix, page by page. */
export async function listed(host: RuleHost, prefix = "", limit = 500) {
  const first = await ask(host, "state.list", { prefix, limit });
  const entries = [...first.entries];
  for (let { cursor } = first; cursor !== null;) {
    const page = await ask(host, "state.list", { prefix, limit, cursor });
    entries.push(...page.entries);
    cursor = page.cursor;
  }
  return { entries, revision: first.revision };
}

export type Changes = OutputOf<"state.changes">["changes"];

/** All changes below a prefix after a revision, page by page. */
export async function happened(host: RuleHost, prefix = "", after = 0, limit = 500): Promise<Changes> {
  const changes: Changes = [];
  for (let at = after; ;) {
    const page = await ask(host, "state.changes", { prefix, after: at, limit });
    changes.push(...page.changes);
    if (!page.isMore) return changes;
    at = page.revision;
  }
}

/** The newest revision. */
export async function revision(host: RuleHost): Promise<number> {
  return (await ask(host, "state.list", { limit: 1 })).revision;
}

/** The next full hour, at which housekeeping is done. */
export function waitForFullHour(host: RuleHost): void {
  host.wait(hour - (host.now() % hour));
}

type Sending = Omit<InputOf<"messages.send">, "self" | "target" | "body">;
type Pulling = Omit<InputOf<"messages.pull">, "self">;

/** A chat that sends and reads. */
export class Correspondent {
  readonly host: RuleHost;
  readonly chat: string;
  incarnation = 0;
  process = "boot-1/1/100";

  private constructor(host: RuleHost, chat: string) {
    this.host = host;
    this.chat = chat;
  }

  static async join(host: RuleHost, chat: string): Promise<Correspondent> {
    const one = new Correspondent(host, chat);
    await one.back();
    return one;
  }

  /** Registers, at first or again: a sign of life. */
  async back(): Promise<void> {
    const { chat, process } = this;
    const input = { chat, session: `of-${chat}`, process, machine: "m1", client: "test" };
    this.incarnation = (await ask(this.host, "chats.register", input)).incarnation;
  }

  async leave(): Promise<void> {
    await ask(this.host, "chats.unregister", { self: this.self });
  }

  get self(): { chat: string; incarnation: number } {
    return { chat: this.chat, incarnation: this.incarnation };
  }

  trySend(target: Target, body: Json, more: Sending = {}): Promise<Result<OutputOf<"messages.send">, Refusal>> {
    return this.host.call("messages.send", { self: this.self, target, body, ...more });
  }

  /** @returns the id */
  async send(target: Target, body: Json, more: Sending = {}): Promise<number> {
    return given(await this.trySend(target, body, more)).id;
  }

  /** 0, 1, 2 ... to all, many on their way at a time. @returns the ids */
  async sendMany(count: number, more: Sending = {}): Promise<number[]> {
    const ids: number[] = [];
    while (ids.length < count) {
      const part = Array.from({ length: Math.min(100, count - ids.length) }, (_, at) => ids.length + at);
      ids.push(...(await Promise.all(part.map((body) => this.send(toAll, body, more)))));
    }
    return ids;
  }

  pull(more: Pulling = {}): Promise<OutputOf<"messages.pull">> {
    return ask(this.host, "messages.pull", { self: this.self, limit: 100, ...more });
  }

  async bodies(more: Pulling = {}): Promise<Json[]> {
    return (await this.pull(more)).messages.map(({ body }) => body);
  }

  ack(what: Omit<InputOf<"messages.ack">, "self">): Promise<OutputOf<"messages.ack">> {
    return ask(this.host, "messages.ack", { self: this.self, ...what });
  }

  async subscribe(pattern: string): Promise<string[]> {
    return (await ask(this.host, "messages.subscribe", { self: this.self, pattern })).patterns;
  }

  async unsubscribe(pattern: string): Promise<string[]> {
    return (await ask(this.host, "messages.unsubscribe", { self: this.self, pattern })).patterns;
  }
}

export const toAll = { to: "all" } as const;

export function toChat({ chat }: { chat: string }): Target {
  return { to: "chat", chat };
}

export function toTopic(topic: string): Target {
  return { to: "topic", topic };
}

/** Lets time pass, after which these chats register again. */
export async function later(host: RuleHost, ms: number, ...chats: Correspondent[]): Promise<void> {
  host.wait(ms);
  for (const chat of chats) await chat.back();
}

/** Chats of these names. */
export async function some(host: RuleHost, ...names: string[]): Promise<Correspondent[]> {
  const chats: Correspondent[] = [];
  for (const name of names) chats.push(await Correspondent.join(host, name));
  return chats;
}

/** Rows that a piece of work inserts, updates or deletes. */
export async function rowsWritten(host: RowHost, work: () => Promise<unknown>): Promise<number> {
  const before = await host.rowsWritten();
  await work();
  return (await host.rowsWritten()) - before;
}
