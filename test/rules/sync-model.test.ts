import * as fc from "fast-check";
import { expect } from "vitest";
import type { RuleHost } from "#harness/coordinator/engine-host.ts";
import { given } from "#harness/coordinator/peers.ts";
import { hour, minute } from "#harness/coordinator/times.ts";
import { pagesAfter } from "#harness/coordinator/views.ts";
import { type Content, Device, filesOf, forget, session } from "#harness/sync/sealed-content.ts";
import { list, status } from "#harness/sync/sealed-views.ts";
import { it } from "./rule-test.ts";

/** How often an arbitrary is drawn beside the others. */
function step<T>(weight: number, arbitrary: fc.Arbitrary<T>): { weight: number; arbitrary: fc.Arbitrary<T> } {
  return { weight, arbitrary };
}

it("after any loss, repeat or copy the stored content is that of the model", async ({ open, runs }) => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 40, size: "max" }), async (acts) => {
      const world = new World(await open());
      for (const one of acts) await world.act(one);
      await world.compare();
    }),
    runs(80),
  );
});

const sessions = ["s1", "s2", "s3"] as const;
const ids = ["k1", "k2", "k3"] as const;
const names = fc.constantFrom(...sessions);

const note = fc.oneof(
  step(4, fc.record({ kind: fc.constant("session"), of: names })),
  step(4, fc.record({ kind: fc.constant("files"), of: names, id: fc.constantFrom(...ids) })),
  step(1, fc.record({ kind: fc.constant("forget"), of: names })),
  step(1, fc.record({ kind: fc.constant("drop"), of: names, id: fc.constantFrom(...ids) })),
);
type Note = typeof note extends fc.Arbitrary<infer T> ? T : never;

const who = fc.nat(3);

const act = fc.oneof(
  step(8, fc.record({ kind: fc.constant("note"), who, notes: fc.array(note, { minLength: 1, maxLength: 4 }) })),
  // What is not heard of is sent again.
  step(10, fc.record({ kind: fc.constant("send"), who, isHeard: fc.boolean() })),
  step(1, fc.record({ kind: fc.constant("restart") })),
  step(1, fc.record({ kind: fc.constant("purge"), who })),
  step(2, fc.record({ kind: fc.constant("copy"), who, to: who })),
  step(2, fc.record({ kind: fc.constant("poll") })),
  step(2, fc.record({ kind: fc.constant("wait"), ms: fc.constantFrom(0, 1_000, 2 * minute, hour) })),
);
type Act = typeof act extends fc.Arbitrary<infer T> ? T : never;

type Noted = Readonly<{ note: Note; envelope: string; at: number }>;

/** A home of SHIM: what it has noted and does not know to be stored, by name. */
type Home = Readonly<{ device: Device; waiting: ReadonlyMap<string, Noted> }>;

type Stored = Readonly<{ envelope: string; version: number; at: number }>;

/** What is stored of one device, by the rules alone. */
class Shelf {
  readonly sessions = new Map<string, Stored>();
  /** One of each session. */
  readonly files = new Map<string, { readonly id: string; readonly envelope: string; readonly at: number }>();

  forget(of: string, id?: string): void {
    if (id === undefined) this.sessions.delete(of);
    if (id === undefined || this.files.get(of)?.id === id) this.files.delete(of);
  }
}

