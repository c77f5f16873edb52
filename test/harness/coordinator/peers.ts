import type { Refusal } from "#src/contract/errors.ts";
import type { Change } from "#src/contract/state.ts";
import type { InputOf, OutputOf } from "#src/contract/operations.ts";
import type { Self } from "#src/contract/values.ts";
import type { Actor } from "#src/coordination/kernel/tx.ts";
import type { Result } from "#src/shared/result.ts";
import { admin, type RuleHost } from "./engine-host.ts";
import { given } from "./state-calls.ts";

/** Chats, their leases and their elections, as tests use them. */

export const second = 1_000;

/** The code of the refusal; "ok" when it was not refused. */
export function codeOf(result: Result<unknown, Refusal>): string {
  return result.ok ? "ok" : result.error.code;
}

type Registration = Partial<InputOf<"chats.register">>;
type AcquireOptions = Partial<Omit<InputOf<"leases.acquire">, "self" | "resource">>;
type Candidacy = Partial<Omit<InputOf<"elections.campaign">, "self" | "name">>;
export type Lease = OutputOf<"leases.renew">;

/** One process that works as a chat. */
export class Peer {
  readonly host: RuleHost;
  readonly registration: InputOf<"chats.register">;
  incarnation = 0;

  constructor(host: RuleHost, chat: string, more: Registration = {}) {
    this.host = host;
    const process = `boot:${chat}:1`;
    this.registration = { chat, session: `of-${chat}`, process, machine: "m1", client: "test", ...more };
  }

  /** A registered one. */
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

  /** The token of its machine. */
  get actor(): Actor {
    return { machine: this.registration.machine, isAdmin: false };
  }

  async tryBack(): Promise<Result<OutputOf<"chats.register">, Refusal>> {
    const result = await this.host.call("chats.register", this.registration, this.actor);
    if (result.ok) this.incarnation = result.value.incarnation;
    return result;
  }

  /** Registers, at first or again. */
  async back(): Promise<OutputOf<"chats.register">> {
    return given(await this.tryBack());
  }

  tryBeat(news: Omit<InputOf<"chats.heartbeat">, "self"> = {}): Promise<Result<OutputOf<"chats.heartbeat">, Refusal>> {
    return this.host.call("chats.heartbeat", { self: this.self, ...news }, this.actor);
  }

  async beat(news: Omit<InputOf<"chats.heartbeat">, "self"> = {}): Promise<OutputOf<"chats.heartbeat">> {
    return given(await this.tryBeat(news));
  }

  /** @returns how many leases were freed */
  async leave(): Promise<number> {
    return given(await this.host.call("chats.unregister", { self: this.self }, this.actor)).released;
  }

  acquire(resource: string, request: AcquireOptions = {}): Promise<Result<OutputOf<"leases.acquire">, Refusal>> {
    return this.host.call("leases.acquire", { self: this.self, resource, requestId: "r1", ...request }, this.actor);
  }

  /** Acquires; anything but a grant fails the test. */
  async hold(resource: string, request: AcquireOptions = {}): Promise<Lease> {
    const answer = given(await this.acquire(resource, request));
    if (answer.state !== "granted") throw new Error(`${this.chat} stands in line for ${resource}`);
    return answer.lease;
  }

  /** Stands in line; anything else fails the test. @returns the position */
  async queue(resource: string, request: AcquireOptions = {}): Promise<number> {
    const answer = given(await this.acquire(resource, { waitMs: 600 * second, ...request }));
    if (answer.state !== "waiting") throw new Error(`${this.chat} got ${resource} at once`);
    return answer.position;
  }

  renew({ resource, token }: Pick<Lease, "resource" | "token">, ttlMs?: number): Promise<Result<Lease, Refusal>> {
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
}

type Crew = Readonly<Record<"a" | "b" | "c" | "d", Peer>>;

/** Four chats that live as long as the test. */
export async function crew(host: RuleHost): Promise<Crew> {
  given(await host.call("settings.set", { settings: { chatTtlMs: 600_000 } }, admin));
  const join = (chat: string): Promise<Peer> => Peer.join(host, chat);
  return { a: await join("a"), b: await join("b"), c: await join("c"), d: await join("d") };
}

export async function twoPeers(host: RuleHost): Promise<[Peer, Peer]> {
  return [await Peer.join(host, "a"), await Peer.join(host, "b")];
}

/** Another process that wants to work as the same chat on the same session. */
export function successorOf(peer: Peer, more: Registration = {}): Peer {
  return new Peer(peer.host, peer.chat, { ...peer.registration, process: `boot:${peer.chat}:2`, ...more });
}

export async function look(host: RuleHost, chat: string): Promise<OutputOf<"chats.get">> {
  return given(await host.call("chats.get", { chat }));
}

/** How a chat is told to be, with the reason of an end. */
export async function statusOf(host: RuleHost, chat: string): Promise<string> {
  const { status, reason } = await look(host, chat);
  return status === "offline" ? `${status} ${reason}` : status;
}

/** An admin takes a lease away. */
export function force(host: RuleHost, resource: string, reason = "asked by ana") {
  return host.call("leases.force-release", { resource, reason }, admin);
}

/** Who holds what, by name. */
export async function holders(host: RuleHost, prefix = ""): Promise<Record<string, string>> {
  const { leases } = given(await host.call("leases.list", { prefix, limit: 200 }));
  return Object.fromEntries(leases.map(({ resource, holder }) => [resource, holder]));
}

export async function check(host: RuleHost, resource: string, token: number): Promise<OutputOf<"leases.check">> {
  return given(await host.call("leases.check", { resource, token }));
}

export async function leaderOf(host: RuleHost, name: string): Promise<OutputOf<"elections.observe">["leader"]> {
  return given(await host.call("elections.observe", { name })).leader;
}

/** What was told to the watches of a prefix, oldest first. */
export async function toldBelow(host: RuleHost, prefix: string): Promise<Pick<Change, "key" | "op" | "value">[]> {
  const { changes } = given(await host.call("state.changes", { prefix, after: 0, limit: 500 }));
  return changes.map(({ key, op, value }) => ({ key, op, value }));
}

export async function auditOf(host: RuleHost, kind: string): Promise<OutputOf<"audit.list">["entries"]> {
  return given(await host.call("audit.list", { kind }, admin)).entries;
}

/** Time passes, and the alarm rings whenever it was set to. */
export async function pass(host: RuleHost, ms: number): Promise<void> {
  const end = host.now() + ms;
  for (;;) {
    const next = await host.ring();
    if (next === null || next > end) break;
    host.wait(next - host.now());
  }
  host.wait(end - host.now());
}
