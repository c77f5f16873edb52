/** One workspace that grows: what an event costs, what a chat and a task take, how long the sweeps last. */
import { folderOnDisk } from "../own-processes.ts";
import { mean, ms, perSecond, range, ratio, sample, timed, type Row } from "../figures.ts";
import { scaled } from "../size.ts";
import { Copies } from "./copies.ts";
import { doneShare, doTasks, oneLease, oneTask, submitTasks } from "./fill.ts";
import { Workspace, type Self } from "./workspace.ts";

interface Size {
  readonly chats: number;
  readonly tasks: number;
}

/** The others have ended, and are kept for a day. */
const liveShare = 0.2;
/** `maxConcurrentChats` is at most 10,000, of which one registers. */
const maxLive = 9_999;
const types = 50;
const sizes: readonly Size[] = [
  { chats: 1_000, tasks: 10_000 },
  { chats: 10_000, tasks: 100_000 },
  { chats: 50_000, tasks: 1_000_000 },
].map(({ chats, tasks }, at) => ({ chats: scaled(chats, 20 * (at + 1)), tasks: scaled(tasks, 200 * (at + 1)) }));
const rounds = scaled(2_000, 5);

/** Bytes of the file after each step. */
interface Bytes {
  readonly empty: number;
  readonly live: number;
  readonly ended: number;
  readonly waiting: number;
  readonly done: number;
}

interface Filled {
  readonly size: Size;
  readonly workspace: Workspace;
  readonly live: readonly Self[];
  readonly bytes: Bytes;
}

function filled(folder: string, size: Size): Filled {
  const workspace = new Workspace(folder, `workspace-${size.tasks}`);
  const empty = workspace.bytes();
  const live = range(Math.min(maxLive, Math.floor(size.chats * liveShare)), (n) => workspace.register(`chat-${n}`));
  const registered = workspace.bytes();
  new Copies(workspace, selfOf(live, 0)).addEnded(size.chats - live.length, "ended-");
  const ended = workspace.bytes();
  const perType = Math.ceil(size.tasks / types);
  for (let n = 0; n < types; n++) submitTasks(workspace, perType, kindOf(n));
  const waiting = workspace.bytes();
  for (let n = 0; n < types; n++) doTasks(workspace, selfOf(live, n), Math.floor(perType * doneShare), kindOf(n).type);
  return { size, workspace, live, bytes: { empty, live: registered, ended, waiting, done: workspace.bytes() } };
}

function kindOf(n: number): { type: string; tags: string[] } {
  return { type: `type-${n % types}`, tags: ["project"] };
}

function selfOf(live: readonly Self[], n: number): Self {
  const self = live[n % live.length];
  if (!self) throw new Error("no chat lives");
  return self;
}

interface Work {
  readonly name: string;
  readonly events: number;
  readonly run: (filled: Filled, n: number) => unknown;
}

const works: readonly Work[] = [
  {
    name: "submit, claim, acknowledge",
    events: 3,
    run: ({ workspace, live }, n) => oneTask(workspace, selfOf(live, n), kindOf(n), n),
  },
  {
    name: "heartbeat with news",
    events: 1,
    run: ({ workspace, live }, n) => workspace.call("chats.heartbeat", { self: selfOf(live, n), progress: `p${n}` }),
  },
  {
    name: "heartbeat without news",
    events: 1,
    run: ({ workspace, live }, n) => workspace.call("chats.heartbeat", { self: selfOf(live, n) }),
  },
  {
    name: "register a new chat, and its end",
    events: 2,
    run: ({ workspace }, n) => workspace.unregister(workspace.register(`passing-${n}`)),
  },
  {
    name: "lease acquire and release",
    events: 2,
    run: ({ workspace, live }, n) => oneLease(workspace, selfOf(live, n), `file:app/src/${n % 1_000}.ts`, n),
  },
];

interface Measured {
  /** Of one work, in ms. */
  readonly times: number[];
  /** Ms of the processor for one work. */
  readonly busy: number;
}

export async function oneObject(): Promise<Row[]> {
  const folder = folderOnDisk("capacity");
  const all: Filled[] = [];
  for (const size of sizes) {
    console.error(`filling ${labelOf(size)} ...`);
    all.push(filled(folder, size));
  }
  const rows: Row[] = [];
  for (const work of works) rows.push(...rowsOf(work, await inTurns(work, all)));
  for (const each of all) rows.push(...storageRows(each));
  const offline: Swept[] = [];
  for (const each of all) offline.push(await goOffline(each));
  rows.push(...offline.map((each, at) => sweepRow("the alarm after chats lost their connection", each, at)));
  const pruned: Swept[] = [];
  for (const each of all) pruned.push(await aWeekLater(each));
  rows.push(...pruned.map((each, at) => sweepRow("all alarms after eight days, tasks and chats deleted", each, at)));
  for (const { workspace } of all) workspace.close();
  return rows;
}

