/** A workspace of several objects and a directory: each act goes to where its project is, and is counted there. */
import { range } from "../figures.ts";
import { Copies } from "./copies.ts";
import { Directory } from "./directory.ts";
import { oneLease, oneTask } from "./fill.ts";
import { keyOf, kindOf, moveProject, type Move } from "./move-project.ts";
import { firstOf, type Act, type Member, type SplitWorld } from "./split-world.ts";
import { Workspace, type Self } from "./workspace.ts";

const keysPerProject = 50;
const minuteMs = 60_000;
/** Load of an object over the mean above which a project leaves it. */
const maxUnevenness = 1.02;

interface SplitOptions {
  readonly world: SplitWorld;
  readonly folder: string;
  /** The object of each project. */
  readonly placed: readonly number[];
  readonly count: number;
  /** In all, for each project by its chats. */
  readonly tasks: number;
}

/** One object, with the chats that are registered there. */
class SplitObject extends Workspace {
  readonly selves = new Map<string, Self>();
  /** Sends for chats of other objects. */
  readonly relay = this.register("relay");
  /** Of each project that is here. */
  readonly acts = new Map<number, number>();

  get load(): number {
    return [...this.acts.values()].reduce((sum, acts) => sum + acts, 0);
  }
}

export class SplitWorkspace {
  readonly objects: readonly SplitObject[];
  readonly directory: Directory;
  /** Crossings by kind; registrations in a second object; entries that were stale. */
  readonly counts = { message: 0, heartbeat: 0, guests: 0, stale: 0 };
  readonly moves: Move[] = [];
  readonly #homes: number[];
  /** What a session has looked up. */
  readonly #cached = new Map<string, number>();
  #submitted = 0;

  constructor({ world, folder, placed, count, tasks }: SplitOptions) {
    this.#homes = [...placed];
    this.directory = new Directory(folder, placed);
    this.objects = range(count, (n) => new SplitObject(folder, `object-${n}`));
    // Each has an epoch of its own, so that no number of one is a number of another.
    for (const object of this.objects) {
      this.#passMinute();
      object.call("epoch.raise", { reason: "a new object", quietMs: 0 });
    }
    this.#fill(world, tasks);
    for (const object of this.objects) [object.busy, object.events] = [0, 0];
  }

