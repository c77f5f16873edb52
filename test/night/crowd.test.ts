import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect, it } from "vitest";
import { type McpConnection, type Message, record } from "#harness/machine/mcp-connection.ts";
import type { Paths } from "#src/platform/paths.ts";
import { createKey } from "#src/machine/sharing/key-ring.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { answered, setting, startServer } from "#harness/machine/mcp-process.ts";
import { tempHome } from "#harness/store/store-test.ts";

const howMany = setting("SHIM_CROWD_CHATS", 6);
const seconds = setting("SHIM_CROWD_SECONDS", 4);
/** What a chat thinks between two calls, on average; 0: as fast as it is answered. */
const pauseMs = setting("SHIM_CROWD_PAUSE_MS", 0);

/** Homes of the machines that the chats are on: one, or two that share a coordinator under workerd. */
async function homes(kind: "local" | "edge"): Promise<Paths[]> {
  if (kind === "local") return [tempHome()];
  const edge = await EdgeRuntime.open();
  const machines = [tempHome(), tempHome()];
  const key = createKey(randomBytes);
  for (const [at, { home }] of machines.entries()) await edge.join(home, `m${at}`, key);
  return machines;
}

/** One chat that does a little of everything. */
class Member {
  readonly submitted: number[] = [];
  readonly reported: number[] = [];
  sent = 0;
  received = 0;
  readonly call: (tool: string, given: Message) => Promise<Message>;
  readonly random: () => number;
  readonly #name: string;

  constructor(server: McpConnection, number: number) {
    this.call = (tool, given) => answered(server, tool, given);
    this.#name = `c${number}`;
    this.random = seededRandom(number + 1);
  }

  /** @returns whether there was a task to do */
  async work(): Promise<boolean> {
    const { task } = await this.call("shim_next", {});
    const number = record(task)["task"];
    if (typeof number !== "number") return false;
    await this.call("shim_report", { outcome: "progress", task: number, percent: 50, note: "half of it" });
    const { state } = await this.call("shim_report", { outcome: "done", task: number, result: { by: this.#name } });
    expect(state).toBe("reported");
    this.reported.push(number);
    return true;
  }

  async act(): Promise<void> {
    const luck = this.random();
    if (luck < 0.3) return void (await this.work());
    if (luck < 0.5) {
      const { tasks } = await this.call("shim_submit", { tasks: [{ type: "crowd", payload: { by: this.#name } }] });
      return void this.submitted.push(...(tasks as { task: number }[]).map(({ task }) => task));
    }
    if (luck < 0.65) {
      this.sent += 1;
      return void (await this.call("shim_send", { to: "topic:crowd", text: `word ${this.sent} of ${this.#name}` }));
    }
    if (luck < 0.75) {
      const { news } = await this.call("shim_inbox", { topics: ["crowd"] });
      return void (this.received += (news as unknown[]).length);
    }
    if (luck < 0.85) return void (await this.call("shim_state_set", { key: `crowd/${this.#name}`, value: luck }));
    if (luck < 0.92) return void (await this.call("shim_chats", {}));
    for (const action of ["reserve", "release"])
      await this.call("shim_files", { action, paths: [`src/${this.#name}.ts`] });
  }
}

async function crowd(paths: readonly Paths[], count: number): Promise<Member[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const home = paths[at % paths.length];
      if (!home) throw new Error("no machine");
      const server = await startServer(home);
      const project = join(home.home, "..", "project");
      mkdirSync(project, { recursive: true });
      await answered(server, "shim_force_checkpoint", { goal: `chat ${at}`, project });
      return new Member(server, at);
    }),
  );
}

it.for(["local", "edge"] as const)(
  "many chats work as one team: no call fails, each task is done once, and messages arrive (%s) @night",
  { timeout: (seconds + 120) * 1_000 },
  async (kind) => {
    const members = await crowd(await homes(kind), kind === "local" ? Math.ceil(howMany / 3) : howMany);
    const until = performance.now() + seconds * 1_000;
    await Promise.all(
      members.map(async (one) => {
        while (performance.now() < until) {
          await one.act();
          if (pauseMs > 0) await pause(one.random() * 2 * pauseMs);
        }
      }),
    );
    // What is left is done by all together.
    await Promise.all(
      members.map(async (one) => {
        while (await one.work());
      }),
    );
    const submitted = members.flatMap((one) => one.submitted).toSorted((a, b) => a - b);
    const reported = members.flatMap((one) => one.reported).toSorted((a, b) => a - b);
    expect(reported).toEqual(submitted);
    expect(submitted.length).toBeGreaterThan(0);
    expect(members.some(({ received }) => received > 0)).toBe(true);
  },
);
