import { expect, it } from "vitest";
import { given } from "#harness/coordinator/peers.ts";
import { EdgeRuntime, realEdgeClient } from "#harness/edge/edge-runtime.ts";
import { setting } from "#harness/machine/mcp-process.ts";
import type { OutputOf } from "#src/contract/operations.ts";
import type { WorkspaceClient } from "#src/coordinator-client/client.ts";

/** `npm run stress -- race --rounds 1000` */
const rounds = setting("SHIM_RACE_ROUNDS", 10);
const overSockets = 80;
const overHttp = 20;
const deadline = 120_000;

type Claim = OutputOf<"tasks.claim">["claims"][number];

async function clientsOf(edge: EdgeRuntime): Promise<WorkspaceClient[]> {
  const clients: WorkspaceClient[] = [];
  for (let n = 0; n < overSockets + overHttp; n++)
    clients.push(await realEdgeClient(edge.url, edge.adminToken, `c${n}`, { capacity: 1 }, n < overSockets));
  return clients;
}

/** All claim at once. @returns the claims that were granted, by the index of the client */
async function claimed(clients: readonly WorkspaceClient[]): Promise<[at: number, claims: Claim[]][]> {
  const answers = await Promise.all(clients.map((client) => client.call("tasks.claim", { limit: 1 }, deadline)));
  const all = answers.map((answer, at): [number, Claim[]] => [at, given(answer).claims]);
  return all.filter(([, claims]) => claims.length > 0);
}

/**
 * One task, and its winner. In each second round the claims race with the submit, too: those over sockets may all come before it, and one
 * over HTTP gets it; when all came before it, all claim again.
 */
async function raced(edge: EdgeRuntime, clients: readonly WorkspaceClient[], round: number) {
  const submitted = edge.call("tasks.submit", { tasks: [{ type: "race", payload: round }] });
  if (round % 2 === 0) await submitted;
  const first = await claimed(clients);
  const { tasks } = await submitted;
  return { task: tasks[0]?.task ?? 0, winners: first.length > 0 ? first : await claimed(clients) };
}

/** The winner, and another chat that only knows the number of its claim, acknowledge at once. */
async function acknowledged(clients: readonly WorkspaceClient[], at: number, { task, claim }: Claim) {
  const both = [at, (at + 1) % clients.length].flatMap((one) => clients[one] ?? []);
  const acks = await Promise.all(both.map((client) => client.call("tasks.ack", { task, claim }, deadline)));
  return acks.map((ack) => (ack.ok ? ack.value.state : ack.error.code));
}

it(
  "of a hundred clients that claim one task at once, over sockets and HTTP, exactly one gets it, in each round",
  { timeout: 240_000 + rounds * 2_000 },
  async () => {
    const edge = await EdgeRuntime.open();
    const clients = await clientsOf(edge);
    for (let round = 0; round < rounds; round++) {
      const { task, winners } = await raced(edge, clients, round);
      const [[at, claims] = [-1, []]] = winners;
      expect([winners.length, claims.map((one) => one.task)]).toEqual([1, [task]]);
      expect(await acknowledged(clients, at, claims[0] as Claim)).toEqual(["done", "stale_claim"]);
    }
    const { completedTasks, totalTasks } = await edge.call("tasks.progress", {});
    expect([completedTasks, totalTasks]).toEqual([rounds, rounds]);
  },
);
