import { DurableObject } from "cloudflare:workers";
import { errorTable, type Refusal } from "../contract/errors.ts";
import { CLOSE_CODES, PING, PONG } from "../contract/protocol.ts";
import { checkFields, checkScope } from "../coordination/check-input.ts";
import * as audit from "../coordination/audit.ts";
import * as dispatch from "../coordination/dispatch.ts";
import * as due from "../coordination/due.ts";
import * as liveness from "../coordination/liveness.ts";
import { migrations } from "../coordination/schema.ts";
import * as tokens from "../coordination/tokens.ts";
import type { Tx } from "../coordination/tx.ts";
import { stackOf } from "../shared/error.ts";
import { migrate, schemaState } from "../shared/migrate.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { Alarm, sweepRows } from "./alarm.ts";
import { attach, attachmentOf, type Credentials } from "./attachments.ts";
import type { Env } from "./env.ts";
import { answer, readFrame } from "./frames.ts";
import { Gathering } from "./gathering.ts";
import { guarded } from "./guarded.ts";
import { notOpened } from "./opening.ts";
import { Operations } from "./operations.ts";
import { Outgoing } from "./outgoing.ts";
import { report } from "./report.ts";
import { Requests } from "./requests.ts";
import { close, release, Sockets } from "./sockets.ts";
import { StorageSql } from "./storage-sql.ts";
import { Throttle } from "./throttle.ts";
import { TokenEnds } from "./token-ends.ts";
import { Transactions } from "./transactions.ts";
import { Watches } from "./watches.ts";

const sweepsPerAlarm = 20;
/** No alarm follows the one before sooner: what stays due in spite of a sweep must not spin. */
const leastPauseMs = 250;
/** After a failure. */
const failedPauseMs = 30_000;

/**
 * The single writer of one workspace. Decides nothing from memory: each operation is one transaction over SQLite. What it does remember (the
 * time of its alarm, the settings while one event is handled) only saves reading it again.
 */
