import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { HeldLease } from "#src/coordinator-client/edge/leases.ts";
import { aClient, aChat, codeOf, registered, value, type TestClient } from "#harness/edge/edge-clients.ts";
import { FakeEdge } from "#harness/edge/fake-edge.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";

/** What a network does to a client. */
type Trouble = "lose" | "slow" | "close" | "deploy" | "freeze" | "cut" | "heal" | "block" | "unblock";
const troubles: Trouble[] = ["lose", "slow", "close", "deploy", "freeze", "cut", "heal", "block", "unblock"];
const isWhole = { loses: () => false, isUnreachable: false, refusesSockets: false, latencyMs: 5 };

const making: Record<Trouble, (edge: FakeEdge, random: () => number) => unknown> = {
  // Of a WebSocket nothing is lost in the middle; what is lost with a connection looks the same as these.
  lose: ({ faults }, random) =>
    (faults.loses = ({ text }) => random() < 0.2 && (text.includes('"id"') || text.includes("/v1/"))),
  slow: ({ faults }) => (faults.latencyMs = 2_000),
  close: (edge) => edge.closeAll(),
  deploy: (edge) => edge.deploy(),
  freeze: ({ connections }) => connections.forEach((connection) => connection.freeze()),
  cut: ({ faults }) => (faults.isUnreachable = true),
  heal: ({ faults }) => Object.assign(faults, isWhole),
  block: ({ faults }) => (faults.refusesSockets = true),
  unblock: ({ faults }) => (faults.refusesSockets = false),
};

async function make(edge: FakeEdge, trouble: Trouble, random: () => number): Promise<void> {
  await making[trouble](edge, random);
}

/** By compare and set, until no other is first. @returns the code of the last answer */
async function increment(client: TestClient["client"]): Promise<string> {
  const current = await client.call("state.get", { key: "k" });
  if (!current.ok) return current.error.code;
  const { entry } = current.value;
  const next = { key: "k", value: Number(entry?.value ?? 0) + 1, ifVersion: entry?.version ?? 0 };
  const code = codeOf(await client.call("state.set", next));
  return code === "version_mismatch" ? increment(client) : code;
}

const story = fc.array(fc.tuple(fc.constantFrom(...troubles), fc.integer({ min: 0, max: 12_000 })), {
  minLength: 3,
  maxLength: 12,
});

it("whatever the network does, each update takes effect once, and each change is delivered once and in order @night", async () => {
  await fc.assert(
    fc.asyncProperty(story, fc.nat(), async (steps, seed) => {
      const edge = new FakeEdge();
      const random = seededRandom(seed);
      const [one, two] = [1, 2].map((number) => aClient(edge, { seed: seed + number })) as [TestClient, TestClient];
      const told: { revision: number; value: unknown }[] = [];
      const close = two.client.onChanges("", (changes) => void told.push(...(changes ?? [])));
      await edge.time.pass(1_000);
      const updates: Promise<string>[] = [];
      for (const [trouble, waitMs] of steps) {
        await make(edge, trouble, random);
        for (const { client } of [one, two]) {
          updates.push(increment(client));
        }
        await edge.time.pass(waitMs);
      }
      Object.assign(edge.faults, isWhole);
      const codes = await edge.time.until(Promise.all(updates));
      await edge.time.pass(60_000);
      const sure = codes.filter((code) => code === "ok").length;
      const unsure = codes.filter((code) => code === "outcome_unknown").length;
      expect(codes.every((code) => ["ok", "outcome_unknown", "unreachable"].includes(code))).toBe(true);
      const { entry } = value(await edge.host.call("state.get", { key: "k" }));
      const count = Number(entry?.value ?? 0);
      expect(count).toBeGreaterThanOrEqual(sure);
      expect(count).toBeLessThanOrEqual(sure + unsure);
      expect(told.map((change) => change.value)).toEqual(Array.from({ length: count }, (_, at) => at + 1));
      close();
      for (const { client } of [one, two]) client.close();
    }),
    { numRuns: 12 },
  );
});

