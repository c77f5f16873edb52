import { onTestFinished } from "vitest";
import type { InputOf } from "#src/contract/operations.ts";
import { WorkspaceClient, type EdgeOptions } from "#src/coordinator-client/client.ts";
import type { EdgeEvent } from "#src/coordinator-client/edge/events.ts";
import type { OpenSocket, Platform } from "#src/coordinator-client/edge/platform.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import { edgeUrl, FakeEdge, token } from "./fake-edge.ts";
import { Machine, seededRandom } from "#harness/clock/fake-time.ts";
import type { HeldLease, HoldOptions } from "#src/coordinator-client/edge/leases.ts";

export type TestClient = ReturnType<typeof aClient>;

type ClientOptions = Partial<EdgeOptions> & { readonly seed?: number };

/** The network and the clock of one machine: while it sleeps nothing reaches it. */
export function platformOf(edge: FakeEdge, machine: Machine, seed = 1): Platform {
  const openSocket: OpenSocket = (url, headers, events) =>
    edge.openSocket(url, headers, {
      onOpen: () => machine.deliver(() => events.onOpen()),
      onText: (text) => machine.deliver(() => events.onText(text)),
      onClose: (code, reason) => machine.deliver(() => events.onClose(code, reason)),
    });
  const fetch: Platform["fetch"] = async (url, init) => {
    const outcome = await Promise.allSettled([edge.fetch(url, init)]);
    await new Promise<void>((resolve) => machine.deliver(resolve));
    const [answer] = outcome;
    if (answer.status === "rejected") throw answer.reason;
    return answer.value;
  };
  return { clock: machine.clock, setTimer: machine.setTimer, random: seededRandom(seed), fetch, openSocket };
}

export function aClient(edge = new FakeEdge(), { seed, ...more }: ClientOptions = {}) {
  const machine = new Machine(edge.time);
  const options = { edge: edgeUrl, workspace: "w1", token, ...more };
  const client = given(WorkspaceClient.open(options, platformOf(edge, machine, seed)));
  const events: EdgeEvent[] = [];
  client.on((event) => events.push(event));
  onTestFinished(() => client.close());
  const call: WorkspaceClient["call"] = (...args) => edge.time.until(client.call(...args));
  return { edge, client, call, events, machine };
}

/** A client for which no socket opens, and whose every answer over HTTP but to its probe is this one. */
export function aClientAnswered(edge: FakeEdge, status: number, body: string): WorkspaceClient {
  edge.faults.refusesSockets = true;
  const real = platformOf(edge, new Machine(edge.time));
  const fetch: Platform["fetch"] = (url, init) =>
    url.endsWith("/health")
      ? real.fetch(url, init)
      : Promise.resolve({ status, headers: { get: () => null }, text: () => Promise.resolve(body) });
  const client = given(WorkspaceClient.open({ edge: edgeUrl, workspace: "w1", token }, { ...real, fetch }));
  onTestFinished(() => client.close());
  return client;
}

export function aChat(chat: string, overrides: Partial<InputOf<"chats.register">> = {}): InputOf<"chats.register"> {
  return { chat, session: `ses_${chat}`, process: `process of ${chat}`, machine: "m1", client: "test", ...overrides };
}

export function onEdge(options: ClientOptions = {}): Promise<TestClient> {
  return registered(new FakeEdge(), "a", options);
}

export async function registered(edge: FakeEdge, chat: string, options: ClientOptions = {}): Promise<TestClient> {
  const made = aClient(edge, options);
  given(await edge.time.until(made.client.register(aChat(chat))));
  return made;
}

export async function withoutSockets(): Promise<TestClient> {
  const edge = new FakeEdge();
  edge.faults.refusesSockets = true;
  return registered(edge, "a");
}

export function statesOf({ events }: Pick<TestClient, "events">): string[] {
  return events.flatMap((event) => (event.type === "state" ? [event.state] : []));
}

export function ofType<Type extends EdgeEvent["type"]>(
  { events }: Pick<TestClient, "events">,
  type: Type,
): Extract<EdgeEvent, { type: Type }>[] {
  return events.filter((event): event is Extract<EdgeEvent, { type: Type }> => event.type === type);
}

export const resource = "r";

export async function held(
  { edge, client }: TestClient,
  wanted: Partial<Parameters<WorkspaceClient["hold"]>[0]> = {},
  options: HoldOptions = {},
): Promise<HeldLease> {
  return given(await edge.time.until(client.hold({ resource, ttlMs: 30_000, ...wanted }, options)));
}

export async function isHeld(edge: FakeEdge, right: HeldLease): Promise<boolean> {
  const checked = await edge.host.call("leases.check", { resource: right.name, token: right.token });
  return given(checked).isValid;
}

export function rightsOf(made: Pick<TestClient, "events">): string[] {
  return ofType(made, "right").map(({ name, state }) => `${name} ${state}`);
}
