import { DurableObject } from "cloudflare:workers";
import type { Failure } from "../contract/errors.ts";
import type { CheckedInputOf } from "../contract/operations.ts";
import { closeCodes, pingText, pongText } from "../contract/sockets.ts";
import * as liveness from "../coordination/chats/liveness.ts";
import * as due from "../coordination/due.ts";
import { EngineHost } from "../coordination/engine.ts";
import * as audit from "../coordination/kernel/audit.ts";
import * as meta from "../coordination/kernel/meta.ts";
import type { Tx } from "../coordination/kernel/tx.ts";
import * as dispatch from "../coordination/scheduling/dispatch.ts";
import { migrations } from "../coordination/schema.ts";
import * as boxes from "../coordination/workspace/boxes.ts";
import * as restore from "../coordination/workspace/restore.ts";
import * as tokens from "../coordination/workspace/tokens.ts";
import { checkScope } from "../shared/check-input.ts";
import { stackOf } from "../shared/error.ts";
import { schemaState, migrate } from "../shared/migrate.ts";
import { err, fail, ok, type Result } from "../shared/result.ts";
import type { Sql } from "../shared/sql.ts";
import { Admission, type CallAnswer } from "./admission.ts";
import { Alarm, retryPauseMs, sweepRows, HostOperations } from "./host-operations.ts";
import { innerHeaders, type Credentials, Outgoing } from "./attachments.ts";
import { Connections, type Ticket, TokenExpiry } from "./connections.ts";
import { GroupCommit } from "./group-commit.ts";
import { LoadShedder, RefusalCounts, Throttle } from "./load-limits.ts";
import { logProblem } from "./log-problem.ts";
import type { HandoverBox } from "./handover-box.ts";
import type { PhoneBox } from "./phone-box.ts";
import { bookmarkAt, type RestoreRequest, type RestoreMarks } from "./restore-marks.ts";
import { close, Sockets } from "./sockets.ts";
import { KeptRows, StorageSql } from "./storage-sql.ts";
import { Watches } from "./watches.ts";

/** Minimum gap between alarms, so work that stays due after a sweep cannot spin. */
const minPauseMs = 250;

/** Operations that are answered when the objects of the boxes that they end are cleared. */
const endsBoxes: ReadonlySet<string> = new Set(["boxes.end", "tokens.revoke"]);

interface CoordinatorEnv {
  readonly DISPATCH: Queue;
  readonly HANDOVERS: DurableObjectNamespace<HandoverBox>;
  readonly PHONES: DurableObjectNamespace<PhoneBox>;
  /** Absent where a runtime puts no storage back. */
  readonly RESTORE_MARKS?: DurableObjectNamespace<RestoreMarks>;
}

