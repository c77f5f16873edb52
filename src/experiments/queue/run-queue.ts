import { sum } from "simple-statistics";
import type { Refusal } from "../../contract/errors.ts";
import type { CheckedInputOf, OutputOf } from "../../contract/operations.ts";
import { NewTask, type ClaimOptions, type ClaimedTask } from "../../contract/tasks.ts";
import type { Self } from "../../contract/values.ts";
import { defaultSettings, type Settings } from "../../contract/workspaces.ts";
import * as liveness from "../../coordination/chats/liveness.ts";
import * as due from "../../coordination/due.ts";
import { EngineHost } from "../../coordination/engine-host.ts";
import type { EngineOperation } from "../../coordination/engine.ts";
import * as meta from "../../coordination/kernel/meta.ts";
import * as totals from "../../coordination/kernel/metric-totals.ts";
import type { Hint, Tx } from "../../coordination/kernel/tx.ts";
import * as dispatch from "../../coordination/scheduling/dispatch.ts";
import { migrations } from "../../coordination/schema.ts";
import { migrate } from "../../shared/migrate.ts";
import { ok, type Result } from "../../shared/result.ts";
import { inSavepoint, type Sql } from "../../shared/sql.ts";

/** Times in ms since the record's start. */
export interface TaskRun {
  readonly atMs: number;
  /** From the submit to the first start; null: no chat ever started it. */
  readonly waitMs: number | null;
  /** From the submit to the result, without the record's running times; null: no result. */
  readonly delayMs: number | null;
  /** When its result came; of a task without one, when it was started first, or submitted. */
  readonly endMs: number;
}

export interface QueueRun {
  /** In the order of their submits. */
  readonly tasks: readonly TaskRun[];
  readonly deadTasks: number;
  readonly falseDepartures: number;
  readonly redeliveries: number;
  readonly operations: number;
}

/** A task of the record in a run. */
interface TaskHistory {
  readonly record: QueueTask;
  /** Epoch ms. */
  readonly submittedAt: number;
  firstStartAt: number | null;
  doneAt: number | null;
  failures: number;
}

/** Time after the record's end in which open tasks may still end. */
const runOnMs = 86_400_000;

/**
 * Runs the shipped engine on the record's queue under these settings.
 *
 * @param sql an empty database of its own
 */
export function runQueue(sql: Sql, record: QueueRecord, settings: Partial<Settings>): QueueRun {
  const host = new VirtualHost(sql, settings);
  const { tasks, chats } = host;
  for (const [index, chat] of record.chats.entries()) {
    const virtual = new VirtualChat(`chat-${index}`, chat, host);
    chats.set(virtual.id, virtual);
    virtual.schedule();
  }
  for (const task of record.tasks.toSorted((a, b) => a.atMs - b.atMs))
    host.at(toTime(task.atMs), () => submit(host, task));
  const end = startAt + record.windowMs;
  const last = end + runOnMs + record.tasks.reduce((longest, { runMs }) => Math.max(longest, runMs), 0);
  const isOpen = (): boolean =>
    tasks.size < record.tasks.length || [...tasks.values()].some(({ doneAt }) => doneAt === null);
  while (host.nextAt <= end || (host.nextAt <= last && isOpen())) host.runNext();
  const count = (name: Parameters<typeof totals.list>[1], isCounted: (label: string) => boolean): number =>
    sum(totals.list(sql, name).flatMap(({ label, value }) => (isCounted(label) ? [value] : [])));
  return {
    tasks: [...tasks.values()].map(toTaskRun),
    deadTasks: count("shim_task_ends_total", (label) => label === "dead"),
    falseDepartures: sum([...chats.values()].map((chat) => chat.falseDepartures)),
    redeliveries: count("shim_task_attempts_total", (label) => label !== "failed"),
    operations: host.operations,
  };
}

/** Start of every run, epoch ms: a full hour, for alarms that wait for one. */
const startAt = Date.UTC(2026, 0, 1);

function toTime(ms: number): number {
  return startAt + Math.round(ms);
}

const maxAttempts = 20;
const maxCloseMs = 7 * 86_400_000;

