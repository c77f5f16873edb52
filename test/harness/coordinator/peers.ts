import type { Failure } from "#src/contract/errors.ts";
import type { InputOf, OutputOf } from "#src/contract/operations.ts";
import type { Self, Json } from "#src/contract/values.ts";
import type { Actor } from "#src/coordination/kernel/tx.ts";
import type { Result } from "#src/shared/result.ts";
import { admin, type Answered, type RuleHost } from "./engine-host.ts";
import type { Target } from "#src/contract/messages.ts";
import type { EngineOperation } from "#src/coordination/engine.ts";

export function codeOf(result: Result<unknown, { readonly code: string }>): string {
  return result.ok ? "ok" : result.error.code;
}

type Registration = Partial<InputOf<"chats.register">>;
type AcquireOptions = Partial<Omit<InputOf<"leases.acquire">, "self" | "resource">>;
type Candidacy = Partial<Omit<InputOf<"elections.campaign">, "self" | "name">>;
type Lease = OutputOf<"leases.renew">;

export type NewTask = InputOf<"tasks.submit">["tasks"][number];
export type Claimed = OutputOf<"tasks.claim">["claims"][number];
type Claiming = Partial<Omit<InputOf<"tasks.claim">, "self">>;
type Hold = Pick<Claimed, "task" | "claim">;
type HoldOperation = Extract<EngineOperation, `tasks.${"heartbeat" | "ack" | "nack" | "release"}`>;
type More<Name extends HoldOperation> = Omit<InputOf<Name>, "self" | "task" | "claim">;

type Sending = Omit<InputOf<"messages.send">, "self" | "target" | "body">;
type Pulling = Omit<InputOf<"messages.pull">, "self">;

export class Peer {
  readonly host: RuleHost;
  readonly registration: InputOf<"chats.register">;
  incarnation = 0;
  #requests = 0;

  constructor(host: RuleHost, chat: string, more: Registration = {}) {
    this.host = host;
    const process = `boot:${chat}:1`;
    this.registration = { chat, session: `of-${chat}`, process, machine: "m1", client: "test", ...more };
  }

  static async join(host: RuleHost, chat: string, more: Registration = {}): Promise<Peer> {
    const peer = new Peer(host, chat, more);
    await peer.back();
    return peer;
  }

  get chat(): string {
    return this.registration.chat;
  }

  get self(): Self {
    return { chat: this.chat, incarnation: this.incarnation };
  }

  get actor(): Actor {
    return { machine: this.registration.machine, isAdmin: false };
  }

  async tryBack(): Promise<Answered<"chats.register">> {
    const result = await this.host.call("chats.register", this.registration, this.actor);
    if (result.ok) this.incarnation = result.value.incarnation;
    return result;
  }

  async back(): Promise<OutputOf<"chats.register">> {
    return given(await this.tryBack());
  }

  tryBeat(news: Omit<InputOf<"chats.heartbeat">, "self"> = {}): Promise<Answered<"chats.heartbeat">> {
    return this.host.call("chats.heartbeat", { self: this.self, ...news }, this.actor);
  }

  async beat(news: Omit<InputOf<"chats.heartbeat">, "self"> = {}): Promise<OutputOf<"chats.heartbeat">> {
    return given(await this.tryBeat(news));
  }

  async leave(): Promise<number> {
    return given(await this.host.call("chats.unregister", { self: this.self }, this.actor)).released;
  }

  acquire(resource: string, request: AcquireOptions = {}): Promise<Answered<"leases.acquire">> {
    return this.host.call("leases.acquire", { self: this.self, resource, requestId: "r1", ...request }, this.actor);
  }

  async hold(resource: string, request: AcquireOptions = {}): Promise<Lease> {
    const answer = given(await this.acquire(resource, request));
    if (answer.state !== "granted") throw new Error(`${this.chat} stands in line for ${resource}`);
    return answer.lease;
  }

