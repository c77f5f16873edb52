/**
 * Chats that work at a coordinator, and note what it has acknowledged: `node release-load.ts
 * <options as JSON>`. Copied into the tree of another version, it works by that version's client.
 */
import { WorkspaceClient } from "../../src/coordinator-client/client.ts";
import { nodePlatform } from "../../src/coordinator-client/edge/platform.ts";

export interface LoadOptions {
  readonly edge: string;
  readonly workspace: string;
  readonly token: string;
  /** Prefix of all names. */
  readonly name: string;
  readonly chats: number;
  readonly ms: number;
}

/** Facts that the coordinator has acknowledged to one version's chats. */
export interface Acknowledged {
  calls: number;
  /** Refused or unanswered calls, by operation and code. */
  readonly failed: Record<string, number>;
  readonly submitted: number[];
  readonly done: number[];
  /** Last acknowledged values. */
  readonly state: Record<string, number>;
  /** Grants whose fencing token was not above the last one of its resource. */
  tokensFell: number;
  sent: number;
  received: number;
}

const { edge, workspace, token, name, chats, ms } = JSON.parse(process.argv[2] ?? "{}") as LoadOptions;
const facts: Acknowledged = {
  calls: 0,
  failed: {},
  submitted: [],
  done: [],
  state: {},
  tokensFell: 0,
  sent: 0,
  received: 0,
};
const until = performance.now() + ms;
await Promise.all(Array.from({ length: chats }, (_, at) => work(`${name}-${at}`)));
console.log(JSON.stringify(facts));
process.exit(0);

async function work(chat: string): Promise<void> {
  const client = WorkspaceClient.open({ edge, workspace, token }, nodePlatform());
  if (!client.ok) throw new Error(client.error);
  const link = client.value;
  const call: typeof link.call = async (operation, input) => {
    facts.calls += 1;
    const answer = await link.call(operation, input, 20_000);
    if (!answer.ok) {
      const key = `${operation} ${answer.error.code}`;
      facts.failed[key] = (facts.failed[key] ?? 0) + 1;
    }
    return answer;
  };
  const about = { chat, session: chat, process: `p-${chat}`, client: "load", machine: name, capacity: 4 };
  await link.register(about);
  await call("messages.subscribe", { pattern: `${name}.*` });
  let last = 0;
  for (let round = 0; performance.now() < until; round++) {
    const requestId = `${chat}-${round}`;
    const made = await call("tasks.submit", { tasks: [{ type: name, payload: { round } }], requestId });
    if (made.ok) facts.submitted.push(...made.value.tasks.map(({ task }) => task));
    const claimed = await call("tasks.claim", { requestId: `${requestId}c`, limit: 2, types: [name] });
    for (const { task, claim } of claimed.ok ? claimed.value.claims : []) {
      await call("tasks.heartbeat", { task, claim });
      const ended = await call("tasks.ack", { task, claim, result: { by: chat } });
      if (ended.ok) facts.done.push(task);
    }
    const set = await call("state.set", { key: `${chat}/round`, value: round, requestId: `${requestId}s` });
    if (set.ok) facts.state[`${chat}/round`] = round;
    const lease = await call("leases.acquire", { resource: chat, requestId: `${requestId}l`, ttlMs: 60_000 });
    if (lease.ok && lease.value.state === "granted") {
      const { token: fence } = lease.value.lease;
      if (fence <= last) facts.tokensFell += 1;
      last = fence;
      await call("leases.release", { resource: chat, token: fence });
    }
    const sent = await call("messages.send", { target: { to: "topic", topic: `${name}.x` }, body: round });
    if (sent.ok) facts.sent += 1;
    const pulled = await call("messages.pull", { limit: 100 });
    const ids = pulled.ok ? pulled.value.messages.map(({ id }) => id) : [];
    facts.received += ids.length;
    if (ids.length > 0) await call("messages.ack", { ids });
    await call("chats.list", {});
  }
  link.close();
}
