/** A fleet of 100 objects with 100,000 chats, each object the shipped engine in memory: how even four splits are, and what crosses objects. */
import type { InputOf } from "../../src/contract/operations.ts";
import { perSecond, range, ratio, type Row } from "../figures.ts";
import { Random } from "../restore/random.ts";
import { scaled } from "../size.ts";
import { aWorld, drawAct, type Act, type FleetChat, type Step, type World } from "./fleet-world.ts";
import { MemoryEngine } from "./memory-engine.ts";
import { placeLargestFirst } from "./placement.ts";

const objects = scaled(100, 10);
const chatCount = scaled(100_000, 200);
/** Simulated time. */
const seconds = scaled(5, 3);
/** A third of these are heartbeats: one each 30 s. */
const actsPerChatSecond = 0.1;

/** Says where things live: each answers the number of an object. */
interface Split {
  readonly name: string;
  readonly homeOf: (chat: FleetChat) => number;
  readonly taskAt: (step: Step, by: FleetChat) => number;
  readonly keyAt: (project: number, key: number) => number;
}

function hashed(text: string): number {
  let hash = 2_166_136_261;
  for (const char of text) hash = Math.imul(hash ^ char.charCodeAt(0), 16_777_619);
  // The low bits alone are those of the last characters.
  return ((hash ^ (hash >>> 15)) >>> 0) % objects;
}

function projectSplits(world: World): Split[] {
  const placed = placeLargestFirst(
    world.members.map(({ length }) => length),
    objects,
  );
  return [
    projectSplit("by hash of the project", (project) => hashed(`project-${project}`)),
    projectSplit("by project, largest first", (project) => placed[project] ?? 0),
  ];
}

function projectSplit(name: string, at: (project: number) => number): Split {
  return { name, homeOf: ({ project }) => at(project), taskAt: ({ project }) => at(project), keyAt: at };
}

const otherSplits: readonly Split[] = [
  {
    name: "by hash of the lane",
    homeOf: ({ lane }) => hashed(`lane-${lane}`),
    taskAt: ({ worker }) => hashed(`lane-${worker.lane}`),
    keyAt: (project) => hashed(`project-${project}`),
  },
  {
    name: "by hash of the chat",
    homeOf: ({ id }) => hashed(id),
    taskAt: (_step, by) => hashed(by.id),
    keyAt: (project, key) => hashed(`key-${project}-${key}`),
  },
];

/** Counts of what a split makes cross from one object to another. */
class Crossings {
  readonly #all = new Map<string, number>();
  readonly #crossed = new Map<string, number>();

  count(kind: string, from: number, to: number): void {
    this.#all.set(kind, (this.#all.get(kind) ?? 0) + 1);
    if (from !== to) this.#crossed.set(kind, (this.#crossed.get(kind) ?? 0) + 1);
  }

