import { DurableObject } from "cloudflare:workers";
import type { Refusal } from "../contract/errors.ts";
import { PING, PONG } from "../contract/protocol.ts";
import { checkFields, checkInput, checkScope } from "../coordination/check-input.ts";
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
import { answer, readFrame, type Frame, type RpcRequest } from "./frames.ts";
import { Gathering } from "./gathering.ts";
import { Operations } from "./operations.ts";
import { close, closeCodes, isUndoable, release, send, Sockets } from "./sockets.ts";
import { report } from "./report.ts";
import { StorageSql } from "./storage-sql.ts";
import { Transactions, undoing } from "./transactions.ts";

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
  readonly #sockets = new Sockets(this.ctx, this.#sql);
  readonly #alarm = new Alarm(this.ctx.storage);
  readonly #gathering = new Gathering({ begin: () => this.#begin(), end: () => this.#settle() });
  readonly #transactions = new Transactions(this.ctx.storage, this.#sql, this.#sockets, () => this.now());
  readonly #operations = new Operations({
    transactions: this.#transactions,
    sockets: this.#sockets,
    alarm: this.#alarm,
    sql: this.#sql,
    closeSocket: (socket, code, reason) => this.#end(socket, code, reason),
  });
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
      // All of them: a connection that is gone is not looked for again.
      this.#transactions.run((tx) => ok(liveness.missing(tx, Number.MAX_SAFE_INTEGER)));
      this.#settle(0);
    });
  }

  /** Epoch ms: the one place of the object that reads a clock. */
  protected now(): number {
    return Date.now();
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
    return text(this.#guarded(() => this.#call(credentials, name, input)));
  }

  #call(credentials: Credentials, name: string, input: unknown): Result<unknown, Refusal> {
    this.#begin();
    const bearer = this.#bearer(credentials);
    if (!bearer.ok) return bearer;
    // [WO3] The worker has looked how it is nested.
    const checked = checkFields(name, input);
    const result = checked.ok ? this.#operations.run(bearer.value, checked.value) : checked;
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
      this.#guarded(() => {
        const bearer = this.#bearer(credentials);
        if (!bearer.ok) return bearer;
        const refused = checkScope("tokens.create", bearer.value.scope);
        if (refused) return err(refused);
        const added = this.#transactions.run((tx) => tokens.addOnce(tx, bearer.value.machine, token, asked));
        this.#settle();
        return added;
      }),
    );
  }

  /** The upgrade. The worker has checked the signature, the origin and the address. */
  override fetch(request: Request): Response {
    const { searchParams } = new URL(request.url);
    const credentials = { id: searchParams.get("token") ?? "", hash: searchParams.get("hash") ?? "" };
    const bearer = this.#bearer(credentials);
    if (!bearer.ok) return Response.json({ code: bearer.error.code, message: bearer.error.message }, { status: 401 });
    const chat = searchParams.get("chat");
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server, [`token:${bearer.value.id}`, ...(chat === null ? [] : [`chat:${chat}`])]);
    attach(server, { token: credentials, openedAt: this.now(), chat, incarnation: null, watches: [] });
    return new Response(null, { status: 101, webSocket: client });
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void | Promise<void> {
    return this.#gathering.join(socket, this.now(), () => this.#handle(socket, message));
  }

  #handle(socket: WebSocket, message: string | ArrayBuffer): void {
    const bearer = this.#bearer(attachmentOf(socket)?.token ?? { id: "", hash: "" });
    if (!bearer.ok) return this.#end(socket, closeCodes.token, bearer.error.message);
    const frame = readFrame(message);
    if (!frame.ok) {
      send(socket, JSON.stringify(answer(null, frame)));
      return this.#end(socket, closeCodes.protocol, "not a frame of JSON-RPC 2.0");
    }
    const answers = this.#answerAll(socket, bearer.value, frame.value.requests);
    const [first] = answers;
    if (first) send(socket, JSON.stringify(frame.value.isBatch ? answers : first));
  }

  #answerAll(socket: WebSocket, bearer: tokens.Bearer, requests: Frame["requests"]): object[] {
    const each = (): object[] => requests.flatMap((request) => this.#answer(socket, bearer, request));
    return requests.length > 1 && requests.every(isUndoable) ? this.#transactions.together(each) : each();
  }

  #answer(socket: WebSocket, bearer: tokens.Bearer, request: RpcRequest | null): object[] {
    if (!request) return [answer(null, err({ code: "bad_input", message: "not a request of JSON-RPC 2.0" }))];
    if (request.method === "state.watch-ack") {
      const { watch, revision } = request.params as { watch?: unknown; revision?: unknown };
      this.#sockets.taken(socket, watch, revision);
      return [];
    }
    const result = this.#guarded(() => {
      const checked = checkInput(request.method, request.params);
      return checked.ok ? this.#operations.run(bearer, checked.value, socket) : checked;
    });
    return request.id === null ? [] : [answer(request.id, result)];
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
    close(socket, code, reason);
    this.#gone(socket);
    release(socket);
  }

  /** [DO8] Within an event, at whose end what follows is told. */
  #gone(socket: WebSocket): void {
    this.#begin();
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
    // What is only read makes nothing due.
    if (this.#sql.hasWritten() || pauseMs !== null || this.#alarm.isLost(this.now())) {
      const tx = this.#transactions.tx();
      const next = due.nextDue(tx);
      if (next !== null) this.#alarm.arm(Math.max(next, tx.now + (pauseMs ?? 0)), tx.now);
    }
    const hints = this.#transactions.takeHints();
    if (hints.some(({ kind }) => kind === "dispatch")) this.ctx.waitUntil(this.#sendToken());
    this.#sockets.tell(hints);
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
  }

  /** A bug is logged with its stack and answered without it. */
  #guarded(work: () => Result<unknown, Refusal>): Result<unknown, Refusal> {
    try {
      return work();
    } catch (error) {
      if (error === undoing) throw error;
      report("an operation failed", { error: stackOf(error) });
      return err({ code: "internal", message: "the coordinator failed; nothing was changed", retryAfterMs: 1_000 });
    }
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
