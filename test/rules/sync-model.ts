import * as fc from "fast-check";
import { expect } from "vitest";
import { type EngineHost } from "#harness/coordinator/engine-host.ts";
import { given, hour, minute } from "#harness/coordinator/state-calls.ts";
import {
  checkpoint,
  checkpointsOf,
  Device,
  forget,
  list,
  opened,
  session,
  type Content,
} from "#harness/sync/sealed-content.ts";
import type { RuleTest } from "./rule-test.ts";
import { step } from "./steps.ts";

/** What devices store against a model, behind any host. */
export function syncModelRules(it: RuleTest): void {
  it("[SY19] after any loss, repeat or copy the stored content is that of the model", async ({ open, runs }) => {
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 40 }), async (acts) => {
        const world = await World.open(await open());
        for (const one of acts) await world.act(one);
        await world.compare();
      }),
      runs(150),
    );
  });
}

const names = fc.constantFrom("s1", "s2", "s3");
const ids = fc.constantFrom("k1", "k2", "k3");

/** What a home notes; what is in it, it says with the number that it has then. */
const note = fc.oneof(
  step(4, "session", { of: names }),
  step(4, "checkpoint", { of: names, id: ids }),
  step(1, "forget", { of: names }),
  step(1, "drop", { of: names, id: ids }),
);
type Note = typeof note extends fc.Arbitrary<infer T> ? T : never;

const who = fc.nat(3);

const act = fc.oneof(
  step(8, "note", { who, notes: fc.array(note, { minLength: 1, maxLength: 4 }) }),
  // From how far before the newest acknowledged op it sends, how many, and whether it hears the answer.
  step(10, "send", { who, back: fc.nat(3), count: fc.integer({ min: 1, max: 6 }), isHeard: fc.boolean() }),
  step(2, "begin", { who }),
  step(1, "restart"),
  step(2, "copy", { who, to: who }),
  step(2, "poll"),
  step(2, "wait", { ms: fc.constantFrom(0, 1_000, 2 * minute, hour) }),
);
type Act = typeof act extends fc.Arbitrary<infer T> ? T : never;
type ActOf<Kind extends Act["kind"]> = Extract<Act, { readonly kind: Kind }>;

/** An op as its home has it. */
interface Noted {
  readonly op: ReturnType<Device["make"]>[number];
  readonly at: number;
}

/** A home of SHIM: what it has noted in its epoch, and up to where it knows it to be stored. */
class Home {
  readonly device: Device;
  readonly log: Noted[];
  acknowledged: number;

  constructor(device: Device, log: readonly Noted[] = [], acknowledged = 0) {
    this.device = device;
    this.log = [...log];
    this.acknowledged = acknowledged;
  }

  copy(): Home {
    return new Home(this.device.copy(), this.log, this.acknowledged);
  }
}

interface Stored {
  readonly of: string;
  readonly envelope: string;
  readonly epoch: number;
  readonly at: number;
}

/** What is stored of one device, by the rules alone. */
class Shelf {
  readonly sessions = new Map<string, Stored>();
  readonly checkpoints = new Map<string, Stored>();
  /** Hashes of the ops of each epoch. */
  readonly epochs = new Map<number, string[]>();

  forget(of: string, id: string | undefined): void {
    if (id === undefined) this.sessions.delete(of);
    for (const [known, stored] of this.checkpoints) {
      if (stored.of === of && (id === undefined || id === known)) this.checkpoints.delete(known);
    }
  }
}

function replace(all: Map<string, Stored>, id: string, next: Stored): void {
  const known = all.get(id);
  const isOther = known !== undefined && known.epoch !== next.epoch;
  if (isOther && next.at < known.at - (next.epoch > known.epoch ? 30_000 : 0)) return;
  all.set(id, next);
}

/** Some homes of two devices, and what the coordinator has to have of them. */
class World {
  readonly #host: EngineHost;
  readonly #homes: Home[];
  readonly #shelves = new Map<string, Shelf>();
  #revision = 0;
  #count = 0;
  /** As one who polls has it. */
  readonly #seen = new Map<string, string>();

  private constructor(host: EngineHost, homes: Home[]) {
    this.#host = host;
    this.#homes = homes;
    for (const { device } of homes) this.#shelf(device).epochs.set(device.epoch, []);
  }

  static async open(host: EngineHost): Promise<World> {
    const homes: Home[] = [];
    for (const device of ["d0", "d1"]) homes.push(new Home(await Device.begun(host, device)));
    return new World(host, [...homes, ...homes.map((home) => home.copy())]);
  }

