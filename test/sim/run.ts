import type { Bug } from "./bug.ts";
import { Days } from "./days.ts";
import { T0, Violation } from "./sim.ts";
import { stormy } from "./weather.ts";
import { type Size, World } from "./world.ts";

export interface Run {
  readonly seed: number;
  readonly events: number;
  readonly bug?: Bug | null;
  /** Events of one day. */
  readonly day?: number | undefined;
  /** Sees each event. */
  readonly trace?: ((line: string) => void) | undefined;
}

export interface Outcome {
  /** Null: every rule held. */
  readonly violation: Violation | null;
  readonly events: number;
  readonly counts: ReadonlyMap<string, number>;
}

const usual: Size = { machines: 4, chats: 10 };

/** One run from a seed: the same seed, the same run. */
export async function simulate({ seed, events, bug = null, day, trace }: Run): Promise<Outcome> {
  const world = new World(seed, bug, { ...stormy }, usual);
  follow(world, trace);
  const violation = await watched(world, () =>
    new Days(world, day, bug?.focus, bug ? bug.focus?.restores : 0.5, bug?.isInList ?? bug === null).run(events),
  );
  world.host.sql.close();
  return { violation, events: world.sim.events, counts: world.sim.counts };
}

/** Tells each event, with the true time since the beginning. */
export function follow({ sim }: World, trace: ((line: string) => void) | undefined): void {
  if (trace) sim.trace = (line) => trace(`${sim.events} +${sim.now - T0} ${line}`);
}

/** What is thrown is a violation, too: the engine has no business to throw. */
export async function watched({ sim }: World, work: () => Promise<void>): Promise<Violation | null> {
  try {
    await work();
    return null;
  } catch (error) {
    if (error instanceof Violation) return error;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return new Violation("throws", text, sim.events, sim.now);
  }
}
