import { evictDurableObject } from "cloudflare:test";
import { describe, onTestFinished, vi } from "vitest";
import { pingText, pongText } from "#src/contract/sockets.ts";
import type { InputOf } from "#src/contract/operations.ts";
import type { Scope } from "#src/contract/operation.ts";
import * as due from "#src/coordination/due.ts";
import type { EngineOperation } from "#src/coordination/engine.ts";
import * as meta from "#src/coordination/kernel/meta.ts";
import * as tokens from "#src/coordination/workspace/tokens.ts";
import type { Actor, Tx } from "#src/coordination/kernel/tx.ts";
import { attachmentOf, type Credentials } from "#src/durable/attachments.ts";
import { StorageSql } from "#src/durable/storage-sql.ts";
import { Throttle } from "#src/durable/load-limits.ts";
import { ok } from "#src/shared/result.ts";
import { hashOf } from "#src/pairing/sealing.ts";
import * as signed from "#src/worker/tokens.ts";
import type { SqlValue } from "#src/shared/sql.ts";
import { admin, m1, ruleHost, type Answered, type RuleHost } from "#harness/coordinator/engine-host.ts";
import { Connection, bindings, newName, stopClock, TestWorkspace, wait } from "./support.ts";

type Registration = InputOf<"chats.register">;

type Token = tokens.NewToken & Readonly<{ token: string; credentials: Credentials }>;

/** Its key names the object's end of it. */
type ChatLine = Readonly<{ line: Connection; key: string }>;
/** An alarm that has left something undone rings again no sooner. */
const leastPauseMs = 1_000;

/** The object itself, asked as the worker asks it: in its Durable Object, with its own alarm, its own tokens and real sockets. */
class ObjectHost implements RuleHost {
  readonly #workspace = TestWorkspace.known(newName());
  readonly #tokens = new Map<string, Promise<Token>>();
  readonly #registered = new Map<string, readonly [actor: Actor, input: Registration]>();
  readonly #lines = new Map<string, ChatLine>();
  #written = 0;
  readonly now = (): number => Date.now();
  readonly wait = wait;

  /** A new object, with the tokens of nearly all requests; the rules ask more often than the worker lets a stranger. */
  static async open(this: void): Promise<ObjectHost> {
    stopClock();
    vi.spyOn(Throttle.prototype, "take").mockReturnValue(null);
    if (bindings.RATE_LIMITER) vi.spyOn(bindings.RATE_LIMITER, "limit").mockResolvedValue({ success: true });
    const host = new ObjectHost();
    const [first, second] = [await sign(host.#workspace.name, admin), await sign(host.#workspace.name, m1)];
    await host.#workspace.inside((state, coordinator) => {
      coordinator.create(first);
      addToken(state.storage, second);
      notePingsByTestTime(state);
    });
    host.#tokens.set(nameOf(admin), Promise.resolve(first)).set(nameOf(m1), Promise.resolve(second));
    onTestFinished(async () => {
      for (const { line } of host.#lines.values()) await closed(line);
    });
    return host;
  }

  async call<N extends EngineOperation>(name: N, input: InputOf<N>, actor: Actor = m1): Promise<Answered<N>> {
    const { credentials } = await this.#tokenOf(actor);
    const result = await this.#workspace.stub.call(credentials, name, input);
    const { chat } = input as Registration;
    if (name === "chats.register" && result.ok) this.#registered.set(chat, [actor, input as Registration]);
    return result.ok ? ok(JSON.parse(result.value)) : result;
  }

  /** The alarm of the object, which must be set for what is due; also one that was set for something that is over by now. */
  async ring(): Promise<number | null> {
    for (let times = 0; times < 1_000; times++) {
      const now = this.now();
      const { next, alarm } = await this.#times();
      if (next !== null && (alarm ?? Number.POSITIVE_INFINITY) > Math.max(next, now + leastPauseMs))
        throw new Error(`nothing wakes the object at ${next}, when something is due: its alarm is set to ${alarm}`);
      const isDue = next !== null && next <= now;
      if (!isDue && (alarm === null || alarm > now)) return next;
      await this.#alarm();
    }
    throw new Error("what is due stays so however often the alarm rings");
  }

  #times(): Promise<{ next: number | null; alarm: number | null }> {
    return this.#workspace.inside(async ({ storage }) => ({
      next: due.nextDue(txOf(storage)),
      alarm: await storage.getAlarm(),
    }));
  }

  async #alarm(): Promise<void> {
    const log = vi.spyOn(console, "error").mockReturnValue();
    await this.#workspace.ring();
    const problems = log.mock.calls.map(String);
    log.mockRestore();
    if (problems.length > 0) throw new Error(problems.join("; "));
  }

  /** A socket over which the chat registers again, as the process that it is. */
  async connect(chat: string): Promise<void> {
    const last = this.#registered.get(chat);
    if (!last) throw new Error(`chat ${chat} was never registered`);
    const [actor, input] = last;
    const { token, credentials } = await this.#tokenOf(actor);
    const openedAt = this.now();
    const { status, webSocket } = await this.#workspace.upgrade(token);
    if (!webSocket) throw new Error(`no connection: ${status}`);
    const line = new Connection(webSocket);
    const { answer } = await line.exchange("chats.register", input);
    if (answer.error) {
      await closed(line);
      throw new Error(`${chat} cannot connect: ${answer.error.data.code}`);
    }
    this.#lines.set(chat, { line, key: keyOf(credentials.id, chat, openedAt) });
  }

  async ping(chat: string): Promise<void> {
    const found = this.#lines.get(chat);
    if (!found) return;
    pingedAt.set(found.key, this.now());
    if (found.line.socket.readyState !== WebSocket.OPEN) return;
    found.line.send(pingText);
    const pong = async (): Promise<void> => {
      while ((await found.line.text()) !== pongText);
    };
    await Promise.race([pong(), found.line.closed]);
  }

  async disconnect(chat: string): Promise<void> {
    const found = this.#lines.get(chat);
    if (found) await closed(found.line);
  }

  async loseConnections(): Promise<void> {
    await this.#workspace.alarmAt();
    await evictDurableObject(this.#workspace.stub, { webSockets: "close" });
    for (const { line } of this.#lines.values()) await line.closed;
    await this.#workspace.alarmAt();
  }

  async restart(): Promise<void> {
    // Only an object that runs can be evicted: it is woken first.
    await this.#workspace.alarmAt();
    await evictDurableObject(this.#workspace.stub, { webSockets: "hibernate" });
  }

  rows<Row>(query: string, ...values: SqlValue[]): Promise<Row[]> {
    return this.#workspace.inside(({ storage }) => new StorageSql(storage).all<Row>(query, ...values));
  }

  /** The object sees nothing of it: it starts anew, and looks when its alarm has to ring. */
  async run(statement: string, ...values: SqlValue[]): Promise<void> {
    await this.#workspace.inside(({ storage }) => new StorageSql(storage).run(statement, ...values));
    await this.restart();
    await this.nextDue();
  }

  /** Of the engine, statement by statement: the runtime keeps its alarm in the same file. */
  async rowsWritten(): Promise<number> {
    for (const actor of [m1, admin]) await this.#tokenOf(actor);
    return this.#workspace.inside(({ storage: { sql } }) => {
      if (Object.hasOwn(sql, "exec")) return this.#written;
      const exec = sql.exec.bind(sql);
      const total = (): number => Number(exec("SELECT total_changes() AS n").one()["n"]);
      sql.exec = ((...given: Parameters<typeof exec>) => {
        const before = total();
        const rows = exec(...given).toArray();
        this.#written += total() - before;
        return { toArray: () => rows, rowsWritten: 0 };
      }) as never;
      return this.#written;
    });
  }

  /** Over the object's own storage: an alarm has a limit of its own. */
  sweep(limit: number): Promise<string[]> {
    return this.#workspace.inside(({ storage }) =>
      storage.transactionSync(() => due.sweep(txOf(storage), (work) => storage.transactionSync(work), limit)),
    );
  }

  nextDue(): Promise<number | null> {
    return this.#workspace.inside(({ storage }) => due.nextDue(txOf(storage)));
  }

  #tokenOf(actor: Actor): Promise<Token> {
    const newToken = async (): Promise<Token> => {
      const token = await sign(this.#workspace.name, actor);
      await this.#workspace.inside(({ storage }) => addToken(storage, token));
      return token;
    };
    const token = this.#tokens.get(nameOf(actor)) ?? newToken();
    this.#tokens.set(nameOf(actor), token);
    return token;
  }
}

