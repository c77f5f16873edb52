import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import { LocalEdge, startEdge, type LocalEdgeOptions } from "../../../scripts/local-edge.ts";
import { writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { addKey, type WorkspaceKey } from "#src/machine/sharing/key-ring.ts";
import type { Self } from "#src/contract/values.ts";
import { omitUndefined } from "#src/shared/omit-undefined.ts";
import { createServer } from "node:net";
import { given } from "#harness/coordinator/peers.ts";
import type { InputOf } from "#src/contract/operations.ts";
import { WorkspaceClient, type EdgeOptions } from "#src/coordinator-client/client.ts";
import { type OpenSocket, type Platform, nodePlatform } from "#src/coordinator-client/edge/platform.ts";
import type { EdgeEvent } from "#src/coordinator-client/edge/events.ts";
import { answerOf, edgeUrl, FakeEdge, type Served, token } from "./fake-edge.ts";
import { Machine, seededRandom } from "#harness/clock/fake-time.ts";

const root = join(import.meta.dirname, "..", "..", "..");

interface EdgeRuntimeOptions extends Pick<LocalEdgeOptions, "log" | "documents" | "bindings" | "page"> {
  /** Another one, whose state this one uses, too. */
  readonly beside?: EdgeRuntime;
  /** Clients sign in, as the guide on remote MCP says. */
  readonly isOAuth?: boolean;
}

async function oauthOptions(): Promise<Pick<LocalEdgeOptions, "port" | "bindings" | "namespaces">> {
  const port = await freePort();
  return { port, bindings: { SHIM_PUBLIC_URL: `http://127.0.0.1:${port}` }, namespaces: ["OAUTH_KV"] };
}

export class EdgeRuntime extends LocalEdge {
  readonly folder: string;

  constructor(started: ConstructorParameters<typeof LocalEdge>[0], folder: string) {
    super(started);
    this.folder = folder;
  }

  static async open({ beside, isOAuth = false, ...options }: EdgeRuntimeOptions = {}): Promise<EdgeRuntime> {
    const scratch = join(root, ".scratch");
    mkdirSync(scratch, { recursive: true });
    const folder = beside ? dirname(beside.folder) : mkdtempSync(join(scratch, "edge-"));
    const entry = join(root, "src", "worker", "worker-entry.ts");
    const oauth = isOAuth ? await oauthOptions() : {};
    const started = await startEdge({ entry, folder, ...omitUndefined({ beside }), ...options, ...oauth });
    const edge = new EdgeRuntime(started, join(folder, "state"));
    onTestFinished(async () => {
      await edge.close();
      if (!beside) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    });
    return edge;
  }

  async register(chat: string): Promise<Self> {
    const about = { chat, session: chat, process: `boot/1/${chat}`, machine: "m", client: "test" };
    const { incarnation } = await this.call("chats.register", about);
    return { chat, incarnation };
  }

  async join(home: string, machine: string, key?: WorkspaceKey): Promise<void> {
    const { token } = await this.call("tokens.create", { machine, scope: "work" });
    const { url, workspace } = this;
    mkdirSync(home, { recursive: true, mode: 0o700 });
    writeEdgeConfig(home, { url, workspace, machine, token });
    if (key) addKey(home, { url, workspace }, key);
  }
}

/** Below those that the kernel gives out by itself (32768 and more), so that no other program is given one in the meantime. */
const [first, count] = [25_000, 7_000];
/** Processes beside each other begin at different ones. */
let next = process.pid * 31;

export async function freePort(): Promise<number> {
  for (;;) {
    const port = first + (next++ % count);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer().once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

type About = Partial<InputOf<"chats.register">>;

export async function realEdgeClient(edge: string, token: string, chat: string, more: About = {}, hasSockets = true) {
  const platform = nodePlatform();
  const openSocket: Platform["openSocket"] = hasSockets ? platform.openSocket : refuseSocket;
  const opened = WorkspaceClient.open({ edge, workspace: "team", token }, { ...platform, openSocket });
  if (!opened.ok) throw new Error(opened.error);
  const client = opened.value;
  onTestFinished(() => client.close());
  client.connect();
  given(await client.register({ chat, session: chat, process: chat, machine: "admin", client: "test", ...more }));
  return client;
}

/** As where a proxy blocks them. */
const refuseSocket: OpenSocket = (_url, _headers, { onClose }) => {
  setImmediate(() => onClose(1006, "no socket was opened"));
  return { send: () => undefined, close: () => undefined };
};

export type TestClient = ReturnType<typeof aClient>;

type ClientOptions = Partial<EdgeOptions> & { readonly seed?: number };

/** The network and the clock of one machine: while it sleeps nothing reaches it. */
export function platformOf(edge: FakeEdge, machine: Machine, seed = 1): Platform {
  const openSocket: OpenSocket = (url, headers, events, maxBytes) => {
    const delivered = {
      onOpen: () => machine.deliver(() => events.onOpen()),
      onText: (text: string) => machine.deliver(() => events.onText(text)),
      onClose: (code: number, reason: string) => machine.deliver(() => events.onClose(code, reason)),
    };
    return edge.openSocket(url, headers, delivered, maxBytes);
  };
  const fetch: Platform["fetch"] = async (url, init) => {
    try {
      return await edge.fetch(url, init);
    } finally {
      await new Promise<void>((resolve) => machine.deliver(resolve));
    }
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

/** A client for which no socket opens, and which gets these answers over HTTP but to its probe, the last one again and again. */
export function aClientAnswered(edge: FakeEdge, ...answers: readonly (Served | Error)[]): WorkspaceClient {
  edge.faults.refusesSockets = true;
  const real = platformOf(edge, new Machine(edge.time));
  let asked = 0;
  const fetch: Platform["fetch"] = async (url, init) => {
    if (url.endsWith("/health")) return real.fetch(url, init);
    const answer = answers[Math.min(asked++, answers.length - 1)];
    if (!answer || answer instanceof Error) throw answer;
    return answerOf(answer);
  };
  const client = given(WorkspaceClient.open({ edge: edgeUrl, workspace: "w1", token }, { ...real, fetch }));
  onTestFinished(() => client.close());
  return client;
}

export function aChat(chat: string, overrides: About = {}): InputOf<"chats.register"> {
  return { chat, session: `ses_${chat}`, process: `process of ${chat}`, machine: "m1", client: "test", ...overrides };
}

export const onEdge = (options: ClientOptions = {}): Promise<TestClient> => registered(new FakeEdge(), "a", options);

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

type OfType<Type> = Extract<EdgeEvent, { type: Type }>;

export function ofType<Type extends EdgeEvent["type"]>({ events }: Pick<TestClient, "events">, type: Type) {
  return events.filter((event): event is OfType<Type> => event.type === type);
}
