import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { EngineOperation } from "#src/coordination/engine.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { admin, m1 } from "#harness/coordinator/engine-host.ts";
import {
  chats,
  examples,
  from,
  registrationOf,
  seeds,
  type Draft,
  type Step,
} from "#harness/coordinator/frame-draws.ts";
import { runFrame, type FrameRequest, type ListCounts } from "#harness/coordinator/frames.ts";
import { history } from "#harness/coordinator/task-draws.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";

/** Two engines with one clock: frames as lists on one of them, one by one on the other. */

const numRuns = Number(process.env["SHIM_SET_RUNS"] ?? 60);

async function waitOn(host: LocalHost, { ms, pings, rings }: Extract<Step, { kind: "wait" }>): Promise<number | null> {
  for (let waited = 0; waited < ms; waited += 4_000) {
    host.wait(Math.min(4_000, ms - waited));
    if (pings) for (const chat of chats) await host.ping(chat);
  }
  return rings ? host.ring() : null;
}

interface Claim {
  readonly task: number;
  readonly claim: number;
}

interface Grant {
  readonly resource: string;
  readonly token: number;
}

class Pair {
  readonly sets = new LocalHost(openBetterSqlite3);
  readonly singles = new LocalHost(openBetterSqlite3);
  readonly counts: ListCounts;
  readonly #grants: Grant[] = [];
  /** The newest first; those that were acknowledged last. */
  #claims: Claim[] = [];

  constructor(counts: ListCounts) {
    this.counts = counts;
  }

  async both<T>(work: (host: LocalHost) => Promise<T>): Promise<T> {
    const [one, other] = [await work(this.sets), await work(this.singles)];
    expect(one).toEqual(other);
    return one;
  }

  async open(seed: readonly string[]): Promise<void> {
    for (const chat of chats) {
      await this.both((host) => host.call("chats.register", registrationOf(chat)));
      await this.both((host) => host.connect(chat));
    }
    for (const statement of seed) await this.both((host) => host.run(statement));
  }

  async take(one: Step): Promise<void> {
    if (one.kind === "frame") return this.#frame(one.drafts);
    if (one.kind === "wait") await this.both((host) => waitOn(host, one));
    else if (one.kind === "call") await this.both((host) => host.call(one.name, one.input as never, admin));
    else if (one.kind === "lose") await this.both((host) => host.loseConnections());
    else await this.both((host) => host[one.kind](one.chat));
  }

  async #frame(drafts: readonly Draft[]): Promise<void> {
    const requests = drafts.map((draft) => this.#request(draft));
    const answers = await runFrame(this.sets, requests, this.counts);
    const expected = [];
    for (const { name, input } of requests) expected.push(await this.singles.call(name, input, m1));
    expect(answers).toEqual(expected);
    for (const answer of answers) {
      const lease = answer.ok ? (answer.value as { lease?: Grant }).lease : undefined;
      if (lease) this.#grants.push({ resource: lease.resource, token: lease.token });
    }
    answers.forEach((answer, at) => this.#keepClaims(answer, requests[at]));
  }

  #keepClaims(answer: Awaited<ReturnType<typeof runFrame>>[number], request: FrameRequest | undefined): void {
    if (!answer.ok || !request?.name.startsWith("tasks.")) return;
    const { claims = [], next = [] } = answer.value as { claims?: Claim[]; next?: Claim[] };
    if (request.name === "tasks.ack") {
      const { task } = request.input as Claim;
      const isEnded = (one: Claim): boolean => one.task === task;
      this.#claims = [...this.#claims.filter((one) => !isEnded(one)), ...this.#claims.filter(isEnded)];
    }
    this.#claims.unshift(...[...claims, ...next].map(({ task, claim }) => ({ task, claim })));
  }

  #request({ name, input, self, pick, guard }: Draft): FrameRequest {
    const isOfChat = ["leases.", "chats.", "tasks."].some((prefix) => name.startsWith(prefix));
    const isGuarded = guard !== undefined && (name === "state.set" || name === "state.delete");
    const subject = isGuarded ? { guard: this.#lease(guard) } : this.#subject(name, pick);
    return { name, input: { ...(isOfChat ? { self } : {}), ...subject, ...input } };
  }

  #subject(name: EngineOperation, pick: number): object {
    if (name === "leases.renew" || name === "leases.release") return this.#lease(pick);
    return name === "tasks.ack" ? (this.#claims[pick] ?? { task: 1, claim: 1 }) : {};
  }

  #lease(pick: number): Grant {
    return this.#grants.at(-1 - pick) ?? { resource: "x", token: pick };
  }

  async compare(): Promise<void> {
    expect(this.sets.hints).toEqual(this.singles.hints);
    const tables = await this.sets.rows<{ name: string }>(
      "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
    );
    for (const { name } of tables) await this.both((host) => host.rows(`SELECT * FROM ${name}`));
  }

  close(): void {
    this.sets.sql.close();
    this.singles.sql.close();
  }
}

const counts: ListCounts = new Map();

it(
  "a frame whose requests run together leaves the answers, hints and rows of its requests one by one @night",
  { timeout: 240_000 + numRuns * 3_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(from(...seeds), history, async (seed, steps) => {
        const pair = new Pair(counts);
        try {
          await pair.open(seed);
          for (const one of steps) {
            await pair.take(one);
            await pair.compare();
          }
        } finally {
          pair.close();
        }
      }),
      { numRuns, examples },
    );
    const ofLeases = ["leases.acquire", "leases.release", "leases.renew"];
    const others = ["state.delete", "state.get", "state.set", "tasks.ack"];
    expect([...counts.keys()].toSorted()).toEqual([...ofLeases, ...others]);
  },
);