  async queue(resource: string, request: AcquireOptions = {}): Promise<number> {
    const answer = given(await this.acquire(resource, { waitMs: 600_000, ...request }));
    if (answer.state !== "waiting") throw new Error(`${this.chat} got ${resource} at once`);
    return answer.position;
  }

  renew({ resource, token }: Pick<Lease, "resource" | "token">, ttlMs?: number): Promise<Result<Lease>> {
    const input = { self: this.self, resource, token, ...(ttlMs === undefined ? {} : { ttlMs }) };
    return this.host.call("leases.renew", input, this.actor);
  }

  async release({ resource, token }: Pick<Lease, "resource" | "token">): Promise<boolean> {
    return given(await this.host.call("leases.release", { self: this.self, resource, token }, this.actor)).isReleased;
  }

  async cancel(resource: string, requestId = "r1"): Promise<boolean> {
    const input = { self: this.self, resource, requestId };
    return given(await this.host.call("leases.cancel-wait", input, this.actor)).isCancelled;
  }

  async campaign(name: string, candidacy: Candidacy = {}): Promise<OutputOf<"elections.campaign">> {
    const input = { self: this.self, name, requestId: "r1", ...candidacy };
    return given(await this.host.call("elections.campaign", input, this.actor));
  }

  async resign(name: string, term: number): Promise<boolean> {
    return given(await this.host.call("elections.resign", { self: this.self, name, term }, this.actor)).hasResigned;
  }

  trySend(target: Target, body: Json, more: Sending = {}): Promise<Answered<"messages.send">> {
    return this.host.call("messages.send", { self: this.self, target, body, ...more });
  }

  async send(target: Target, body: Json, more: Sending = {}): Promise<number> {
    return given(await this.trySend(target, body, more)).id;
  }

  /** 0, 1, 2 ... to all, many on their way at a time. @returns the ids */
  async sendMany(count: number): Promise<number[]> {
    const ids: number[] = [];
    while (ids.length < count) {
      const part = Array.from({ length: Math.min(100, count - ids.length) }, (_, at) => ids.length + at);
      ids.push(...(await Promise.all(part.map((body) => this.send(toAll, body)))));
    }
    return ids;
  }

  pull(more: Pulling = {}): Promise<OutputOf<"messages.pull">> {
    return ask(this.host, "messages.pull", { self: this.self, limit: 100, ...more });
  }

  async bodies(): Promise<Json[]> {
    return (await this.pull()).messages.map(({ body }) => body);
  }

  acknowledge(what: Omit<InputOf<"messages.ack">, "self">): Promise<OutputOf<"messages.ack">> {
    return ask(this.host, "messages.ack", { self: this.self, ...what });
  }

  async subscribe(pattern: string): Promise<string[]> {
    return (await ask(this.host, "messages.subscribe", { self: this.self, pattern })).patterns;
  }

  async unsubscribe(pattern: string): Promise<string[]> {
    return (await ask(this.host, "messages.unsubscribe", { self: this.self, pattern })).patterns;
  }

  tryClaim(request: Claiming = {}): Promise<Answered<"tasks.claim">> {
    const requestId = `claim-${(this.#requests += 1)}`;
    return this.host.call("tasks.claim", { self: this.self, requestId, ...request }, this.actor);
  }

  async claim(request: Claiming = {}): Promise<Claimed[]> {
    return given(await this.tryClaim(request)).claims;
  }

  async take(request: Claiming = {}): Promise<Claimed> {
    const [one] = await this.claim(request);
    if (!one) throw new Error(`there is nothing for ${this.chat}`);
    return one;
  }