  #passMinute(): void {
    for (const object of this.objects) object.now += minuteMs;
  }

  #at(object: number): SplitObject {
    const found = this.objects[object];
    if (!found) throw new Error(`there is no object ${object}`);
    return found;
  }

  homeOf(project: number): number {
    const object = this.#homes[project];
    if (object === undefined) throw new Error(`there is no project ${project}`);
    return object;
  }

  #fill({ sizes, members }: SplitWorld, tasks: number): void {
    const chats = sizes.reduce((sum, size) => sum + size, 0);
    for (const [project, live] of members.entries()) {
      const object = this.#at(this.homeOf(project));
      for (const { id } of live) object.selves.set(id, object.register(id));
    }
    // After those: a registration reads all chats that have ended.
    const copies = this.objects.map((object) => new Copies(object, object.relay));
    for (const [project, size] of sizes.entries()) {
      if (size === 0) continue;
      const object = copies[this.homeOf(project)];
      object?.addEnded(size - (members[project]?.length ?? 0), `ended-${project}-`);
      object?.addTasks(Math.round((tasks * size) / chats), kindOf(project));
    }
    this.#submitted = this.objects.reduce((sum, object) => sum + object.count("tasks"), 0);
  }

  /** Object by object. */
  performAll(acts: readonly Act[], from: number): void {
    const homes = acts.map((act, n) => ({ act, n: from + n, home: this.homeOf(firstOf(act.by)) }));
    for (const { act, n } of homes.toSorted((a, b) => a.home - b.home)) this.#perform(act, n);
  }

  #perform(act: Act, n: number): void {
    const { by } = act;
    if (act.kind === "heartbeat") return this.#heartbeat(by, n);
    if (act.kind === "message") return this.#message(by, act.to, n);
    const object = this.#objectFor(by, act.project);
    const self = this.#selfIn(object, by);
    if (act.kind === "task") {
      oneTask(object, self, kindOf(act.project), n);
      this.#submitted += 1;
    } else if (act.kind === "lease") oneLease(object, self, `file:project-${act.project}/src/${n % 50}.ts`, n);
    else object.call("state.set", { key: keyOf(act.project, n % keysPerProject), value: n });
  }

  /** A session asks the directory once, and again where the object answers that the project has moved. */
  #objectFor({ id }: Member, project: number): SplitObject {
    const entry = `${id} ${project}`;
    let at = this.#cached.get(entry) ?? this.directory.find(project);
    if (at !== this.homeOf(project)) {
      this.counts.stale += 1;
      // The row of the answer "moved".
      this.#at(at).call("state.get", { key: `moved/${project}` });
      at = this.directory.find(project);
    }
    this.#cached.set(entry, at);
    const object = this.#at(at);
    object.acts.set(project, (object.acts.get(project) ?? 0) + 1);
    return object;
  }

  /** Registers a chat that is new in the object: one of two projects, or one whose project has moved. */
  #selfIn(object: SplitObject, { id, projects }: Member): Self {
    const found = object.selves.get(id);
    if (found) return found;
    this.counts.guests += 1;
    const homes = new Set(projects.map((project) => this.#at(this.homeOf(project))));
    for (const other of this.objects) {
      const left = homes.has(other) ? undefined : other.selves.get(id);
      if (left) other.unregister(left);
      if (left) other.selves.delete(id);
    }
    const self = object.register(id);
    object.selves.set(id, self);
    return self;
  }

  /** In each object where the chat is registered. */
  #heartbeat(by: Member, n: number): void {
    const objects = new Set(by.projects.map((project) => this.#objectFor(by, project)));
    if (objects.size > 1) this.counts.heartbeat += 1;
    for (const object of objects) {
      const self = this.#selfIn(object, by);
      object.call("chats.heartbeat", { self, ...(n % 2 === 0 ? { progress: `p${n}` } : {}) });
    }
  }

  /** To another object: a row of the sender's outbox, a call of the receiver's object, and the end of the row. */
  #message(by: Member, to: Member, n: number): void {
    const [from, into] = [this.#objectFor(by, firstOf(by)), this.#objectFor(to, firstOf(to))];
    const [sender, receiver] = [this.#selfIn(from, by), this.#selfIn(into, to)];
    const isCrossing = from !== into;
    if (isCrossing) {
      this.counts.message += 1;
      from.call("state.set", { key: `outbox/${n}`, value: { to: to.id, body: n } });
    }
    const self = isCrossing ? into.relay : sender;
    const { id } = into.call("messages.send", { self, target: { to: "chat", chat: to.id }, body: n });
    if (isCrossing) from.call("state.delete", { key: `outbox/${n}` });
    into.call("messages.pull", { self: receiver });
    into.call("messages.ack", { self: receiver, cursor: id });
  }

  /** From an object that is too busy to the least busy one: the project that evens them out best. */
  rebalance(): void {
    const byLoad = this.objects.toSorted((a, b) => b.load - a.load);
    const [busiest, idlest] = [byLoad[0], byLoad.at(-1)];
    const mean = byLoad.reduce((sum, { load }) => sum + load, 0) / byLoad.length;
    if (busiest && idlest && busiest.load > maxUnevenness * mean) {
      const gap = busiest.load - idlest.load;
      const remaining = (acts: number): number => Math.abs(gap - 2 * acts);
      const [best] = [...busiest.acts].toSorted(([, a], [, b]) => remaining(a) - remaining(b));
      if (best && remaining(best[1]) < gap) this.moves.push(this.moveTo(best[0], this.objects.indexOf(idlest)));
    }
  }

  /** Its time is counted apart: a project moves far more seldom than in a bench of a minute. */
  moveTo(project: number, object: number): Move {
    this.#passMinute();
    const ends = [this.#at(this.homeOf(project)), this.#at(object)] as const;
    const before = ends.map(({ busy, events }) => ({ busy, events }));
    const moved = moveProject(...ends, project);
    for (const [n, end] of ends.entries()) Object.assign(end, before[n]);
    ends[1].acts.set(project, ends[0].acts.get(project) ?? 0);
    ends[0].acts.delete(project);
    this.directory.move(project, object);
    this.#homes[project] = object;
    return moved;
  }

  /** @throws {Error} where a task is lost, or is in two objects */
  check(): void {
    const numbers = this.objects.flatMap(({ sql }) => sql.all<{ task: number }>("SELECT task FROM tasks"));
    const distinct = new Set(numbers.map(({ task }) => task)).size;
    if (numbers.length !== this.#submitted || distinct !== this.#submitted)
      throw new Error(`${this.#submitted} tasks were submitted, ${numbers.length} are there, ${distinct} of them once`);
  }

  close(): void {
    for (const object of this.objects) object.close();
    this.directory.close();
  }
}
