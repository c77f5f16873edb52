import { type Entry, type Guard, sessionTtlMs, type Write } from "#src/contract/state.ts";
import type { CheckedInputOf, OutputOf } from "#src/contract/operations.ts";
import type { ChangeFact } from "../host/facts.ts";
import { type Commit, readAccepted, type Readers } from "../host/sim-host.ts";
import type { Sim } from "../sim.ts";
import { Answered } from "./answered.ts";
import { all, keepMap, type PutBack } from "./keep.ts";
import type { LeaseLedger } from "./lease-ledger.ts";

interface Value {
  /** JSON text. */
  readonly value: string;
  readonly version: number;
  readonly expiresAt: number | null;
}

interface Wanted {
  readonly operation: string;
  readonly writes: readonly Write[];
  readonly guards: readonly Guard[];
  readonly by: string | undefined;
  readonly requestId: string | undefined;
}

/** What every key must hold, worked out from what was accepted, in the order in which it was. */
export class StateModel {
  readonly keys = new Map<string, Value>();
  /** How often each counter was raised: told apart from its value. */
  readonly raised = new Map<string, number>();
  readonly #sim: Sim;
  readonly #ledger: LeaseLedger;
  /** Requests that were accepted. */
  readonly #known: Answered<true>;

  constructor(sim: Sim, ledger: LeaseLedger) {
    this.#sim = sim;
    this.#known = new Answered(sim);
    this.#ledger = ledger;
  }

  committed(commit: Commit): void {
    const { request, result, facts } = commit;
    const changes = facts.flatMap((fact) =>
      fact.kind === "changed" && !fact.change.key.startsWith("$") ? [fact.change] : [],
    );
    const wanted = request && wantedBy(request.name, request.input);
    if (wanted) this.#wrote(wanted, result.ok ? null : result.error.code, changes);
    else for (const change of changes) this.#expired(change);
    readAccepted(this.#on, commit);
  }

  keep(): PutBack {
    return all(keepMap(this.keys), keepMap(this.raised), this.#known.keep());
  }

  live(key: string): Value | null {
    const found = this.keys.get(key);
    return found && (found.expiresAt === null || found.expiresAt > this.#sim.hostNow) ? found : null;
  }

  /** Its time is over, and nothing was told of it yet. */
  isOver(key: string): boolean {
    return this.keys.has(key) && this.live(key) === null;
  }

  #wrote(wanted: Wanted, refused: string | null, changes: readonly ChangeFact[]): void {
    const id = idOf(wanted);
    if (this.#known.get(id)) {
      this.#sim.count("write repeated");
      const isOnce = changes.length === 0 && refused === null;
      return this.#sim.must(isOnce, "requests", () => `${id} was done twice (${refused ?? "accepted"})`);
    }
    if (refused !== null) return this.#refused(wanted, refused);
    // What has changed nothing is not remembered.
    if (changes.length > 0) this.#known.add(id, true);
    this.#accepted(wanted, changes);
  }

  #accepted({ operation, writes, guards }: Wanted, changes: readonly ChangeFact[]): void {
    const sim: Sim = this.#sim;
    for (const { resource, token } of guards) {
      const why = this.#ledger.whyStale(resource, token);
      sim.must(why === null, "guard", () => `a write for ${resource} with token ${token} was accepted: ${why}`);
      sim.count("guarded write accepted");
    }
    for (const write of writes) {
      const { key, ifVersion } = write;
      const isMet = !this.#misses(write);
      sim.must(isMet, "compare-and-set", () => `${operation} of ${key} took ${ifVersion}, not ${this.#version(key)}`);
    }
    // What is over, and not yet swept, is deleted by its own time.
    const expected = writes.filter(({ op, key }) => op === "set" || (op === "delete" && this.live(key) !== null));
    const [want, got] = [expected.length, changes.length];
    sim.must(want === got, "state", () => `${operation} of ${want} keys made ${got} changes`);
    for (const [place, write] of expected.entries()) {
      this.#change(write, changes[place] as ChangeFact, changes[0]?.grp);
    }
  }

  #refused({ writes, guards }: Wanted, code: string): void {
    this.#sim.count(`write refused: ${code}`);
    if (code === "version_mismatch" && !writes.some((write) => this.#misses(write))) {
      this.#sim.fail("compare-and-set", `a write of ${writes[0]?.key} was refused, though its version is right`);
    }
    if (code !== "stale_token") return;
    const isGood = guards.every(({ resource, token }) => {
      const lease = [...this.#ledger.leases.values()].find((one) => one.token === token);
      return !this.#ledger.whyStale(resource, token) && lease?.isBound === 0 && lease.expiresAt > this.#sim.hostNow;
    });
    if (isGood) this.#sim.fail("guard", `a guarded write was refused, though its lease is held`);
  }

  #misses({ key, ifVersion }: Write): boolean {
    return ifVersion !== undefined && this.#version(key) !== ifVersion;
  }

  #version(key: string): number {
    return this.live(key)?.version ?? 0;
  }