  try<Name extends HoldOperation>(name: Name, { task, claim }: Hold, more: More<Name>): Promise<Answered<Name>> {
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

export async function crew(host: RuleHost) {
  await calm(() => Promise.resolve(host));
  const join = (chat: string): Promise<Peer> => Peer.join(host, chat);
  return { a: await join("a"), b: await join("b"), c: await join("c"), d: await join("d") };
}

/** Another process that wants to work as the same chat on the same session. */
export function successorOf(peer: Peer, more: Registration = {}): Peer {
  return new Peer(peer.host, peer.chat, { ...peer.registration, process: `boot:${peer.chat}:2`, ...more });
}

export function force(host: RuleHost, resource: string) {
  return host.call("leases.force-release", { resource, reason: "asked by ana" }, admin);
}

const names = ["a", "b", "b.", "b0", "ü"] as const;
const folders = (depth: number): string[] =>
  depth === 0 ? ["p"] : folders(depth - 1).flatMap((folder) => names.map((name) => `${folder}/${name}`));
/** Of two projects; one below the other in spelling only. */
const files = [1, 2, 3, 4].flatMap((depth) => folders(depth)).flatMap((path) => [path, path.replace(/^p/, "p0")]);

/** All files of a small world that a resource stands for; what is no path stands for itself. */
function filesOf(resource: string): ReadonlySet<string> {
  if (!resource.startsWith("file:")) return new Set([`not a file: ${resource}`]);
  const parts = resource.slice(5).split("/");
  const last = parts.at(-1);
  if (last !== "*" && last !== "**") return new Set([parts.join("/")]);
  const folder = parts.slice(0, -1);
  const isBelow = (file: string[]): boolean =>
    file.length > folder.length && folder.every((part, at) => file[at] === part);
  const fits = (file: string[]): boolean => isBelow(file) && (last === "**" || file.length === folder.length + 1);
  return new Set(files.filter((file) => fits(file.split("/"))));
}

const sets = new Map<string, ReadonlySet<string>>();

function known(resource: string): ReadonlySet<string> {
  const set = sets.get(resource) ?? filesOf(resource);
  sets.set(resource, set);
  return set;
}

export const meet = (one: string, other: string): boolean => [...known(one)].some((file) => known(other).has(file));

export function isWithin(one: string, other: string): boolean {
  return [...known(one)].every((file) => known(other).has(file));
}

/** Paths and patterns of that world, not deeper than that each folder has files below it and each of them, too. */
export const resources: readonly string[] = [0, 1, 2]
  .flatMap((depth) => folders(depth))
  .flatMap((folder) => (folder === "p" ? ["p/*", "p/**"] : [folder, `${folder}/*`, `${folder}/**`]))
  .flatMap((path) => [`file:${path}`, `file:${path.replace(/^p/, "p0")}`]);

/** A workspace in which chats live long without a word. */
export async function calm<Host extends RuleHost>(open: () => Promise<Host>): Promise<Host> {
  const host = await open();
  await ask(host, "settings.set", { settings: { chatTtlMs: 600_000 } });
  return host;
}

export function given<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(`refused: ${JSON.stringify(result.error)}`);
  return result.value;
}

export function refused(result: Result<unknown>): Failure {
  if (result.ok) throw new Error(`not refused: ${JSON.stringify(result.value)}`);
  return result.error;
}

export async function ask<N extends EngineOperation>(host: RuleHost, name: N, input: InputOf<N>): Promise<OutputOf<N>> {
  return given(await host.call(name, input, admin));
}

export async function refusal<N extends EngineOperation>(host: RuleHost, name: N, input: InputOf<N>): Promise<Failure> {
  return refused(await host.call(name, input, admin));
}

type Setting = Omit<InputOf<"state.set">, "key" | "value">;

export async function set(host: RuleHost, key: string, value: Json, more: Setting = {}): Promise<number> {
  return (await ask(host, "state.set", { key, value, ...more })).version;
}

export const toAll = { to: "all" } as const;

export const toChat = ({ chat }: { chat: string }): Target => ({ to: "chat", chat });
export const toTopic = (topic: string): Target => ({ to: "topic", topic });