export class ChatCoordinator extends DurableObject<Env> {
  readonly #sql = new StorageSql(this.ctx.storage);
  readonly #outgoing = new Outgoing(() => crypto.randomUUID());
  readonly #throttle = new Throttle();
  readonly #watches = new Watches(this.#sql, this.#outgoing, {
    isSpent: (token) => this.#isSpent(token),
    charge: (token, chars) => this.#throttle.charge(token, { chars, rows: 1 }),
  });
  readonly #sockets = new Sockets(this.ctx, this.#sql, this.#outgoing, this.#watches);
  readonly #tokenEnds = new TokenEnds(this.#sql);
  readonly #alarm = new Alarm(this.ctx.storage);
  readonly #gathering = new Gathering({ begin: () => this.#begin(), end: () => this.#settle() });
  readonly #transactions = new Transactions(
    this.ctx.storage,
    this.#sql,
    this.#sockets,
    () => this.now(),
    () => this.size(),
  );
  readonly #operations = new Operations({
    transactions: this.#transactions,
    sockets: this.#sockets,
    watches: this.#watches,
    alarm: this.#alarm,
    sql: this.#sql,
    size: () => this.size(),
    closeSocket: (socket, code, reason) => this.#end(socket, code, reason),
  });
  readonly #requests = new Requests({
    sql: this.#sql,
    operations: this.#operations,
    transactions: this.#transactions,
    throttle: this.#throttle,
    watches: this.#watches,
    outgoing: this.#outgoing,
  });
  /** Connections that were closed from here. */
  readonly #ended = new WeakSet<WebSocket>();
  #isCreated = false;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
    void ctx.blockConcurrencyWhile(async () => {
      // [DO1] A workspace that nobody has created stays nothing.
      this.#isCreated = schemaState(this.#sql).version > 0;
      if (!this.#isCreated) return;
      this.#migrate();
      await this.#alarm.load();
      this.#endExpired();
      // All of them: a connection that is gone is not looked for again.
      this.#transactions.run((tx) => ok(liveness.missing(tx, Number.MAX_SAFE_INTEGER)));
      this.#settle(0);
    });
  }

  /** Epoch ms: the one place of the object that reads a clock. */
  protected now(): number {
    return Date.now();
  }

  /** Of what is stored, in bytes, without what was deleted. */
  protected size(): number {
    return this.ctx.storage.sql.databaseSize;
  }

  /** Makes the workspace with its first token. [WO10] The same again, while that token is good, is the same success. */
  create(token: tokens.NewToken): string {
    this.#begin();
    if (this.#isCreated && this.#bearer(token).ok) return text(ok({ id: token.id }));
    if (this.#isCreated) return text(err({ code: "workspace_exists", message: "this workspace was created before" }));
    this.#migrate();
    this.#isCreated = true;
    const made = this.#transactions.run((tx) => tokens.add(tx, "admin", token));
    this.#settle();
    return text(made);
  }

  /** One operation, as JSON text of a Result: what an RPC returns keeps its types only as plain data. */
  call(credentials: Credentials, name: string, input: unknown): string {
    const answered = text(guarded(() => this.#call(credentials, name, input)));
    this.#throttle.charge(credentials.id, { chars: answered.length, rows: 0 });
    return answered;
  }

  #call(credentials: Credentials, name: string, input: unknown): Result<unknown, Refusal> {
    this.#begin();
    const bearer = this.#bearer(credentials);
    if (!bearer.ok) return bearer;
    // [WO3] The worker has looked how it is nested.
    const checked = checkFields(name, input);
    const work = (): Result<unknown, Refusal> =>
      checked.ok ? this.#operations.run(bearer.value, checked.value) : checked;
    const result = this.#requests.one(bearer.value, name, work);
    this.#settle();
    return result;
  }

  #bearer({ id, hash }: Credentials): Result<tokens.Bearer, Refusal> {
    if (!this.#isCreated) return err({ code: "unknown_workspace", message: "there is no such workspace" });
    const found = tokens.bearer({ sql: this.#sql, now: this.now() }, id, hash);
    return found
      ? ok(found)
      : err({ code: "unauthenticated", message: "the token was revoked, is over, or is not known" });
  }

  /** The worker has made and signed it, and makes it again for a request that is repeated. */
  addToken(credentials: Credentials, token: tokens.NewToken, asked: tokens.TokenRequest): string {
    this.#begin();
    return text(
      guarded(() => {
        const bearer = this.#bearer(credentials);
        if (!bearer.ok) return bearer;
        const { machine, scope } = token;
        const refused =
          checkScope("tokens.create", bearer.value.scope) ??
          this.#operations.noRoom("tokens.create", { machine, scope });
        if (refused) return err(refused);
        const added = this.#transactions.run((tx) => tokens.addOnce(tx, bearer.value.machine, token, asked));
        this.#settle();
        return added;
      }),
    );
  }

  /** The upgrade. The worker has checked the signature, the origin and the address. */
  override fetch(request: Request): Response {
    this.#begin();
    const { searchParams } = new URL(request.url);
    const credentials = { id: searchParams.get("token") ?? "", hash: searchParams.get("hash") ?? "" };
    const bearer = this.#bearer(credentials);
    if (!bearer.ok) return Response.json(bearer.error, { status: 401 });
    const refused = notOpened(this.#transactions.tx(), bearer.value.id, {
      sockets: this.#sockets,
      throttle: this.#throttle,
      end: (socket, code, reason) => this.#end(socket, code, reason),
    });
    if (refused) return Response.json(refused, { status: errorTable[refused.code].status });
    const chat = searchParams.get("chat");
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server, [`token:${bearer.value.id}`, ...(chat === null ? [] : [`chat:${chat}`])]);
    attach(server, { token: credentials, openedAt: this.now(), chat, incarnation: null, watches: [] });
    this.#tokenEnds.opened(bearer.value.expiresAt);
    this.#settle(0);
    return new Response(null, { status: 101, webSocket: client });
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void | Promise<void> {
    return this.#gathering.join(socket, this.now(), () => this.#handle(socket, message));
  }

  #handle(socket: WebSocket, message: string | ArrayBuffer): void {
    // Nobody reads an answer to what was still on its way.
    if (this.#ended.has(socket)) return;
    const bearer = this.#bearer(attachmentOf(socket)?.token ?? { id: "", hash: "" });
    if (!bearer.ok) return this.#end(socket, CLOSE_CODES.token, bearer.error.message);
    const frame = readFrame(message);
    if (!frame.ok) {
      this.#outgoing.send(socket, JSON.stringify(answer(null, frame)));
      return this.#end(socket, CLOSE_CODES.protocol, "not a frame of JSON-RPC 2.0");
    }
    const answered = this.#requests.frame(socket, bearer.value, frame.value);
    if (answered.text !== null) this.#outgoing.send(socket, answered.text);
    if (answered.isFlooding) this.#end(socket, CLOSE_CODES.flood, "throttled, and it went on; wait before coming back");
  }

  /** [DO20] What it has sent before is handled before. */
  override webSocketClose(socket: WebSocket, code: number): void | Promise<void> {
    return this.#gathering.after(() => {
      close(socket, code === 1005 || code === 1006 ? 1000 : code, "");
      this.#gone(socket);
    });
  }

  override webSocketError(socket: WebSocket): void | Promise<void> {
    return this.#gathering.after(() => this.#gone(socket));
  }

  /** Closed from here. What follows for its chat does not wait for the other side, which may never answer. */
  #end(socket: WebSocket, code: number, reason: string): void {
    this.#ended.add(socket);
    close(socket, code, reason);
    this.#gone(socket);
    release(socket);
  }

  #isSpent(token: string): boolean {
    const { settings, now } = this.#transactions.tx();
    return this.#throttle.isSpent(token, settings.maxOperationsPerSecond, now);
  }

  /** [DO21] What a token that is over has open ends at once, also when its client only pings. */
  #endExpired(): void {
    for (const socket of this.#tokenEnds.ended(this.#sockets.all(), this.now())) {
      this.#end(socket, CLOSE_CODES.token, "the token has expired, or was revoked");
    }
  }

  /** [DO8] Within an event, at whose end what follows is told. */
  #gone(socket: WebSocket): void {
    this.#outgoing.forget(socket);
    this.#sockets.begin();
    const attachment = attachmentOf(socket);
    if (!attachment?.chat || attachment.incarnation === null) return;
    const { chat } = attachment;
    this.#transactions.run((tx) => ok(liveness.disconnected(tx, chat, this.#sockets.seenAt(socket))));
  }

  /** [DO4] However it goes, an alarm is set again while something waits: also when it fails for the last time. */
  override alarm(info?: AlarmInvocationInfo): void {
    this.#begin();
    this.#alarm.ring();
    if (!this.#isCreated) return;
    try {
      // Before older changes go: positions of watches are in memory.
      this.#sockets.tellChanges();
      this.#sweep();
      this.#settle(leastPauseMs);
    } catch (error) {
      if ((info?.retryCount ?? 0) < 5) throw error;
      report("the alarm failed", { error: stackOf(error) });
      this.#alarm.arm(this.now() + failedPauseMs, this.now());
    }
  }

  #sweep(): void {
    for (let times = 0; times < sweepsPerAlarm; times++) {
      const tx = this.#transactions.tx();
      const next = due.nextDue(tx);
      if (next === null || next > tx.now) return;
      const problems = due.sweep(tx, (work) => this.ctx.storage.transactionSync(work), sweepRows);
      for (const problem of problems) report("a sweep failed", { error: problem });
    }
  }

  /** After each event: the alarm rings no later than something is due, and whoever waits is told. Without an await, so it is stored with the rows. */
  #settle(pauseMs: number | null = null): void {
    if (this.#isToArm() || pauseMs !== null) this.#arm(pauseMs ?? 0);
    const hints = this.#transactions.takeHints();
    if (hints.some(({ kind }) => kind === "dispatch")) this.ctx.waitUntil(this.#sendToken());
    this.#sockets.tell(hints);
    this.#endSlow();
  }

  /** What is only read makes nothing due, unless the storage is full: then more is. */
  #isToArm(): boolean {
    const isFull = this.#isCreated && this.#transactions.isFull;
    return this.#sql.hasWritten() || isFull || this.#alarm.isLost(this.now());
  }

  /** [DO22] */
  #endSlow(): void {
    const overfull = this.#outgoing.overfull();
    for (const socket of overfull) this.#end(socket, CLOSE_CODES.slow, "too much is unread; connect again and go on");
    if (overfull.length > 0) this.#arm(0);
  }

  #arm(pauseMs: number): void {
    const tx = this.#transactions.tx();
    const times = [due.nextDue(tx), this.#tokenEnds.next].filter((at) => at !== null);
    if (times.length > 0) this.#alarm.arm(Math.max(Math.min(...times), tx.now + pauseMs), tx.now);
  }

  /** [QU1] After the commit; where it fails the alarm finds the row and sends another. */
  async #sendToken(): Promise<void> {
    try {
      await this.env.DISPATCH.send({ workspace: this.ctx.id.name ?? "" });
    } catch (error) {
      report("a token was not sent", { error: stackOf(error) });
    }
  }

  /** The consumer of the queue has a token of this workspace. */
  dispatch(): void {
    this.#fromQueue(dispatch.look);
  }

  /** Tokens that the queue has given up: the alarm sends others; that it came so far is worth a line in the audit log. */
  lostTokens(count: number): void {
    this.#fromQueue((tx) => audit.append(tx, { kind: "queue.lost", subject: "shim-dispatch", detail: { count } }));
  }

  #fromQueue(work: (tx: Tx) => unknown): void {
    this.#begin();
    if (!this.#isCreated) return;
    this.#transactions.run((tx) => ok(work(tx)));
    this.#settle();
  }

  /** Nothing is remembered from one event to the next. */
  #begin(): void {
    this.#transactions.begin();
    this.#sockets.begin();
    if (this.#isCreated && this.#tokenEnds.isDue(this.now())) this.#endExpired();
  }

  #migrate(): void {
    this.ctx.storage.transactionSync(() => {
      const { minReader } = schemaState(this.#sql);
      if (minReader > migrations.length) {
        throw new Error(`the workspace was written by a newer program (it needs schema ${minReader}); deploy that one`);
      }
      migrate(this.#sql, this.now(), migrations);
    });
  }
}

function text(result: Result<unknown, Refusal>): string {
  return JSON.stringify(result);
}