  #change(write: Write, change: ChangeFact, group: number | undefined): void {
    const value = write.op === "set" ? JSON.stringify(write.value) : null;
    const isSame = change.key === write.key && change.op === write.op && change.value === value && change.grp === group;
    if (!isSame) this.#sim.fail("state", `a ${write.op} of ${write.key} was written down as ${JSON.stringify(change)}`);
    if (write.op === "set") this.#set(write, change);
    else this.keys.delete(write.key);
  }

  #set({ key, value, ttlMs: own }: Extract<Write, { op: "set" }>, { revision: version }: ChangeFact): void {
    if (key.startsWith("count/")) this.raised.set(key, (this.raised.get(key) ?? 0) + 1);
    const ttlMs = own ?? (key.startsWith("session/") ? sessionTtlMs : null);
    const expiresAt = ttlMs === null ? null : this.#sim.hostNow + ttlMs;
    this.keys.set(key, { value: JSON.stringify(value), version, expiresAt });
  }

  /** Nobody asked for it: its time must be over. */
  #expired({ key, op }: ChangeFact): void {
    const found = this.keys.get(key);
    if (op !== "expire" || !found || this.live(key))
      this.#sim.fail("state", `${key} was changed (${op}), and nobody asked`);
    this.keys.delete(key);
  }

  readonly #on: Readers = {
    "state.get": ({ key }, { entry }) => {
      if (!this.#isSame(entry, this.live(key))) this.#sim.fail("state", `${key} was read as ${JSON.stringify(entry)}`);
    },
    "state.list": (input, value) => this.#listed(input, value),
  };

  #listed(
    { prefix, limit, cursor: after = "" }: CheckedInputOf<"state.list">,
    { entries, cursor }: OutputOf<"state.list">,
  ): void {
    const below = [...this.keys.keys()].filter((key) => key.startsWith(prefix) && key > after && this.live(key)).sort();
    const expected = below.slice(0, limit);
    if ((cursor === null) !== (expected.length === below.length) || expected.length !== entries.length) {
      this.#sim.fail("state", `${below.length} keys stand below ${prefix}, ${entries.length} were listed`);
    }
    for (const [place, entry] of entries.entries()) {
      const key = expected[place] ?? "";
      if (entry.key !== key || !this.#isSame(entry, this.live(key)))
        this.#sim.fail("state", `${key} was listed as ${JSON.stringify(entry)}`);
    }
  }

  #isSame(entry: Entry | null, value: Value | null): boolean {
    if (!entry || !value) return !entry && !value;
    return entry.version === value.version && JSON.stringify(entry.value) === value.value;
  }
}

function idOf({ operation, by, requestId }: Wanted): string | null {
  return requestId === undefined ? null : `${operation} ${by ?? ""} ${requestId}`;
}

function wantedBy(operation: string, input: unknown): Wanted | null {
  if (operation === "state.update") {
    const { writes, guards, by, requestId } = input as CheckedInputOf<"state.update">;
    return { operation, writes, guards, by, requestId };
  }
  if (operation !== "state.set" && operation !== "state.delete") return null;
  const { key, value, ifVersion, guard, ttlMs, by, requestId } = input as CheckedInputOf<"state.set">;
  const condition = ifVersion === undefined ? {} : { ifVersion };
  const write: Write =
    operation === "state.set"
      ? { op: "set", key, value, ...condition, ...(ttlMs === undefined ? {} : { ttlMs }) }
      : { op: "delete", key, ...condition };
  return { operation, writes: [write], guards: guard ? [guard] : [], by, requestId };
}
