import { env, exports } from "cloudflare:workers";
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { onTestFinished, test, vi } from "vitest";
import type { WireError } from "#src/contract/protocol.ts";
import type { Operation, Scope } from "#src/contract/operation.ts";
import { operations, type InputOf, type OperationName, type OutputOf } from "#src/contract/operations.ts";
import type { ChatCoordinator } from "#src/durable/chat-coordinator.ts";
import type { Env } from "#src/worker/env.ts";

/** The worker and its objects as their clients see them, and a look inside. */

export const bindings = env as unknown as Env;
const worker = (exports as unknown as { default: Fetcher }).default;
export const origin = "https://shim.example";

export function request(path: string, init?: RequestInit): Promise<Response> {
  return worker.fetch(`${origin}${path}`, init);
}

export const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

/** A request with a body, for what is beside the workspaces. */
export function send(path: string, method: string, body: object, token?: string): Promise<Response> {
  return request(path, { method, body: JSON.stringify(body), headers: token === undefined ? {} : bearer(token) });
}

/** The status and the code of a refusal. */
export async function refusalOf(response: Response | Promise<Response>): Promise<[number, string | undefined]> {
  const answer = await response;
  return [answer.status, (await answer.json<{ error?: { code: string } }>()).error?.code];
}

/** Where and how an operation is asked over HTTP. */
export function httpOf(workspace: string, name: OperationName, input: object): { path: string; init: RequestInit } {
  const { method, path }: Operation = operations[name];
  const base = `/v1/workspaces/${workspace}${path}`;
  if (method !== "GET") return { path: base, init: { method, body: JSON.stringify(input) } };
  const texts = Object.entries(input).map(([field, value]) => [
    field,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  const query = new URLSearchParams(texts);
  return { path: `${base}?${query.toString()}`, init: { method } };
}

let made = 0;
/** Of a workspace that there is not. */
export const newName = (): string => `w-${(made += 1)}`;

/** A workspace of the test's own. */
export class TestWorkspace {
  readonly name: string;
  /** Of scope admin. */
  readonly token: string;
  readonly tokenId: string;

  private constructor(name: string, token: string, tokenId: string) {
    this.name = name;
    this.token = token;
    this.tokenId = tokenId;
  }

  /** One that is there; its own token is not known. */
  static known(name: string): TestWorkspace {
    return new TestWorkspace(name, "", "");
  }

  static async create(name = newName()): Promise<TestWorkspace> {
    const answer = await send("/v1/workspaces", "POST", { workspace: name }, bindings.SHIM_ADMIN_SECRET);
    const { token, id } = await answer.json<{ token: string; id: string }>();
    return new TestWorkspace(name, token, id);
  }

  get stub(): DurableObjectStub<ChatCoordinator> {
    return bindings.COORDINATOR.getByName(this.name);
  }

  async tokenOf(scope: Scope, machine = "m1", ttlMs?: number): Promise<{ id: string; token: string }> {
    return this.ask("tokens.create", { machine, scope, ...(ttlMs === undefined ? {} : { ttlMs }) });
  }

  /** One operation over HTTP, whatever its answer. */
  async call<Name extends OperationName>(name: Name, input: InputOf<Name>, token = this.token) {
    const { path, init } = httpOf(this.name, name, input);
    const response = await request(path, { ...init, headers: bearer(token) });
    const value = await response.json<OutputOf<Name> & { error?: WireError }>();
    return { status: response.status, headers: response.headers, value, error: value.error };
  }

  /** One operation that succeeds. */
  async ask<Name extends OperationName>(name: Name, input: InputOf<Name>, token?: string): Promise<OutputOf<Name>> {
    const { status, value, error } = await this.call(name, input, token);
    if (status !== 200) throw new Error(`${name} was refused: ${JSON.stringify(error)}`);
    return value;
  }

  /** The code with which it is refused; null: it is not. */
  async refusal<Name extends OperationName>(name: Name, input: InputOf<Name>, token?: string): Promise<string | null> {
    return (await this.call(name, input, token)).error?.code ?? null;
  }

  upgrade(token = this.token, more: Record<string, string> = {}): Promise<Response> {
    const headers = { ...bearer(token), upgrade: "websocket", ...more };
    return request(`/v1/workspaces/${this.name}/connect`, { headers });
  }

  async connect(token?: string): Promise<Connection> {
    const { status, webSocket } = await this.upgrade(token);
    if (!webSocket) throw new Error(`no connection: ${status}`);
    const connection = new Connection(webSocket);
    onTestFinished(() => connection.close());
    return connection;
  }

  /** A chat over HTTP. */
  async register(chat: string, more: Partial<InputOf<"chats.register">> = {}): Promise<Self> {
    const { incarnation } = await this.ask("chats.register", aChat(chat, more));
    return { chat, incarnation };
  }

  /** A chat with a connection of its own. */
  async join(chat: string, more: Partial<InputOf<"chats.register">> = {}): Promise<Joined> {
    const connection = await this.connect();
    const { incarnation } = await connection.ask("chats.register", aChat(chat, more));
    return { connection, self: { chat, incarnation } };
  }

  inside<T>(work: (state: DurableObjectState, instance: ChatCoordinator) => T | Promise<T>): Promise<T> {
    return runInDurableObject(this.stub, (instance, state) => work(state, instance));
  }

  rows<Row extends Record<string, SqlStorageValue>>(query: string, ...values: SqlStorageValue[]): Promise<Row[]> {
    return this.inside((state) => state.storage.sql.exec<Row>(query, ...values).toArray());
  }

  /** Rows by table. */
  async tables(): Promise<Record<string, Record<string, SqlStorageValue>[]>> {
    return Object.fromEntries(JSON.parse(await this.inside((state) => dump(state))) as never);
  }

  alarmAt(): Promise<number | null> {
    return this.inside((state) => state.storage.getAlarm());
  }

  /** @returns whether one was set */
  ring(): Promise<boolean> {
    return runDurableObjectAlarm(this.stub);
  }

  async chat(chat: string): Promise<OutputOf<"chats.get">> {
    return this.ask("chats.get", { chat });
  }

  /** Until the object has noted the end of the chat's connection, of which the runtime may tell the client first. No time passes. */
  async disconnected(chat: string): Promise<void> {
    while ((await this.chat(chat)).isConnected);
  }
}

export type Self = InputOf<"chats.heartbeat">["self"];

export type Joined = Readonly<{ connection: Connection; self: Self }>;

export function aChat(chat: string, more: Partial<InputOf<"chats.register">> = {}): InputOf<"chats.register"> {
  return { chat, session: `of-${chat}`, process: "boot-1/1/100", machine: "m1", client: "test", ...more };
}

/** All tables of an object as text: two that are equal show that nothing was changed. */
export function dump({ storage }: Pick<DurableObjectState, "storage">): string {
  const tables = storage.sql.exec<{ name: string }>(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\' ORDER BY name",
  );
  const all = [...tables].map(({ name }) => [name, storage.sql.exec(`SELECT * FROM ${name}`).toArray()]);
  return JSON.stringify(all);
}

const hour = 3_600_000;

/**
 * From now on only the test moves the clock of worker and objects. It stands a day ahead, ten minutes after the hour, so that the runtime's own
 * clock reaches no alarm and housekeeping, which is done at the full hour, is far.
 */
export function stopClock(): void {
  const now = Math.ceil(Date.now() / hour) * hour + 24 * hour + 600_000;
  vi.useFakeTimers({ toFake: ["Date"], now });
  onTestFinished(() => void vi.useRealTimers());
}

/** A test with a workspace of its own, in which only the test moves the clock. */
export const it = test.extend("workspace", () => {
  stopClock();
  return TestWorkspace.create();
});

export const wait = (ms: number): void => void vi.setSystemTime(Date.now() + ms);

/** What stands in a frame, request or answer. */
export interface Message {
  readonly jsonrpc?: string;
  readonly id?: string | number | null;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string; readonly data: WireError };
}

/** The client's end of a socket: frames come in the order in which they were sent, and nothing waits for a time. */
export class Connection {
  readonly socket: WebSocket;
  /** Once either side has closed. */
  readonly closed: Promise<Readonly<{ code: number; reason: string }>>;
  readonly #frames: string[] = [];
  #arrived: (() => void) | null = null;
  #next = 0;

  constructor(socket: WebSocket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      socket.addEventListener("close", ({ code, reason }) => resolve({ code, reason }));
    });
    socket.addEventListener("message", ({ data }) => {
      this.#frames.push(String(data));
      this.#arrived?.();
    });
    socket.accept();
  }

  send(frame: unknown): void {
    this.socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  }

  /** The text of the next frame. */
  async text(): Promise<string> {
    while (this.#frames.length === 0) await new Promise<void>((resolve) => (this.#arrived = resolve));
    return this.#frames.shift() ?? "";
  }

  async next(): Promise<Message> {
    return JSON.parse(await this.text()) as Message;
  }

  /** Asks, and answers what came before the answer, too. */
  async exchange(method: string, params: unknown): Promise<{ before: Message[]; answer: Message }> {
    const id = (this.#next += 1);
    this.send({ jsonrpc: "2.0", id, method, params });
    const before: Message[] = [];
    for (;;) {
      const message = await this.next();
      if (message.id === id) return { before, answer: message };
      before.push(message);
    }
  }

  /** The answers to a frame of several requests; what the connection is told before them is left out. */
  async frame(requests: readonly unknown[]): Promise<Message[]> {
    this.send(requests);
    for (;;) {
      const message: unknown = await this.next();
      if (Array.isArray(message)) return message as Message[];
    }
  }

  /** An operation that succeeds; what was told in between is lost. */
  async ask<Name extends OperationName>(name: Name, input: InputOf<Name>): Promise<OutputOf<Name>> {
    const { answer } = await this.exchange(name, input);
    if (answer.error) throw new Error(`${name} was refused: ${JSON.stringify(answer.error.data)}`);
    return answer.result as OutputOf<Name>;
  }

  /** The code of a refusal; null: there is none. */
  async refusal(method: string, params: unknown): Promise<string | null> {
    return (await this.exchange(method, params)).answer.error?.data.code ?? null;
  }

  /** What it was told up to now: the answer to a question closes the list. */
  async told(): Promise<Message[]> {
    return (await this.exchange("settings.get", {})).before;
  }

  close(): void {
    this.socket.close(1000);
  }
}
