/** A team that outgrows one object: who lives, who works in two projects, and what they do. Drawn from one seed. */
import { aWorld, type FleetChat } from "../engine/fleet-world.ts";
import { Random } from "../restore/random.ts";

/** A live chat. */
export interface Member {
  readonly id: string;
  /** One or two; the first is that of its messages. */
  readonly projects: readonly number[];
}

export interface SplitWorld {
  /** All chats of each project. */
  readonly sizes: readonly number[];
  readonly live: readonly Member[];
  /** Those whose first project it is. */
  readonly members: readonly (readonly Member[])[];
}

export type Act =
  | { readonly kind: "heartbeat"; readonly by: Member }
  | { readonly kind: "message"; readonly by: Member; readonly to: Member }
  | { readonly kind: "key" | "lease" | "task"; readonly by: Member; readonly project: number };

/** Of 50,000 chats as many live as one object takes, with a relay and one that registers. */
const liveShare = 0.2;
const maxLive = 9_998;
const inTwoShare = 0.05;
const foreignShare = 0.05;

export function aSplitWorld(count: number, exponent: number, seed: number): SplitWorld {
  const { chats, members } = aWorld(count, exponent, seed);
  const random = new Random(seed);
  const alive = chats.filter(() => random.isLucky(liveShare)).slice(0, maxLive);
  const live = alive.map((chat) => ({ id: chat.id, projects: projectsOf(chat, alive, random) }));
  const byProject: Member[][] = members.map(() => []);
  for (const member of live) byProject[firstOf(member)]?.push(member);
  return { sizes: members.map(({ length }) => length), live, members: byProject };
}

function projectsOf({ project }: FleetChat, alive: readonly FleetChat[], random: Random): number[] {
  const other = random.isLucky(inTwoShare) ? random.pick(alive).project : project;
  return other === project ? [project] : [project, other];
}

export function firstOf({ projects }: Member): number {
  return projects[0] ?? 0;
}

export function drawAct({ live, members }: SplitWorld, random: Random): Act {
  const by = random.pick(live);
  const share = random.share();
  if (share < 0.3) return { kind: "heartbeat", by };
  if (share < 0.45) {
    const to = random.isLucky(foreignShare) ? random.pick(live) : random.pick(members[firstOf(by)] ?? live);
    return { kind: "message", by, to };
  }
  const kind = share < 0.6 ? "key" : share < 0.75 ? "lease" : "task";
  return { kind, by, project: random.pick(by.projects) };
}