/** The single writer of one workspace. Memory only caches what storage holds. */
export class ChatCoordinator extends DurableObject<CoordinatorEnv> {
  readonly #event = <T>(work: () => T): T => {
    this.#beginEvent();
    try {
      return work();
    } finally {
      this.#endEvent();
    }
  };
  readonly #sql = new StorageSql(this.ctx.storage);
  readonly #outgoing = new Outgoing(() => crypto.randomUUID());
  readonly #throttle = new Throttle();
  readonly #load = new LoadShedder();
  readonly #refusals = new RefusalCounts();
  readonly #watches: Watches = new Watches({
    sql: this.#sql,
    outgoing: this.#outgoing,
    listOpen: () => this.#sockets.open(),
    now: () => this.now(),
  });
  readonly #sockets: Sockets = new Sockets(this.ctx, this.#sql, this.#outgoing, this.#watches);
  readonly #tokenExpiry = new TokenExpiry(this.#sql);
  readonly #boxTotals = new KeptRows(this.#sql, "boxes", () => boxes.totals(this.#sql));
  readonly #tokenRows = new KeptRows(this.#sql, "tokens", (id) => tokens.find({ sql: this.#sql }, id));
  readonly #alarm = new Alarm(this.ctx.storage);
  readonly #groupCommit = new GroupCommit({
    event: this.#event,
    storage: this.#sql,
    load: this.#load,
    synced: () => this.ctx.storage.sync(),
    now: () => this.now(),
  });
  readonly #facts = new KeptRows(this.#sql, "meta", () => meta.readFacts(this.#sql));
  readonly #engine = new EngineHost({
    store: { sql: this.#sql, transaction: this.ctx.storage.transactionSync.bind(this.ctx.storage) },
    presence: this.#sockets,
    now: () => this.now(),
    facts: () => this.#facts.get(""),
    size: () => this.size(),
    onRollBack: () => this.#facts.drop(),
  });
  readonly #connections = new Connections({
    ctx: this.ctx,
    engine: this.#engine,
    sockets: this.#sockets,
    outgoing: this.#outgoing,
    throttle: this.#throttle,
    tokenExpiry: this.#tokenExpiry,
    now: () => this.now(),
  });
  readonly #host = new HostOperations({
    engine: this.#engine,
    sockets: this.#sockets,
    watches: this.#watches,
    alarm: this.#alarm,
    sql: this.#sql,
    refusals: this.#refusals,
    size: () => this.size(),
    closeSocket: (socket, code, reason) => this.#connections.close(socket, code, reason),
  });
  readonly #admission = new Admission({
    sql: this.#sql,
    authenticate: (credentials) => this.#requireBearer(credentials),
    throttle: this.#throttle,
    load: this.#load,
    engine: this.#engine,
    host: this.#host,
    outgoing: this.#outgoing,
    connections: this.#connections,
    refusals: this.#refusals,
    size: () => this.size(),
  });
  #isCreated = false;
  /** Ends when the objects of the boxes that have ended are cleared. */
  #clearing: Promise<void> = Promise.resolve();

  constructor(ctx: DurableObjectState, env: CoordinatorEnv) {
    super(ctx, env);
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(pingText, pongText));
    void ctx.blockConcurrencyWhile(async () => {
      // Nothing is stored for a workspace that was never created.
      this.#isCreated = schemaState(this.#sql).version > 0;
      if (!this.#isCreated) return;
      migrateWorkspace(ctx.storage, this.#sql, this.now());
      const marks = this.env.RESTORE_MARKS?.getByName(this.#name);
      const mark = await marks?.read();
      if (marks && mark && restore.isUnsettled({ sql: this.#sql }, mark)) {
        const kept = await marks.kept();
        this.#engine.run((tx) => ok(restore.settle(tx, mark, kept)), true);
      }
      await this.#alarm.load();
      this.#watches.begin();
      this.#connections.closeExpired();
      this.#engine.run((tx) => ok(liveness.markLostConnections(tx)));
      this.#endEvent(0);
    });
  }

  /** Epoch ms; the only clock of the object. */
  protected now(): number {
    return Date.now();
  }

  /** Bytes that are stored here, and reserved in boxes. */
  protected size(): number {
    return this.ctx.storage.sql.databaseSize + (this.#isCreated ? this.#boxTotals.get("").chars : 0);
  }

  get #name(): string {
    return this.ctx.id.name ?? "";
  }

  /** Creates the workspace. A repeat succeeds while its token is valid. */
  create(token: tokens.NewToken): Result<{ id: string }> {
    return this.#event(() => {
      if (this.#isCreated && this.#requireBearer(token).ok) return ok({ id: token.id });
      if (this.#isCreated) return fail("workspace_exists", "this workspace already exists");
      migrateWorkspace(this.ctx.storage, this.#sql, this.now());
      this.#isCreated = true;
      return this.#engine.run((tx) => tokens.add(tx, "admin", token));
    });
  }

  /**
   * @param input fields of a query, or the text of a body: the worker has checked its nesting
   * @returns the JSON text of the answer, which the worker passes on
   */
  call(credentials: Credentials, name: string, input: unknown): CallAnswer | Promise<CallAnswer> {
    const answer = this.#admit(credentials, name, input);
    return endsBoxes.has(name) ? this.#afterClearing(answer) : answer;
  }

  #admit(...request: Parameters<Admission["call"]>): CallAnswer | Promise<CallAnswer> {
    return this.#groupCommit.run(() => this.#admission.call(...request));
  }

  #requireBearer({ id, hash }: Credentials): Result<tokens.Bearer> {
    if (!this.#isCreated) return fail("unknown_workspace", "there is no such workspace");
    const found = tokens.toBearer(this.#tokenRows.get(id), hash, this.now());
    return found ? ok(found) : fail("unauthenticated", "the token was revoked, has expired, or is unknown");
  }

  checkToken(credentials: Credentials): Result<null> {
    const bearer = this.#requireBearer(credentials);
    return bearer.ok ? ok(null) : bearer;
  }

  /** Whether the ticket had not been used before. */
  useTicket(ticket: Ticket): boolean {
    return this.#event(() => this.#connections.useTicket(ticket));
  }

  /**
   * Stores a token signed by the worker; a repeated request derives the same one.
   * @returns the JSON text of a `tokens.AddedToken`
   */
  addToken(
    credentials: Credentials,
    token: tokens.NewToken,
    tokenRequest: tokens.TokenRequest,
  ): CallAnswer | Promise<CallAnswer> {
    const { machine, scope } = token;
    const input = { machine, scope, ...tokenRequest };
    return this.#admit(credentials, "tokens.create", input, (tx, actor) =>
      tokens.addOnce(tx, actor.machine, token, tokenRequest),
    );
  }

  /** @param hash of the caller's token as the present secret signs it */
  renewToken(credentials: Credentials, hash: string): CallAnswer | Promise<CallAnswer> {
    return this.#admit(credentials, "tokens.renew", {}, (tx) => tokens.renew(tx, credentials, hash));
  }

  /** @param id that the worker has signed */
  async createBox(
    credentials: Credentials,
    id: string,
    input: CheckedInputOf<"boxes.create">,
  ): Promise<Result<{ id: string }>> {
    const named = { id, token: credentials.id };
    const answer = this.#admit(credentials, "boxes.create", input, (tx) => boxes.add(tx, named, input));
    const made = await this.#afterClearing(answer);
    if (!made.ok) return made;
    const { until } = JSON.parse(made.value) as { until: number };
    await this.#boxOf({ kind: input.kind, id }).create(input, until);
    return ok({ id });
  }

  /**
   * Whether the holder of a token may use a box.
   * @param forMs see {@link boxes.use}
   */
  useBox(credentials: Credentials, box: boxes.NamedBox, forMs?: number): Result<{ until: number }> {
    return this.#event(() => {
      const bearer = this.#requireBearer(credentials);
      if (!bearer.ok) return bearer;
      const refused = checkScope("boxes.create", bearer.value.scope);
      if (refused !== null) return err(refused);
      return this.#engine.run((tx) => boxes.use(tx, { ...box, token: credentials.id }, forMs));
    });
  }

  #boxOf({ kind, id }: boxes.NamedBox): DurableObjectStub<HandoverBox | PhoneBox> {
    return kind === "phone" ? this.env.PHONES.getByName(id) : this.env.HANDOVERS.getByName(id);
  }

  /** The answer, once no object of a box that has ended holds or relays anything. */
  async #afterClearing<T>(answer: T | Promise<T>): Promise<T> {
    const given = await answer;
    await this.#clearing;
    return given;
  }

  /** Objects that do not answer are cleared by a later alarm. */
  async #clearEnded(): Promise<void> {
    const clear = async (box: boxes.NamedBox): Promise<void> => {
      await this.#boxOf(box).clear();
      boxes.boxes.delete(this.#sql, { id: box.id, isEnded: 1 });
    };
    const cleared = await Promise.allSettled(boxes.listEnded(this.#sql).map(clear));
    for (const one of cleared)
      if (one.status === "rejected") logProblem("a box was not cleared", { error: stackOf(one.reason) });
  }

  /**
   * Finds out whether the storage can be put back, and what would be lost; a restore that is no dry
   * run is announced in the storage that goes.
   */
  async planRestore(
    credentials: Credentials,
    request: RestoreRequest,
    id: string,
  ): Promise<Result<restore.RestorePlan & { readonly bookmark: string }>> {
    const { to, isDryRun } = request;
    const plan = await this.#admit(credentials, "workspace.restore", request, (tx, { machine }) =>
      restore.plan(tx, to, machine),
    );
    if (!plan.ok) return plan;
    const bookmark = await bookmarkAt(this.ctx.storage, to, this.now());
    if (!bookmark.ok) return bookmark;
    if (!isDryRun) this.#event(() => this.#engine.run((tx) => ok(restore.announce(tx, id)), true));
    return ok({ ...(JSON.parse(plan.value) as restore.RestorePlan), bookmark: bookmark.value });
  }

  /**
   * Ends this object; its next start has the storage of the bookmark, but for rows that are kept
   * elsewhere while nothing else runs. The caller sees an error.
   */
  async beginRestore(bookmark: string, mark: restore.RestoreMark): Promise<void> {
    await this.ctx.blockConcurrencyWhile(async () => {
      await this.env.RESTORE_MARKS?.getByName(this.#name).write(mark, restore.keep(this.#sql));
      await this.ctx.storage.onNextSessionRestoreBookmark(bookmark);
      this.ctx.abort("the workspace is put back to an earlier time");
    });
  }

  /** @returns null: the restore of this id did not happen */
  epochAfterRestore(id: string): number | null {
    return this.#isCreated ? restore.epochAfter(this.#engine.tx(), id) : null;
  }

  /**
   * Deletes everything that is stored, and ends this object, which its caller sees as an error.
   *
   * @returns why not
   */
  async delete(credentials: Credentials, input: CheckedInputOf<"workspace.delete">): Promise<CallAnswer> {
    const isMeant = input.name === this.#name;
    const other: Failure = { code: "bad_input", message: `this workspace is ${this.#name}, not ${input.name}` };
    const asked = await this.#admit(credentials, "workspace.delete", input, () => (isMeant ? ok(null) : err(other)));
    if (!asked.ok) return asked;
    for (const socket of this.#sockets.open()) close(socket, closeCodes.token, "the workspace was deleted");
    this.#event(() => this.#engine.run((tx) => ok(boxes.endAll(tx)), true));
    await this.#clearing;
    if (boxes.boxes.count(this.#sql) > 0) return fail("internal", "a hand-over or a phone was not ended: repeat it");
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
    await this.ctx.storage.sync();
    this.ctx.abort("the workspace was deleted");
    return asked;
  }

  isCreated(): boolean {
    return this.#isCreated;
  }

  override fetch(request: Request): Response {
    return this.#event(() => this.#connect(request));
  }

  #connect({ headers }: Request): Response {
    const credentials = { id: headers.get(innerHeaders.token) ?? "", hash: headers.get(innerHeaders.hash) ?? "" };
    const bearer = this.#requireBearer(credentials);
    if (!bearer.ok) return Response.json(bearer.error, { status: 401 });
    const opened = this.#connections.open(headers.get(innerHeaders.ticket), credentials, bearer.value);
    if (opened.webSocket) this.#arm(0);
    return opened;
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void | Promise<void> {
    return this.#groupCommit.run(() => this.#admission.frame(socket, message));
  }

  /** Handles the queued frames of this socket before its close. */
  override webSocketClose(socket: WebSocket, code: number): void | Promise<void> {
    return this.#groupCommit.run(() => {
      close(socket, code === 1005 || code === 1006 ? 1000 : code, "");
      this.#connections.handleClosed(socket);
    });
  }

  override webSocketError(socket: WebSocket): void | Promise<void> {
    return this.#groupCommit.run(() => this.#connections.handleClosed(socket));
  }

  /**
   * Sets the next alarm while anything is due, even after the last failed retry. A failure
   * does not end the event: setting an alarm would replace the runtime's retry with its backoff.
   */
  override alarm(info?: AlarmInvocationInfo): void {
    this.#beginEvent();
    this.#alarm.ring();
    if (!this.#isCreated) return;
    try {
      for (const error of this.#engine.sweep(sweepRows)) logProblem("a sweep failed", { error });
      this.#endEvent(minPauseMs);
    } catch (error) {
      if ((info?.retryCount ?? 0) < 5) throw error;
      logProblem("the alarm failed", { error: stackOf(error) });
      this.#alarm.arm(this.now() + retryPauseMs, this.now());
    }
  }

  #beginEvent(): void {
    this.#engine.beginEvent();
    if (this.#isCreated && this.#tokenExpiry.isDue(this.now())) this.#connections.closeExpired();
  }

  /** Dispatches, sets the alarm, and sends the hints of what the event has changed. */
  #endEvent(pauseMs: number | null = null): void {
    this.#engine.dispatch(dispatch.assignAtOnce, (error) => logProblem("a dispatch failed", { error: stackOf(error) }));
    if (this.#isCreated) this.#host.countRows();
    if (this.#mustArm() || pauseMs !== null) this.#arm(pauseMs ?? 0);
    const hints = this.#engine.takeHints();
    if (hints.some(({ kind }) => kind === "dispatch")) this.ctx.waitUntil(this.#sendToken());
    if (hints.some(({ kind }) => kind === "boxes")) this.#clearing = this.#clearing.then(() => this.#clearEnded());
    this.#sockets.notify(hints, () => this.#engine.tx());
    if (this.#connections.closeSlow()) this.#arm(0);
  }

  /** Runs after the commit; if it fails, the alarm sends another token. */
  async #sendToken(): Promise<void> {
    try {
      await this.env.DISPATCH.send({ workspace: this.#name });
    } catch (error) {
      logProblem("a token was not sent", { error: stackOf(error) });
    }
  }

  #mustArm(): boolean {
    return this.#sql.hasWritten() || this.#engine.isKnownFull || this.#alarm.isLost(this.now());
  }

  #arm(pauseMs: number): void {
    const tx = this.#engine.tx();
    const times = [due.nextDue(tx), this.#tokenExpiry.next].filter((at) => at !== null);
    if (times.length > 0) this.#alarm.arm(Math.max(Math.min(...times), tx.now + pauseMs), tx.now);
  }

  dispatch(): void {
    this.#runFromQueue(dispatch.assignQueued);
  }

  lostTokens(count: number): void {
    this.#runFromQueue((tx) => audit.append(tx, { kind: "queue.lost", subject: "shim-dispatch", detail: { count } }));
  }

  #runFromQueue(work: (tx: Tx) => unknown): void {
    if (this.#isCreated) this.#event(() => this.#engine.run((tx) => ok(work(tx))));
  }
}

/**
 * In one transaction.
 * @param now epoch ms
 * @throws if the schema needs a newer program
 */
function migrateWorkspace(storage: Pick<DurableObjectStorage, "transactionSync">, sql: Sql, now: number): void {
  storage.transactionSync(() => {
    const { minReader } = schemaState(sql);
    if (minReader > migrations.length) {
      throw new Error(`the workspace was written by a newer program (it needs schema ${minReader}); deploy that one`);
    }
    migrate(sql, now, migrations);
  });
}
