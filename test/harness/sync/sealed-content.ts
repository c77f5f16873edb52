import type { Failure } from "#src/contract/errors.ts";
import type { InputOf, OutputOf } from "#src/contract/operations.ts";
import type { PutResult } from "#src/contract/sync.ts";
import type { Actor } from "#src/coordination/kernel/tx.ts";
import type { Result } from "#src/shared/result.ts";
import { m1, type RuleHost } from "#harness/coordinator/engine-host.ts";
import { given, refused } from "#harness/coordinator/peers.ts";

export const m2: Actor = { machine: "m2", isAdmin: false };
export const key = "0123456789abcdef";
export const otherKey = "fedcba9876543210";

type Put = InputOf<"sync.put">;
type Sealed = NonNullable<Put["records"]>[number];
type Forgotten = NonNullable<Put["forgotten"]>[number];
type Of<Kind extends Sealed["kind"]> = Extract<Sealed, { readonly kind: Kind }>;
export type Content = Sealed | Forgotten;

export function session(id: string, envelope = `of-${id}`, more: Partial<Of<"session">> = {}): Of<"session"> {
  return { kind: "session", session: id, envelope, ageMs: 0, replaces: 0, ...more };
}

export function forget(of: string, id?: string): Forgotten {
  return { session: of, ...(id === undefined ? {} : { checkpoint: id }) };
}

export function part(bundle: string, number: number, more: Partial<Of<"part">> = {}): Of<"part"> {
  const envelope = `${bundle}-${number}`;
  return { kind: "part", session: "s1", checkpoint: "k1", bundle, part: number, ageMs: 0, envelope, ...more };
}

export function files(bundle: string, more: Partial<Of<"files">> = {}): Of<"files"> {
  return { kind: "files", session: "s1", checkpoint: "k1", bundle, ageMs: 0, envelope: `${bundle}-header`, ...more };
}

export function filesOf(id: string, of: string, envelope = `of-${id}`, more: Partial<Of<"files">> = {}): Of<"files"> {
  return files(id, { session: of, checkpoint: id, envelope, ...more });
}

/** A home, which knows the versions that it has stored. */
export class Device {
  readonly host: RuleHost;
  readonly device: string;
  readonly actor: Actor;
  keyId = key;
  readonly versions = new Map<string, number>();

  constructor(host: RuleHost, device = "d1", actor: Actor = m1) {
    this.host = host;
    this.device = device;
    this.actor = actor;
  }

  /** Another home with the same device, as it is now. */
  copy(): Device {
    const copy = new Device(this.host, this.device, this.actor);
    for (const [session, version] of this.versions) copy.versions.set(session, version);
    return copy;
  }

  async tryPut(...contents: readonly Content[]): Promise<Result<OutputOf<"sync.put">>> {
    const versionOf = ({ session }: Sealed): number => this.versions.get(session) ?? 0;
    const records = contents
      .filter((one): one is Sealed => "kind" in one)
      .map((one) => (one.kind === "session" ? Object.assign({}, one, { replaces: versionOf(one) }) : one));
    const forgotten = contents.filter((one): one is Forgotten => !("kind" in one));
    const { device, keyId } = this;
    const put = await this.host.call("sync.put", { device, keyId, records, forgotten }, this.actor);
    if (!put.ok) return put;
    for (const [at, one] of records.entries()) {
      const result = put.value.results[at];
      if (one.kind === "session" && result) this.versions.set(one.session, result.version);
    }
    return put;
  }

  async put(...contents: readonly Content[]): Promise<PutResult["outcome"][]> {
    return given(await this.tryPut(...contents)).results.map(({ outcome }) => outcome);
  }

  async refusal(...contents: readonly Content[]): Promise<Failure> {
    return refused(await this.tryPut(...contents));
  }
}