/** Limits that the record does not have are wide: only lost chats and stalls make a task dead. */
function submit(host: VirtualHost, record: QueueTask): void {
  const { type, priority, runMs, failures } = record;
  const task = NewTask.parse({ type, priority });
  const limits = {
    startToCloseMs: Math.min(maxCloseMs, Math.max(task.startToCloseMs, 2 * runMs)),
    maxAttempts: Math.min(maxAttempts, Math.max(task.maxAttempts, failures + 1)),
  };
  const submitted = host.call("tasks.submit", { tasks: [{ ...task, ...limits }] });
  if (!submitted.ok) throw new Error(submitted.error.message);
  const id = submitted.value.tasks[0]?.task ?? 0;
  host.tasks.set(id, { record, submittedAt: host.now, firstStartAt: null, doneAt: null, failures: 0 });
}

function toTaskRun({ record, submittedAt, firstStartAt, doneAt }: TaskHistory): TaskRun {
  const workMs = Math.max(0, record.runMs) * (1 + record.failures);
  return {
    atMs: submittedAt - startAt,
    waitMs: firstStartAt === null ? null : firstStartAt - submittedAt,
    delayMs: doneAt === null ? null : Math.max(0, doneAt - submittedAt - workMs),
    endMs: (doneAt ?? firstStartAt ?? submittedAt) - startAt,
  };
}

/** The values of the Durable Object. */
const sweepRows = 200;
const minAlarmGapMs = 250;

/** Chats and tasks of a record were admitted when they came. */
const admitting = {
  maxConcurrentChats: 10_000,
  maxOfflineChatsPerMachine: 1_000_000,
  maxLanes: 10_000,
  maxTasks: 5_000_000,
};

const actor = { machine: "simulation", isAdmin: true } as const;

/**
 * The shipped engine as the Durable Object runs it: a transaction per request, dispatch before its
 * commit, and one alarm. Time passes only from event to event.
 */
class VirtualHost {
  /** Epoch ms. */
  now = startAt;
  /** Requests and alarms so far. */
  operations = 0;
  readonly chats = new Map<string, VirtualChat>();
  /** By their numbers in the run. */
  readonly tasks = new Map<number, TaskHistory>();
  readonly #engine: EngineHost;
  /** When the alarm rings, epoch ms; infinite: nothing is due. */
  #alarmAt = Infinity;
  /** Events by time, those of one instant in the order of their entry. */
  readonly #agenda: { readonly at: number; readonly run: () => void }[] = [];

  constructor(sql: Sql, settings: Partial<Settings>) {
    migrate(sql, startAt, migrations);
    const all: Settings = { ...defaultSettings, ...settings, ...admitting };
    meta.write(sql, "settings", JSON.stringify(all));
    const facts = meta.readFacts(sql);
    this.#engine = new EngineHost({
      store: { sql, transaction: (work) => inSavepoint(sql, work) },
      presence: { lastSeen: (chat) => this.chats.get(chat)?.lastSeen() ?? null },
      now: () => this.now,
      facts: () => facts,
    });
  }

  at(at: number, run: () => void): void {
    const after = this.#agenda.findLastIndex((one) => one.at <= at);
    this.#agenda.splice(after + 1, 0, { at, run });
  }

  /** When the next event or alarm is due; infinite: never. */
  get nextAt(): number {
    return Math.min(this.#agenda[0]?.at ?? Infinity, this.#alarmAt);
  }

  /** At one instant chats and tasks come before the alarm. */
  runNext(): void {
    const isAlarm = (this.#agenda[0]?.at ?? Infinity) > this.#alarmAt;
    this.now = Math.max(this.now, this.nextAt);
    if (isAlarm) this.#ring();
    else this.#agenda.shift()?.run();
    for (let hints = this.#engine.takeHints(); hints.length > 0; hints = this.#engine.takeHints())
      for (const hint of hints) this.#onHint(hint);
  }

  #onHint(hint: Hint): void {
    if (hint.kind === "task") this.chats.get(hint.chat)?.onTaskHint();
    if (hint.kind === "offline") this.chats.get(hint.chat)?.onOffline();
    if (hint.kind !== "dispatch") return;
    // The queue delivers the token.
    this.operations += 1;
    this.#engine.run((tx) => ok(dispatch.assignQueued(tx)));
    this.#arm(0);
  }

  /** @param after part of its transaction */
  call<Name extends EngineOperation>(
    name: Name,
    input: CheckedInputOf<Name>,
    after: (tx: Tx) => void = () => undefined,
  ): Result<OutputOf<Name>, Refusal> {
    this.operations += 1;
    const result = this.#engine.call(actor, name, input, after);
    this.#engine.dispatch(dispatch.assignAtOnce);
    this.#arm(0);
    return result;
  }

  #ring(): void {
    this.operations += 1;
    this.#alarmAt = Infinity;
    const problems = this.#engine.sweep(sweepRows);
    if (problems.length > 0) throw new Error(problems.join("; "));
    this.#arm(minAlarmGapMs);
  }

  #arm(gapMs: number): void {
    const next = due.nextDue(this.#engine.tx()) ?? Infinity;
    this.#alarmAt = Math.min(this.#alarmAt, Math.max(next, this.now + gapMs));
  }
}