  #shelf({ device }: Device): Shelf {
    const shelf = this.#shelves.get(device) ?? new Shelf();
    this.#shelves.set(device, shelf);
    return shelf;
  }

  async act(one: Act): Promise<void> {
    if (one.kind === "wait") return this.#host.wait(one.ms);
    if (one.kind === "poll") return this.#poll();
    if (one.kind === "restart") return this.#host.restart?.();
    const home = this.#homes[one.who];
    if (home) await this.#atHome(home, one);
  }

  async #atHome(home: Home, one: ActOf<"note" | "send" | "begin" | "copy">): Promise<void> {
    if (one.kind === "note") this.#note(home, one.notes);
    else if (one.kind === "send") await this.#send(home, one);
    else if (one.kind === "begin") await this.#begin(home);
    // A backup of one home is put in the place of the other.
    else if (one.to % 2 === one.who % 2) this.#homes[one.to] = home.copy();
  }

  #note(home: Home, notes: readonly Note[]): void {
    for (const one of notes) {
      const [op] = home.device.make(this.#contentOf(one));
      if (op) home.log.push({ op, at: this.#host.now() });
    }
  }

  #contentOf(one: Note): Content {
    const envelope = `e${(this.#count += 1)}`;
    if (one.kind === "session") return session(one.of, envelope);
    if (one.kind === "checkpoint") return checkpoint(one.id, one.of, envelope);
    return one.kind === "forget" ? forget(one.of) : forget(one.of, one.id);
  }

  /** As a client does: what is not known to be stored, and some before it. */
  async #send(home: Home, { back, count, isHeard }: ActOf<"send">): Promise<void> {
    const from = Math.max(0, home.acknowledged - back);
    const part = home.log.slice(from, from + count);
    if (part.length === 0) return;
    const now = this.#host.now();
    const ops = part.map(({ op, at }) => Object.assign({}, op, { ageMs: now - at }));
    const answer = await home.device.trySend(ops);
    const expected = this.#store(home, part);
    expect(answer.ok ? answer.value.mark : answer.error.code).toBe(expected);
    if (!isHeard) return;
    if (answer.ok) home.acknowledged = Math.max(home.acknowledged, from + part.length);
    else await this.#begin(home);
  }

  /** The log is dropped, and what the home has is sealed anew: with the ages that it has. */
  async #begin(home: Home): Promise<void> {
    const kept = new Map<string, Noted>();
    for (const one of home.log) {
      const { kind, session: of, checkpoint: id = "" } = one.op;
      if (kind !== "forget") kept.set(`${kind} ${kind === "session" ? of : id}`, one);
    }
    await home.device.begin();
    home.acknowledged = 0;
    home.log.length = 0;
    for (const { op, at } of kept.values()) {
      const { seq: _, hash: __, ...content } = op;
      const [again] = home.device.make({ ...content, envelope: `e${(this.#count += 1)}` });
      if (again) home.log.push({ op: again, at });
    }
    const { epochs } = this.#shelf(home.device);
    epochs.set(home.device.epoch, []);
    for (const old of [...epochs.keys()].slice(0, -8)) epochs.delete(old);
  }

  #store({ device }: Home, part: readonly Noted[]): number | string {
    const shelf = this.#shelf(device);
    const hashes = shelf.epochs.get(device.epoch);
    if (!hashes) return "unknown_device";
    const first = part[0]?.op.seq ?? 0;
    if (first > hashes.length + 1) return "gap";
    const isOther = ({ op }: Noted): boolean => op.seq <= hashes.length && hashes[op.seq - 1] !== op.hash;
    if (part.some(isOther)) return "device_forked";
    for (const one of part.slice(hashes.length - first + 1)) {
      hashes.push(one.op.hash);
      this.#apply(shelf, device.epoch, one);
    }
    return hashes.length;
  }

  #apply(shelf: Shelf, epoch: number, { op, at }: Noted): void {
    const { kind, session: of, checkpoint: id = "", envelope = "" } = op;
    if (kind === "forget") return shelf.forget(of, op.checkpoint);
    const next = { of, envelope, epoch, at };
    if (kind === "session") replace(shelf.sessions, of, next);
    else replace(shelf.checkpoints, id, next);
  }

  async compare(): Promise<void> {
    await this.#poll();
    const wanted = new Map<string, string>();
    for (const [device, shelf] of this.#shelves) {
      for (const [of, { envelope }] of shelf.sessions) wanted.set(`${device} ${of}`, envelope);
      await this.#compareCheckpoints(device, shelf);
    }
    const { sessions } = await list(this.#host, { limit: 100 });
    expect(new Map(sessions.map((one) => [`${one.device} ${one.session}`, one.envelope]))).toEqual(wanted);
    expect(this.#seen).toEqual(wanted);
    await this.#compareStatus();
  }

  async #compareCheckpoints(device: string, { checkpoints }: Shelf): Promise<void> {
    for (const session of ["s1", "s2", "s3"]) {
      const ids = [...checkpoints].filter(([, stored]) => stored.of === session).map(([id]) => id);
      expect((await checkpointsOf(this.#host, session, device)).toSorted()).toEqual(ids.toSorted());
    }
    for (const [id, { envelope }] of checkpoints) expect(await opened(this.#host, id, device)).toBe(envelope);
  }

  async #compareStatus(): Promise<void> {
    const shelves = [...this.#shelves.values()];
    const stored = shelves.flatMap(({ sessions, checkpoints }) => [...sessions.values(), ...checkpoints.values()]);
    expect(given(await this.#host.call("sync.status", {}))).toMatchObject({
      sessions: shelves.reduce((sum, { sessions }) => sum + sessions.size, 0),
      checkpoints: shelves.reduce((sum, { checkpoints }) => sum + checkpoints.size, 0),
      chars: stored.reduce((sum, { envelope }) => sum + envelope.length, 0),
    });
  }

  /** In small pages, from where it stopped. */
  async #poll(): Promise<void> {
    for (let isMore = true; isMore;) {
      const page = await list(this.#host, { after: this.#revision, limit: 2 });
      for (const one of page.forgotten) this.#seen.delete(`${one.device} ${one.session}`);
      for (const one of page.sessions) this.#seen.set(`${one.device} ${one.session}`, one.envelope);
      ({ revision: this.#revision, isMore } = page);
    }
  }
}