/** All sizes take turns: a machine that becomes slower meanwhile does so for all of them. */
async function inTurns(work: Work, all: readonly Filled[]): Promise<Measured[]> {
  const measured = all.map((): { times: number[]; busy: number } => ({ times: [], busy: 0 }));
  for (let n = -Math.ceil(rounds / 10); n < rounds; n++) {
    for (const [at, each] of all.entries()) {
      const before = each.workspace.busy;
      const time = await timed(() => work.run(each, n + rounds));
      const into = measured[at];
      if (n < 0 || !into) continue;
      into.times.push(time);
      into.busy += each.workspace.busy - before;
    }
  }
  return measured.map(({ times, busy }) => ({ times, busy: busy / times.length }));
}

function labelOf({ chats, tasks }: Size): string {
  return `${chats.toLocaleString("en")} chats, ${tasks.toLocaleString("en")} tasks`;
}

function rowsOf({ name, events }: Work, measured: readonly Measured[]): Row[] {
  return measured.map(({ times, busy }, at) => {
    const { p50, p99, n } = sample(times);
    const growth = p50 / sample(measured[0]?.times ?? []).p50;
    return {
      group: "one object",
      n,
      name: `${name}: ${labelOf(sizes[at] ?? { chats: 0, tasks: 0 })}`,
      figure: `${perSecond((1_000 * events) / busy)} of the processor`,
      against: `${at === 0 ? "" : `${ratio(growth)} the smallest; `}p50 / p99 of an event ${ms(p50 / events)} / ${ms(p99 / events)}`,
    };
  });
}

function storageRows({ size, workspace, live, bytes }: Filled): Row[] {
  const tasks = workspace.count("tasks");
  const perLive = (bytes.live - bytes.empty) / live.length;
  const perEnded = (bytes.ended - bytes.live) / (size.chats - live.length);
  const waiting = (bytes.waiting - bytes.ended) / size.tasks;
  const done = (bytes.done - bytes.waiting) / size.tasks / doneShare;
  return [
    {
      group: "one object",
      n: tasks,
      name: `storage: ${labelOf(size)}`,
      figure: `${Math.round(perLive)} bytes a live chat, ${Math.round(perEnded)} an ended one, ${Math.round(waiting)} a waiting task, ${Math.round(waiting + done)} a done one`,
      against: `${(workspace.bytes() / 1e6).toFixed(1)} MB, ${workspace.rows().toLocaleString("en")} rows`,
    },
  ];
}

interface Swept {
  /** Ms of each alarm. */
  readonly times: readonly number[];
  readonly rows: number;
}

/** Longer than the grace period of an interactive chat. */
const graceMs = 21_000;

async function alarms(workspace: Workspace): Promise<number[]> {
  const times: number[] = [];
  for (let next = workspace.nextDue(); next !== null && next <= workspace.now; next = workspace.nextDue())
    times.push(await timed(() => workspace.sweep()));
  return times;
}

async function goOffline({ workspace, live }: Filled): Promise<Swept> {
  const lost = live.slice(0, Math.min(100, Math.floor(live.length / 2)));
  for (const { chat } of lost) workspace.disconnect(chat);
  workspace.now += graceMs;
  const times = await alarms(workspace);
  return { times, rows: lost.length };
}

async function aWeekLater({ workspace }: Filled): Promise<Swept> {
  const before = workspace.rows();
  workspace.now += 8 * 86_400_000;
  const times = await alarms(workspace);
  return { times, rows: before - workspace.rows() };
}

function sweepRow(name: string, { times, rows }: Swept, at: number): Row {
  const { p99 } = sample(times);
  const total = mean(times) * times.length;
  return {
    group: "one object",
    n: times.length,
    name: `${name}: ${labelOf(sizes[at] ?? { chats: 0, tasks: 0 })}`,
    figure: `${ms(total)} for ${rows.toLocaleString("en")} rows`,
    against: `${((1_000 * total) / rows).toFixed(1)} µs a row; ${times.length} alarms, p99 ${ms(p99)}`,
  };
}