  get crossed(): number {
    return [...this.#crossed.values()].reduce((sum, count) => sum + count, 0);
  }

  share(kind: string): number {
    return (this.#crossed.get(kind) ?? 0) / (this.#all.get(kind) ?? 1);
  }
}

/** One object: the engine, its processor time, and a chat that acts for those of other objects. */
class FleetObject {
  readonly engine = new MemoryEngine();
  readonly #incarnations = new Map<string, number>();
  readonly relay: Self;
  chats = 0;
  calls = 0;
  /** Ms of the processor. */
  busy = 0;

  constructor() {
    this.engine.call("settings.set", { settings: { maxConcurrentChats: 10_000, chatTtlMs: 600_000 } });
    this.relay = this.engine.register("relay", { capacity: 100 });
  }

  register(chat: string): void {
    if (this.chats >= maxChats) return;
    this.chats += 1;
    this.#incarnations.set(chat, this.engine.register(chat, { session: chat, capacity: 5 }).incarnation);
  }

  /** The chat itself where it is registered here. */
  selfOf({ id }: FleetChat): Self {
    const incarnation = this.#incarnations.get(id);
    return incarnation === undefined ? this.relay : { chat: id, incarnation };
  }

  /** A chat that found no room is reached by a topic. */
  targetOf({ id }: FleetChat): InputOf<"messages.send">["target"] {
    return this.#incarnations.has(id) ? { to: "chat", chat: id } : { to: "topic", topic: "others" };
  }

  run<T>(calls: number, work: (engine: MemoryEngine) => T): T {
    const before = process.threadCpuUsage();
    const value = work(this.engine);
    const { user, system } = process.threadCpuUsage(before);
    this.busy += (user + system) / 1_000;
    this.calls += calls;
    return value;
  }
}

/** Of the chats that an object may have (maxConcurrentChats), without the relay. */
const maxChats = 9_999;
type Self = InputOf<"chats.heartbeat">["self"];

/** What happened under one split. */
interface Outcome {
  readonly split: Split;
  readonly fleet: readonly FleetObject[];
  readonly crossings: Crossings;
}

export async function fleet(): Promise<Row[]> {
  const rows = [0.8, 1.2].flatMap((exponent) => {
    const world = aWorld(chatCount, exponent);
    return projectSplits(world).map((split) => sizeRow(world, split, `Zipf ${exponent}, ${split.name}`));
  });
  const world = aWorld(chatCount, 1);
  for (const split of [...projectSplits(world), ...otherSplits]) {
    console.error(`${split.name} ...`);
    const outcome = simulated(world, split);
    rows.push(sizeRow(world, split, `Zipf 1, ${split.name}`), ...outcomeRows(outcome));
    for (const { engine } of outcome.fleet) engine.close();
  }
  return rows;
}

function simulated(world: World, split: Split): Outcome {
  const fleet = range(objects, () => new FleetObject());
  for (const chat of world.chats) objectAt(fleet, split.homeOf(chat)).register(chat.id);
  const crossings = new Crossings();
  const random = new Random(11);
  const count = Math.round(world.chats.length * actsPerChatSecond * seconds);
  for (let n = 0; n < count; n++) {
    perform({ split, fleet, crossings }, drawAct(world, random), n);
    if (n % 1_000 === 0) for (const { engine } of fleet) engine.now += Math.round((seconds * 1_000_000) / count);
  }
  return { split, fleet, crossings };
}

function objectAt(fleet: readonly FleetObject[], at: number): FleetObject {
  const object = fleet[at];
  if (!object) throw new Error(`there is no object ${at}`);
  return object;
}

/** Each act is done where it belongs; a chat of another object acts through the relay. */
function perform(outcome: Outcome, act: Act, n: number): void {
  const { split, fleet, crossings } = outcome;
  const { chat } = act;
  const home = split.homeOf(chat);
  if (act.kind === "job") return performJob(outcome, act.steps, chat, n);
  const { to, key } = { to: chat, key: 0, ...act };
  const place = act.kind === "key" ? split.keyAt(chat.project, key) : split.homeOf(to);
  if (act.kind !== "heartbeat") crossings.count(act.kind, home, place);
  const object = objectAt(fleet, place);
  const self = object.selfOf(chat);
  object.run(1, (engine): unknown => {
    const name = `project/${chat.project}/${key}`;
    if (act.kind === "heartbeat") return engine.call("chats.heartbeat", { self, progress: `p${n}` });
    if (act.kind === "message") return engine.call("messages.send", { self, target: object.targetOf(to), body: n });
    return n % 3 === 0 ? engine.call("state.set", { key: name, value: n }) : engine.call("state.get", { key: name });
  });
}

/** Submits, claims and ends each task where its queue is; tasks of one object are submitted together, with their edges. */
function performJob({ split, fleet, crossings }: Outcome, steps: readonly Step[], by: FleetChat, n: number): void {
  const places = steps.map((step) => split.taskAt(step, by));
  const isTogether = new Set(places).size === 1;
  const tasks = steps.map(({ worker }, at) => ({
    type: `lane-${worker.lane}`,
    payload: { n },
    ...(isTogether ? { ref: `step-${at}`, dependsOn: at === 0 ? [] : [`step-${at - 1}`] } : {}),
  }));
  for (const [at, { worker }] of steps.entries()) {
    const place = places[at] ?? 0;
    const submitted = isTogether ? (at === 0 ? tasks : []) : tasks.slice(at, at + 1);
    crossings.count("submit", split.homeOf(by), place);
    crossings.count("claim", split.homeOf(worker), place);
    if (at > 0) crossings.count("edge", places[at - 1] ?? 0, place);
    const object = objectAt(fleet, place);
    object.run(submitted.length === 0 ? 2 : 3, (engine) => {
      if (submitted.length > 0) engine.call("tasks.submit", { tasks: submitted });
      const self = object.selfOf(worker);
      const claim = { self, requestId: `c${n}-${at}`, limit: 1, types: [`lane-${worker.lane}`] };
      const [claimed] = engine.call("tasks.claim", claim).claims;
      if (!claimed) throw new Error("no task came");
      engine.call("tasks.ack", { self, task: claimed.task, claim: claimed.claim, result: n });
    });
  }
}

function sizeRow(world: World, { homeOf }: Split, group: string): Row {
  const counts = range(objects, () => 0);
  for (const chat of world.chats) counts[homeOf(chat)] = (counts[homeOf(chat)] ?? 0) + 1;
  const fullest = Math.max(...counts);
  const largest = Math.max(...world.members.map(({ length }) => length));
  return {
    group,
    n: world.chats.length,
    name: "chats of the fullest object against the mean",
    figure: ratio((fullest * objects) / world.chats.length),
    against: `${fullest.toLocaleString("en")} chats, where an object takes ${(maxChats + 1).toLocaleString("en")}; the largest project has ${largest.toLocaleString("en")}, ${counts.filter((chats) => chats === 0).length} objects have none`,
  };
}

function outcomeRows({ split, fleet, crossings }: Outcome): Row[] {
  const busy = fleet.map((object) => object.busy);
  const total = busy.reduce((sum, ms) => sum + ms, 0);
  const calls = fleet.reduce((sum, object) => sum + object.calls, 0);
  const skew = (Math.max(...busy) * objects) / total;
  const rate = (1_000 * calls) / total;
  const group = `Zipf 1, ${split.name}`;
  const kinds = ["submit", "claim", "edge", "message", "key"];
  return [
    {
      group,
      n: calls,
      name: "processor time of the busiest object against the mean",
      figure: ratio(skew),
      against: `${perSecond(rate)} of processor time for one object, ${perSecond((rate * objects) / skew)} for all until the busiest is full; the simulated time needs ${perSecond(calls / seconds)}`,
    },
    {
      group,
      n: calls,
      name: "what crosses objects",
      figure: kinds.map((kind) => `${kind}s ${(100 * crossings.share(kind)).toFixed(1)} %`).join(", "),
      against: `${(crossings.crossed / (chatCount * actsPerChatSecond * seconds)).toFixed(2)} hops for each act`,
    },
  ];
}
