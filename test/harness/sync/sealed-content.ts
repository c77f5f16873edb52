import type { Refusal } from "#src/contract/errors.ts";
import type { InputOf, OutputOf } from "#src/contract/operations.ts";
import type { Actor } from "#src/coordination/kernel/tx.ts";
import type { Result } from "#src/shared/result.ts";
import { m1, type EngineHost } from "#harness/coordinator/engine-host.ts";
import { given, refused } from "#harness/coordinator/state-calls.ts";

/** What tests of the sync ask a host. */

export const m2: Actor = { machine: "m2", isAdmin: false };
export const key = "0123456789abcdef";
export const otherKey = "fedcba9876543210";

type Op = InputOf<"sync.push">["ops"][number];
/** Without what the device gives it. */
export type Content = Omit<Op, "seq" | "hash" | "ageMs"> & { readonly ageMs?: number };

export function session(id: string, envelope = `of-${id}`, more: Partial<Content> = {}): Content {
  return { kind: "session", session: id, envelope, ...more };
}

export function checkpoint(id: string, of: string, envelope = `of-${id}`, more: Partial<Content> = {}): Content {
  return { kind: "checkpoint", session: of, checkpoint: id, envelope, ...more };
}

export function forget(of: string, id?: string): Content {
  return { kind: "forget", session: of, ...(id === undefined ? {} : { checkpoint: id }) };
}

/** Of the same op always the same one; what it is made of stands at its begin. */
function hashOf(text: string): string {
  let sum = 7;
  for (let at = 0; at < text.length; at++) sum = (Math.imul(sum, 31) + text.charCodeAt(at)) >>> 0;
  return sum.toString(16).padStart(8, "0").repeat(8);
}

/** A home that stores what it has, in an epoch of its own. */
export class Device {
  readonly host: EngineHost;
  readonly device: string;
  readonly actor: Actor;
  epoch = 0;
  /** Ops that were made. */
  made = 0;

  constructor(host: EngineHost, device: string, actor: Actor = m1) {
    this.host = host;
    this.device = device;
    this.actor = actor;
  }

  static async begun(host: EngineHost, device = "d1", actor: Actor = m1): Promise<Device> {
    const one = new Device(host, device, actor);
    await one.begin();
    return one;
  }

  /** Another home with the same device in the same epoch. */
  copy(): Device {
    const other = new Device(this.host, this.device, this.actor);
    other.epoch = this.epoch;
    other.made = this.made;
    return other;
  }

  tryBegin(keyId = key, requestId?: string): Promise<Result<OutputOf<"sync.begin">, Refusal>> {
    const input = { device: this.device, keyId, ...(requestId === undefined ? {} : { requestId }) };
    return this.host.call("sync.begin", input, this.actor);
  }

  async begin(keyId = key): Promise<number> {
    this.epoch = given(await this.tryBegin(keyId)).epoch;
    this.made = 0;
    return this.epoch;
  }

  /** The next ops of this device; its home has them before they are sent. */
  make(...contents: readonly Content[]): Op[] {
    return contents.map((content) => this.#made(content));
  }

  #made({ ageMs = 0, ...content }: Content): Op {
    const seq = (this.made += 1);
    return { ...content, seq, ageMs, hash: hashOf(JSON.stringify({ ...content, seq })) };
  }

  trySend(ops: Op[]): Promise<Result<OutputOf<"sync.push">, Refusal>> {
    return this.host.call("sync.push", { device: this.device, epoch: this.epoch, ops }, this.actor);
  }

  async send(ops: Op[]): Promise<OutputOf<"sync.push">> {
    return given(await this.trySend(ops));
  }

  push(...contents: readonly Content[]): Promise<OutputOf<"sync.push">> {
    return this.send(this.make(...contents));
  }

  async refusal(...contents: readonly Content[]): Promise<Refusal> {
    return refused(await this.trySend(this.make(...contents)));
  }
}

type Listed = OutputOf<"sync.list">;

export async function list(host: EngineHost, input: InputOf<"sync.list"> = {}): Promise<Listed> {
  return given(await host.call("sync.list", input));
}

/** Envelopes of sessions, in the order of their last changes. */
export async function envelopes(host: EngineHost, input: InputOf<"sync.list"> = {}): Promise<string[]> {
  return (await list(host, input)).sessions.map(({ envelope }) => envelope);
}

/** Ids of the checkpoints of a session, newest first. */
export async function checkpointsOf(host: EngineHost, of: string, device?: string): Promise<string[]> {
  const input = { session: of, ...(device === undefined ? {} : { device }) };
  return given(await host.call("sync.checkpoints", input)).checkpoints.map(({ checkpoint: id }) => id);
}

export async function opened(host: EngineHost, id: string, device?: string): Promise<string | null> {
  const found = await host.call("sync.checkpoint", { checkpoint: id, ...(device === undefined ? {} : { device }) });
  return found.ok ? found.value.envelope : null;
}

export async function status(host: EngineHost): Promise<OutputOf<"sync.status">> {
  return given(await host.call("sync.status", {}));
}
