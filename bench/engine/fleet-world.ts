/** The teams of a fleet: projects of very different sizes, their chats, and what these do. Drawn from one seed. */
import { range } from "../figures.ts";
import { Random } from "../restore/random.ts";

export interface FleetChat {
  readonly id: string;
  readonly project: number;
  /** Of the tasks that it takes. */
  readonly lane: number;
}

export interface World {
  readonly chats: readonly FleetChat[];
  /** Those of each project. */
  readonly members: readonly (readonly FleetChat[])[];
}

/** One step of a job: a task, and the chat that does it. */
export interface Step {
  readonly project: number;
  readonly worker: FleetChat;
}

export type Act =
  | { readonly kind: "heartbeat"; readonly chat: FleetChat }
  | { readonly kind: "message"; readonly chat: FleetChat; readonly to: FleetChat }
  | { readonly kind: "key"; readonly chat: FleetChat; readonly key: number }
  /** Each step depends on the one before. */
  | { readonly kind: "job"; readonly chat: FleetChat; readonly steps: readonly Step[] };

const projects = 5_000;
const lanes = 40;
/** Of messages, and of the steps of jobs: those that concern another project. */
const foreignShare = 0.05;
const keysPerProject = 50;
const stepsPerJob = 3;

/** @param exponent of Zipf's law: the share of the n-th project is 1 / n ** exponent of the first one's */
export function aWorld(count: number, exponent: number, seed = 7): World {
  const weights = range(projects, (n) => 1 / (n + 1) ** exponent);
  const sum = weights.reduce((all, weight) => all + weight, 0);
  const random = new Random(seed);
  const members: FleetChat[][] = weights.map(() => []);
  const chats: FleetChat[] = [];
  let reached = 0;
  for (const [project, weight] of weights.entries()) {
    reached += (count * weight) / sum;
    while (chats.length < Math.round(reached)) {
      const chat = { id: `chat-${chats.length}`, project, lane: random.between(0, lanes - 1) };
      members[project]?.push(chat);
      chats.push(chat);
    }
  }
  return { chats, members };
}

/** What a chat does next, of a third heartbeats. */
export function drawAct({ chats, members }: World, random: Random): Act {
  const chat = random.pick(chats);
  const colleague = (): FleetChat =>
    random.isLucky(foreignShare) ? random.pick(chats) : random.pick(members[chat.project] ?? chats);
  const share = random.share();
  if (share < 0.35) return { kind: "heartbeat", chat };
  if (share < 0.55) return { kind: "message", chat, to: colleague() };
  if (share < 0.8) return { kind: "key", chat, key: random.between(0, keysPerProject - 1) };
  const steps = range(stepsPerJob, () => colleague()).map((worker) => ({ project: worker.project, worker }));
  return { kind: "job", chat, steps };
}
