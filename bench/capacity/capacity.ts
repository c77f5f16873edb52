import { range, sample, scaled, timed } from "../measure.ts";
import { folderOnDisk } from "../own-processes.ts";
import { payload, perSubmit } from "../tasks/worker.ts";
import { Workspace, type Self } from "./workspace.ts";

/** The largest, and one of a fiftieth of its chats and a hundredth of its tasks. */
const sizes = {
  small: { chats: scaled(1_000, 20), tasks: scaled(10_000, 200) },
  large: { chats: scaled(50_000, 40), tasks: scaled(1_000_000, 400) },
};
/** The others have ended, and are kept for a day. */
const liveShare = 0.2;
/** `maxConcurrentChats` is at most 10,000. */
const maxLive = 9_999;
const types = 50;
/** Of the tasks: those that are done, and wait for the end of their retention. */
const doneShare = 0.9;
const perClaim = 50;
const rounds = scaled(2_000, 5);

interface Size {
  readonly chats: number;
  readonly tasks: number;
}

interface Filled {
  readonly workspace: Workspace;
  readonly live: readonly Self[];
}

/**
 * One workspace on the shipped engine, with neither network nor runtime: submit, claim and acknowledge, in which
 * each event is one commit. The sizes take turns.
 */
export async function capacity() {
  const folder = folderOnDisk("capacity");
  const [small, large] = [filled(folder, sizes.small), filled(folder, sizes.large)];
  const times: { small: number[]; large: number[] } = { small: [], large: [] };
  let busy = 0;
  for (let n = -Math.ceil(rounds / 10); n < rounds; n++) {
    const timeOfSmall = await timed(() => oneTask(small, n + rounds));
    const before = large.workspace.busy;
    const timeOfLarge = await timed(() => oneTask(large, n + rounds));
    if (n < 0) continue;
    times.small.push(timeOfSmall);
    times.large.push(timeOfLarge);
    busy += large.workspace.busy - before;
  }
  const megabytes = large.workspace.bytes() / 1e6;
  for (const { workspace } of [small, large]) workspace.close();
  const growth = sample(times.large).p50 / sample(times.small).p50;
  return { ...sizes.large, eventsPerSecond: (3 * rounds * 1_000) / busy, growth, megabytes };
}

function filled(folder: string, size: Size): Filled {
  const workspace = new Workspace(folder, `workspace-${size.tasks}`);
  const live = range(Math.min(maxLive, Math.floor(size.chats * liveShare)), (n) => workspace.register(`chat-${n}`));
  workspace.addEnded(size.chats - live.length);
  const all = { workspace, live };
  const perType = Math.ceil(size.tasks / types);
  for (let n = 0; n < types; n++) {
    for (let from = 0; from < perType; from += perSubmit) {
      const tasks = range(Math.min(perSubmit, perType - from), (at) => aTask(n, from + at));
      workspace.call("tasks.submit", { tasks });
    }
    doTasks(all, n, Math.floor(perType * doneShare));
  }
  return all;
}

function aTask(type: number, n: number) {
  return { type: `type-${type % types}`, tags: ["project"], payload: payload(n) };
}

function selfOf({ live }: Filled, n: number): Self {
  const self = live[n % live.length];
  if (!self) throw new Error("no chat lives");
  return self;
}

/** Claims and acknowledges `count` tasks of a type, fifty in each event. */
function doTasks(filled: Filled, type: number, count: number): void {
  const { workspace } = filled;
  const self = selfOf(filled, type);
  for (let done = 0; done < count;) {
    done += workspace.event(() => {
      const limit = Math.min(perClaim, count - done);
      const claim = { self, requestId: `${type}-${done}`, limit, types: [`type-${type}`] };
      const { claims } = workspace.part("tasks.claim", claim);
      if (claims.length === 0) throw new Error("no task came");
      const acks = claims.map(({ task, claim }) => ({ self, task, claim, result: { isDone: true } }));
      workspace.parts("tasks.ack", acks);
      return claims.length;
    });
  }
}

/** One task from its submit to its end: three events. */
function oneTask(filled: Filled, n: number): void {
  const { workspace } = filled;
  const self = selfOf(filled, n);
  const task = aTask(n, n);
  workspace.call("tasks.submit", { tasks: [task] });
  const [claimed] = workspace.call("tasks.claim", { self, requestId: `c${n}`, limit: 1, types: [task.type] }).claims;
  if (!claimed) throw new Error("no task came");
  workspace.call("tasks.ack", { self, task: claimed.task, claim: claimed.claim, result: n });
}