/** A chat sends one every 15 s; the coordinator stores each second one [TA17]. */
const storedBeatMs = 30_000;
const beatsPerStored = 2;
const maxClaims = 50;

interface Attempt {
  readonly task: number;
  readonly claim: number;
  readonly history: TaskHistory;
  /** Ended during a silence: its result waits. */
  isOver: boolean;
  beatAt: number;
}

/**
 * A chat of the record, which works on as many tasks as it has capacity, also during a silence.
 * Messages between it and the coordinator take no time.
 */
class VirtualChat {
  readonly id: string;
  /** Times in which it did not die, and was offline when it came back. */
  falseDepartures = 0;
  readonly #record: QueueChat;
  readonly #host: VirtualHost;
  readonly #running = new Map<number, Attempt>();
  #phase: "absent" | "present" | "silent" | "gone" = "absent";
  /** The coordinator has an open connection of the chat, as far as it knows. */
  #isConnected = false;
  /** First ping of the connection; during a silence, the last one. */
  #heardAt = 0;
  #pingEveryMs = 1;
  #incarnation = 0;
  #requests = 0;

  constructor(id: string, record: QueueChat, host: VirtualHost) {
    this.id = id;
    this.#record = record;
    this.#host = host;
  }

  schedule(): void {
    const { fromMs, untilMs, end, silences } = this.#record;
    const host = this.#host;
    const from = Math.max(0, fromMs);
    if (untilMs !== null && untilMs <= from) return;
    host.at(toTime(from), () => {
      this.#connect();
      this.#claimAll();
    });
    for (const { atMs, forMs } of silences) {
      if (atMs < from || forMs <= 0) continue;
      host.at(toTime(atMs), () => this.#fallSilent(toTime(atMs + forMs)));
    }
    if (untilMs !== null) host.at(toTime(untilMs), () => (end === "left" ? this.#leave() : this.#die()));
  }

  /** [CH6] Last ping that has arrived; null: no connection. */
  lastSeen(): number | null {
    if (!this.#isConnected) return null;
    if (this.#phase !== "present") return this.#heardAt;
    const since = this.#host.now - this.#heardAt;
    return this.#heardAt + since - (since % this.#pingEveryMs);
  }

  onTaskHint(): void {
    if (this.#phase === "present") this.#claimAll();
  }

  /** The coordinator closes the connections of a chat that is offline. */
  onOffline(): void {
    if (this.#phase !== "present") this.#isConnected = false;
  }

  #connect(): void {
    const { capacity, types } = this.#record;
    const chat: CheckedInputOf<"chats.register"> = {
      chat: this.id,
      session: this.id,
      process: this.id,
      machine: "simulation",
      client: "simulation",
      role: "worker",
      isInteractive: false,
      capabilities: [],
      capacity,
      taskTypes: types === null ? ["*"] : [...types],
      metadata: {},
    };
    // Over a socket. A refusal rolls it back.
    const registered = this.#host.call("chats.register", chat, (tx) => liveness.markConnected(tx, this.id));
    if (!registered.ok) throw new Error(registered.error.message);
    const { incarnation, pingIntervalMs, wasOffline, isNew } = registered.value;
    // After a day offline its row is gone.
    if (wasOffline || (isNew && this.#incarnation > 0)) this.falseDepartures += 1;
    this.#incarnation = incarnation;
    this.#pingEveryMs = pingIntervalMs;
    this.#phase = "present";
    this.#isConnected = true;
    this.#heardAt = this.#host.now;
  }

  #fallSilent(until: number): void {
    if (this.#phase !== "present") return;
    this.#phase = "silent";
    this.#heardAt = this.#host.now;
    this.#host.at(until, () => this.#comeBack());
  }

  #comeBack(): void {
    if (this.#phase !== "silent") return;
    this.#connect();
    for (const attempt of this.#running.values()) {
      if (attempt.isOver) this.#report(attempt);
      else this.#beat(attempt);
    }
    this.#claimAll();
  }

  #leave(): void {
    if (this.#phase !== "present") return this.#die();
    this.#phase = "gone";
    this.#isConnected = false;
    this.#running.clear();
    this.#host.call("chats.unregister", { self: this.#self });
  }

  #die(): void {
    this.#heardAt = this.lastSeen() ?? 0;
    this.#phase = "gone";
    this.#running.clear();
  }

  get #self(): Self {
    return { chat: this.id, incarnation: this.#incarnation };
  }

  #options(limit: number): ClaimOptions {
    const { types } = this.#record;
    return { limit, isStarted: true, ...(types === null ? {} : { types: [...types] }) };
  }

  #claimAll(): void {
    for (;;) {
      const room = Math.min(maxClaims, this.#record.capacity - this.#running.size);
      if (room <= 0) return;
      const requestId = `r${(this.#requests += 1)}`;
      const claimed = this.#host.call("tasks.claim", { self: this.#self, requestId, ...this.#options(room) });
      if (!claimed.ok || claimed.value.claims.length === 0) return;
      this.#startAll(claimed.value.claims);
    }
  }

  #startAll(claims: readonly ClaimedTask[]): void {
    const { tasks, now } = this.#host;
    for (const { task, claim } of claims) {
      const history = tasks.get(task);
      if (!history) throw new Error(`task ${task} was not submitted`);
      const attempt = { task, claim, history, isOver: false, beatAt: 0 };
      history.firstStartAt ??= now;
      this.#running.set(task, attempt);
      this.#host.at(now + Math.max(0, history.record.runMs), () => this.#end(attempt));
      this.#scheduleBeat(attempt);
    }
  }

  #isCurrent(attempt: Attempt): boolean {
    return this.#running.get(attempt.task) === attempt;
  }

  #scheduleBeat(attempt: Attempt): void {
    const at = this.#host.now + storedBeatMs;
    attempt.beatAt = at;
    this.#host.at(at, () => {
      const isDue = this.#isCurrent(attempt) && attempt.beatAt === at && !attempt.isOver;
      if (isDue && this.#phase === "present") this.#beat(attempt);
    });
  }

  /** A refusal says that the task is another chat's, or queued again. */
  #beat(attempt: Attempt): void {
    const { task, claim } = attempt;
    this.#host.operations += beatsPerStored - 1;
    if (this.#host.call("tasks.heartbeat", { self: this.#self, task, claim }).ok) return this.#scheduleBeat(attempt);
    this.#running.delete(task);
    this.#claimAll();
  }

  #end(attempt: Attempt): void {
    if (!this.#isCurrent(attempt)) return;
    if (this.#phase === "silent") attempt.isOver = true;
    else this.#report(attempt);
  }

  /** The answer to an end brings the next task. */
  #report({ task, claim, history }: Attempt): void {
    const host = this.#host;
    const input = { self: this.#self, task, claim, next: this.#options(1) };
    const isFailure = history.failures < history.record.failures;
    this.#running.delete(task);
    const ended = isFailure
      ? host.call("tasks.nack", { ...input, isRetryable: true, reason: "failed in the record" })
      : host.call("tasks.ack", { ...input, result: null });
    if (!ended.ok) return this.#claimAll();
    if (isFailure) history.failures += 1;
    else history.doneAt = host.now;
    this.#startAll(ended.value.next);
  }
}

/** Tasks and chats of a workspace's queue. Times in ms since the record's start. */
export interface QueueRecord {
  /** Length of the record. */
  readonly windowMs: number;
  readonly tasks: readonly QueueTask[];
  readonly chats: readonly QueueChat[];
}

export interface QueueTask {
  readonly type: string;
  readonly atMs: number;
  /** How long an attempt at it runs. */
  readonly runMs: number;
  readonly priority: number;
  /** Attempts that fail at their end before one succeeds. */
  readonly failures: number;
}

export interface QueueChat {
  readonly capacity: number;
  /** Task types that the chat claims; null: every type. */
  readonly types: readonly string[] | null;
  readonly fromMs: number;
  /** Null where it is present at the record's end. */
  readonly untilMs: number | null;
  /**
   * How its presence ended: it unregistered, or its pings stopped without a close. Means nothing
   * where `untilMs` is null.
   */
  readonly end: "left" | "died";
  /** Spells without a heartbeat after which the chat was there again. */
  readonly silences: readonly QueueSilence[];
}

/** The chat worked on: `shim worker` gives up a task after 40 s without an answer [WK41]. */
export interface QueueSilence {
  /** Last sign of life. */
  readonly atMs: number;
  readonly forMs: number;
}