/** Some homes of two devices, and what the coordinator has to have of them. */
class World {
  readonly #host: RuleHost;
  readonly #homes: Home[];
  readonly #shelves = new Map([
    ["d0", new Shelf()],
    ["d1", new Shelf()],
  ]);
  #revision = 0;
  #count = 0;
  /** As one who polls has it. */
  readonly #seen = new Map<string, string>();

  constructor(host: RuleHost) {
    this.#host = host;
    const homes = ["d0", "d1"].map((device) => ({ device: new Device(host, device), waiting: new Map() }));
    this.#homes = [...homes, ...homes.map(copyOf)];
  }

  async act(one: Act): Promise<void> {
    if (one.kind === "wait") return this.#host.wait(one.ms);
    if (one.kind === "poll") return this.#poll();
    if (one.kind === "restart") return this.#host.restart?.();
    const home = this.#homes[one.who];
    if (!home) return;
    if (one.kind === "purge") await this.#purge(home.device.device);
    else if (one.kind === "note") this.#homes[one.who] = this.#noted(home, one.notes);
    else if (one.kind === "send") await this.#send(home, one.who, one.isHeard);
    // A backup of one home is put in the place of the other.
    else if (one.to % 2 === one.who % 2) this.#homes[one.to] = copyOf(home);
  }

  async #purge(device: string): Promise<void> {
    const purged = given(await this.#host.call("sync.purge", { device }));
    expect(purged.sessions).toBe(this.#shelves.get(device)?.sessions.size);
    this.#shelves.set(device, new Shelf());
  }

  #noted({ device, waiting }: Home, notes: readonly Note[]): Home {
    const next = new Map(waiting);
    for (const one of notes) {
      const name = "id" in one ? `${one.of} ${one.id}` : one.of;
      if (one.kind === "forget") for (const known of next.keys()) if (known.startsWith(one.of)) next.delete(known);
      next.set(name, { note: one, envelope: `e${(this.#count += 1)}`, at: this.#host.now() });
    }
    return { device, waiting: next };
  }

  async #send({ device, waiting }: Home, at: number, isHeard: boolean): Promise<void> {
    if (waiting.size === 0) return;
    const now = this.#host.now();
    const noted = [...waiting.values()].sort((a, b) => rank(a) - rank(b));
    const sending = isHeard ? device : device.copy();
    const known = new Map(device.versions);
    const shelf = this.#shelves.get(device.device) ?? new Shelf();
    const outcomes = await sending.put(...noted.map((one) => contentOf(one, now - one.at)));
    const expected = noted.flatMap((one) => this.#store(shelf, one, known, sending.versions));
    expect(outcomes).toEqual(expected);
    if (isHeard) this.#homes[at] = { device, waiting: new Map() };
  }

  #store(
    shelf: Shelf,
    { note: { kind, ...name }, envelope, at }: Noted,
    known: ReadonlyMap<string, number>,
    versions: ReadonlyMap<string, number>,
  ): string[] {
    const { of } = name;
    if (kind === "forget" || kind === "drop") {
      shelf.forget(of, "id" in name ? name.id : undefined);
      return [];
    }
    const before = shelf.sessions.get(of);
    if (kind === "files") {
      if (!before || !("id" in name)) return ["closed"];
      if (isLate(at, shelf.files.get(of))) return ["older"];
      shelf.files.set(of, { id: name.id, envelope, at });
      return ["stored"];
    }
    if (before && before.version !== (known.get(of) ?? 0) && isLate(at, before)) return ["older"];
    shelf.sessions.set(of, { envelope, version: versions.get(of) ?? 0, at });
    return ["stored"];
  }

  async compare(): Promise<void> {
    await this.#poll();
    const wanted = new Map<string, string>();
    let chars = 0;
    for (const [device, shelf] of this.#shelves) {
      for (const [of, { envelope }] of shelf.sessions) wanted.set(`${device} ${of}`, envelope);
      for (const name of sessions) {
        const there = shelf.files.get(name);
        const found = await this.#host.call("sync.read", { session: name, device, kind: "files" });
        const is = found.ok && [found.value.checkpoint, found.value.envelope];
        expect(is).toEqual(there !== undefined && [there.id, there.envelope]);
      }
      for (const { envelope } of shelf.files.values()) chars += envelope.length;
    }
    for (const envelope of wanted.values()) chars += envelope.length;
    const all = await list(this.#host, { limit: 100 });
    expect(new Map(all.sessions.map((one) => [`${one.device} ${one.session}`, one.envelope]))).toEqual(wanted);
    expect(this.#seen).toEqual(wanted);
    expect(await status(this.#host)).toMatchObject({ sessions: wanted.size, chars });
  }

  /** In small pages, from where it stopped. */
  async #poll(): Promise<void> {
    for (const page of await pagesAfter((after) => list(this.#host, { after, limit: 2 }), this.#revision)) {
      for (const one of page.forgotten) this.#seen.delete(`${one.device} ${one.session}`);
      for (const one of page.sessions) this.#seen.set(`${one.device} ${one.session}`, one.envelope);
      this.#revision = page.revision;
    }
  }
}

function isLate(at: number, before: { readonly at: number } | undefined): boolean {
  return before !== undefined && at < before.at - 30_000;
}

const copyOf = ({ device, waiting }: Home): Home => ({ device: device.copy(), waiting: new Map(waiting) });

/** In one put deletions come first, then sessions. */
function rank({ note: { kind } }: Noted): number {
  return kind === "forget" || kind === "drop" ? 0 : kind === "session" ? 1 : 2;
}

function contentOf({ note: one, envelope }: Noted, ageMs: number): Content {
  if (one.kind === "session") return session(one.of, envelope, { ageMs });
  if (one.kind === "files") return filesOf(one.id, one.of, envelope, { ageMs });
  return one.kind === "forget" ? forget(one.of) : forget(one.of, one.id);
}
