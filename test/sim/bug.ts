import { soundClient, type ClientQuirks } from "./client/quirks.ts";
import type { Weather } from "./weather.ts";
import { soundHost, type HostQuirks } from "./host/quirks.ts";

/** Where a rare thing is looked for: what is done and what goes wrong more often. By name; a factor. */
export interface Focus {
  readonly acts?: Readonly<Record<string, number>>;
  readonly faults?: Readonly<Record<string, number>>;
  /** Share of the renewals after which no other follows. */
  readonly forgets?: number;
  /** Share of the leases that are bound. */
  readonly bound?: number;
  /** Share of the steps of work after which a task is forgotten. */
  readonly neglects?: number;
  /** Mean time between two faults. */
  readonly faultMs?: number;
  /** Share of the days without tasks, with restores. */
  readonly restores?: number;
  readonly weather?: Partial<Weather>;
}

/** What a planted bug breaks in what is done by hand. */
export interface OperatorQuirks {
  /** The epoch is not raised after a restore. */
  readonly forgetsToRaise: boolean;
  /** It is raised, and leases are granted at once. */
  readonly skipsQuiet: boolean;
}

/** Something that is made wrong on purpose, to see that it is caught. */
export interface Bug {
  readonly name: string;
  /** What a reader of the code would say of it. */
  readonly about: string;
  /** Events in which it is caught, from whatever seed. */
  readonly within: number;
  readonly host?: Partial<HostQuirks>;
  readonly client?: Partial<ClientQuirks>;
  readonly operator?: Partial<OperatorQuirks>;
  readonly focus?: Focus;
}

export function hostOf(bug: Bug | null): HostQuirks {
  return { ...soundHost, ...bug?.host };
}

export function clientOf(bug: Bug | null): ClientQuirks {
  return { ...soundClient, ...bug?.client };
}

export function operatorOf(bug: Bug | null): OperatorQuirks {
  return { forgetsToRaise: false, skipsQuiet: false, ...bug?.operator };
}