const nameOf = ({ machine, isAdmin }: Actor): string => `${machine} ${isAdmin}`;

/** By the worker's secret. */
async function sign(workspace: string, { machine, isAdmin }: Actor): Promise<Token> {
  const scope: Scope = isAdmin ? "admin" : "work";
  const claims = { workspace, id: `tok_${machine}_${scope}`, machine, scope, expiresAt: null };
  const token = await signed.make(bindings.SHIM_SIGNING_SECRET, claims, crypto.getRandomValues(new Uint8Array(16)));
  const hash = await hashOf(token);
  return { ...claims, hash, token, credentials: { id: claims.id, hash } };
}

/** The audit log tells of it; the rules know nothing of tokens. */
function addToken(storage: DurableObjectStorage, token: Token): void {
  tokens.add(txOf(storage), token.machine, token);
  storage.sql.exec("DELETE FROM audit WHERE kind = 'token.created'");
}

function txOf(storage: DurableObjectStorage): Tx {
  const sql = new StorageSql(storage);
  return {
    sql,
    now: Date.now(),
    presence: { lastSeen: () => null },
    ...meta.readFacts(sql),
    tell: () => undefined,
    requestDispatch: () => undefined,
  };
}

/** When a ping was sent, by the test's clock, by the connection. */
const pingedAt = new Map<string, number>();

const keyOf = (token: string, chat: string | undefined, openedAt: number): string => `${token} ${chat} ${openedAt}`;

type TimeOfPing = (this: DurableObjectState, socket: WebSocket) => Date | null;

/** The runtime notes by its own clock when it has answered a ping; that it has is left to it. */
function notePingsByTestTime(state: DurableObjectState): void {
  const runtime = Object.getPrototypeOf(state) as DurableObjectState;
  const { getWebSocketAutoResponseTimestamp: original } = runtime as { getWebSocketAutoResponseTimestamp: TimeOfPing };
  if (vi.isMockFunction(original)) return;
  const noted: TimeOfPing = function noted(socket) {
    const attachment = attachmentOf(socket);
    if (!attachment || original.call(this, socket) === null) return null;
    return new Date(pingedAt.get(keyOf(attachment.token.id, attachment.chats[0]?.[0], attachment.openedAt)) ?? 0);
  };
  vi.spyOn(runtime, "getWebSocketAutoResponseTimestamp").mockImplementation(noted);
}

function closed(line: Connection): Promise<unknown> {
  line.close();
  return line.closed;
}

Object.assign(ruleHost, { open: ObjectHost.open, mostRuns: 5 });

describe("@night", async () => {
  for (const load of Object.values(import.meta.glob("../rules/*.test.ts"))) await load();
});