type Act = "hold" | "bind" | "release" | "sleep" | "nap" | "wake";
const acts: Act[] = ["hold", "bind", "release", "sleep", "nap", "wake"];
const resource = "r";

/** Two chats on two machines that want the same lease, and what each of them believes. */
class Rivals {
  readonly edge = new FakeEdge();
  readonly #rights: HeldLease[] = [];
  readonly #chats: TestClient[];
  /** How often something was trusted when it was looked at: a property over nothing would hold as well. */
  looks = 0;

  private constructor(chats: TestClient[], edge: FakeEdge) {
    this.edge = edge;
    this.#chats = chats;
    edge.time.onPassing(() => this.#look());
  }

  static async meet(seed: number): Promise<Rivals> {
    const edge = new FakeEdge();
    const chats = [await registered(edge, "a", { seed }), await registered(edge, "b", { seed: seed + 1 })];
    return new Rivals(chats, edge);
  }

  act(who: number, act: Act): void {
    const chat = this.#chats[who % 2];
    if (!chat) return;
    if (act === "sleep" || act === "nap") return chat.machine.fallAsleep();
    if (act === "wake") return chat.machine.wake();
    if (act === "release") {
      for (const right of this.#rights.splice(0)) void right.release();
      return;
    }
    const wanted = { resource, ttlMs: 6_000, isBound: act === "bind", waitMs: 20_000 };
    void chat.client.hold(wanted).then((held) => held.ok && this.#rights.push(held.value));
  }

  /** What a client trusts at this instant is held by it at this instant. */
  async #look(): Promise<void> {
    for (const right of this.#rights) {
      if (!right.isTrusted()) continue;
      this.looks += 1;
      const { isValid } = value(await this.edge.host.call("leases.check", { resource, token: right.token }));
      expect(isValid, `trusted, but not held: token ${right.token} at ${this.edge.time.now}`).toBe(true);
    }
  }

  end(): void {
    for (const { client, machine } of this.#chats) {
      machine.wake();
      client.close();
    }
  }
}

const rivalry = fc.array(
  fc.tuple(fc.constantFrom<Act | Trouble>(...acts, ...troubles), fc.nat(1), fc.integer({ min: 0, max: 15_000 })),
  { minLength: 5, maxLength: 25 },
);

it("whatever the network does and however the machines sleep, what a client trusts is held by it @night", async () => {
  let looks = 0;
  await fc.assert(
    fc.asyncProperty(rivalry, fc.nat(), async (steps, seed) => {
      const rivals = await Rivals.meet(seed);
      const random = seededRandom(seed);
      for (const [what, who, waitMs] of steps) {
        if (what === "hold" || what === "bind" || what === "release" || what === "sleep" || what === "wake")
          rivals.act(who, what);
        else if (what === "nap") {
          rivals.act(who, what);
          await rivals.edge.time.pass(Math.min(waitMs, 4_000));
          rivals.act(who, "wake");
        } else await make(rivals.edge, what, random);
        await rivals.edge.time.pass(waitMs);
      }
      Object.assign(rivals.edge.faults, isWhole);
      await rivals.edge.time.pass(30_000);
      looks += rivals.looks;
      rivals.end();
    }),
    { numRuns: 25 },
  );
  expect(looks).toBeGreaterThan(100);
});

it("a client whose chat counts as gone while it sleeps trusts no earlier lease when it wakes", async () => {
  const { edge, ...made } = aClient();
  value(await edge.time.until(made.client.register(aChat("a", { isInteractive: false }))));
  const right = value(await edge.time.until(made.client.hold({ resource, isBound: true })));
  await edge.time.pass(15_000);
  await made.machine.sleep(40_000);
  expect(right.isTrusted()).toBe(false);
  await edge.time.pass(30_000);
  expect(right.state).toBe("lost");
});
