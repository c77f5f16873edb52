import { defaults, type Config } from "#src/contract/config.ts";
import type { ReplayEvent, ReplaySample, ReplaySession } from "#src/contract/replay.ts";
import type {
  History,
  PastOffer,
  PastSession,
  TaskTypeHistory,
  TeamHistory,
} from "#src/learning/experiments/opportunities/history.ts";
import { aSession } from "./sessions.ts";

type Random = () => number;

const now = 1_700_000_000_000;
const dayMs = 86_400_000;
const windowMs = 30 * dayMs;
const causes = ["killed", "closed", "context_full", "out_of_memory", "usage_limit", "unknown"];

/** Shares of what is planted; in a history without a pattern each is at most the usual one. */
interface Rates {
  /** Deaths before which checkpoints failed for a while. */
  readonly failedSaves: number;
  readonly unseen: number;
  readonly dismissed: number;
  readonly open: number;
  readonly timedOut: number;
  readonly stalled: number;
  readonly rejectedChange: number;
  /** Share of tasks that go to the first chat, in units of its fair one. */
  readonly busiest: number;
}

/** What is still usual, by the detector's own bounds. */
const usual: Rates = {
  failedSaves: 0,
  unseen: 0.1,
  dismissed: 0.3,
  open: 0.5,
  timedOut: 0.1,
  stalled: 0.1,
  rejectedChange: 0.3,
  busiest: 2,
};

/** Half of the rates at the bound, where a false finding is likeliest. */
function usualRates(random: Random): Rates {
  const rates = Object.entries(usual).map(([name, bound]) => [name, random() < 0.5 ? bound : bound * random()]);
  const all = Object.fromEntries(rates) as Rates;
  return { ...all, busiest: Math.max(1, all.busiest), open: Math.min(all.open, 1 - all.dismissed) };
}

export interface Plant {
  readonly rates?: Partial<Rates>;
  readonly sessions?: number;
  /** Typical number of events in a session. */
  readonly events?: number;
  /** Deaths for each event. */
  readonly hazard?: number;
  readonly cause?: string;
  readonly storeShare?: number;
  /** Tasks of each of two types, and as many offers and tasks by chat. */
  readonly rows?: number;
  readonly dismissedAgeMs?: number;
  readonly models?: TeamHistory["models"];
}

/** Whole numbers with a heavy tail, from 0 on. */
function heavy(random: Random, scale: number, most: number): number {
  return Math.min(most, Math.floor(scale * ((1 - random()) ** (-1 / 1.3) - 1)));
}

export function aHistory(random: Random, plant: Plant = {}): History {
  const rates = { ...usualRates(random), ...plant.rates };
  const config: Config = defaults;
  const count = plant.sessions ?? heavy(random, 30, 150);
  const maker = new SessionMaker(random, rates, plant);
  const rows = (): number => plant.rows ?? heavy(random, 25, 300);
  return {
    now,
    windowMs,
    config,
    sessions: Array.from({ length: count }, () => maker.next()).toSorted((a, b) => a.at - b.at),
    offers: Array.from({ length: rows() }, () => anOffer(random, rates, plant)),
    storeBytes: (plant.storeShare ?? 0.79 * random()) * config.retention.maxBytes,
    team: plant.rows === undefined && random() < 0.3 ? null : aTeam(random, rates, plant, rows),
    changes: Array.from({ length: rows() }, () => ({
      at: timeInWindow(random),
      rule: "oxlint no-var",
      isRejected: random() < rates.rejectedChange,
    })),
  };
}

function timeInWindow(random: Random): number {
  return now - Math.floor(random() * (windowMs - 1));
}

function anOffer(random: Random, rates: Rates, { dismissedAgeMs }: Plant): PastOffer {
  const draw = random();
  const age = heavy(random, 3_600_000, 7 * dayMs);
  // Those of the last day may still be taken.
  const at = timeInWindow(random) - dayMs;
  if (draw < rates.dismissed) return { at, ageMs: dismissedAgeMs ?? age, resolution: "dismissed" };
  return { at, ageMs: age, resolution: draw < rates.dismissed + rates.open ? "open" : "continued" };
}

function aTeam(random: Random, rates: Rates, { models, rows: planted }: Plant, rows: () => number): TeamHistory {
  const types = planted === undefined ? heavy(random, 2, 8) : 2;
  const capacities = Array.from({ length: 3 + Math.floor(random() * 6) }, () => 1 + Math.floor(random() * 4));
  // A chat that has most of the capacity cannot have twice its fair share.
  if (rates.busiest > usual.busiest) capacities[0] = 1;
  return {
    taskTypes: Array.from({ length: types }, (_, index) => aTaskType(`type-${index}`, random, rates, rows)),
    chats: loads(random, rates, capacities, rows()),
    models: models === undefined ? worseModels(random) : models,
  };
}

function aTaskType(type: string, random: Random, rates: Rates, rows: () => number): TaskTypeHistory {
  const isHit = (share: number): boolean => random() < share;
  return {
    type,
    tasks: Array.from({ length: rows() }, () => ({
      at: timeInWindow(random),
      timeouts: isHit(rates.timedOut) ? 1 + heavy(random, 1, 5) : 0,
      stalls: isHit(rates.stalled) ? 1 + heavy(random, 1, 3) : 0,
    })),
    runP95Ms: random() < 0.5 ? null : 1_000 + heavy(random, 60_000, dayMs),
  };
}

function loads(random: Random, rates: Rates, capacities: readonly number[], tasks: number): TeamHistory["chats"] {
  const total = capacities.reduce((sum, one) => sum + one, 0);
  const first = Math.min(1, (rates.busiest * (capacities[0] ?? 1)) / total);
  const counts = capacities.map(() => 0);
  for (let task = 0; task < tasks; task++) {
    let at = 0;
    if (random() >= first) {
      let left = random() * (total - (capacities[0] ?? 0));
      at = 1 + capacities.slice(1).findIndex((one) => (left -= one) < 0);
    }
    counts[at] = (counts[at] ?? 0) + 1;
  }
  return capacities.map((capacity, index) => ({ capacity, tasks: counts[index] ?? 0 }));
}

/** The cheaper model is worse by as much as matters. */
function worseModels(random: Random): TeamHistory["models"] {
  if (random() < 0.5) return null;
  const share = 0.3 + 0.7 * random();
  const outcomes = (model: string, costMicros: number, accepted: number) => {
    const tasks = heavy(random, 100, 2_000);
    const hits = Array.from({ length: tasks }, () => random() < accepted).filter(Boolean).length;
    return { type: "type-0", model, tasks, accepted: hits, costMicros };
  };
  return [outcomes("large", 50_000, share), outcomes("small", 5_000, share - 0.1)];
}

/** Sessions whose deaths have nothing to do with their readings, unless that is planted. */
class SessionMaker {
  readonly #random: Random;
  readonly #rates: Rates;
  readonly #plant: Plant;
  readonly #hazard: number;
  readonly #scale: number;

  constructor(random: Random, rates: Rates, plant: Plant) {
    this.#random = random;
    this.#rates = rates;
    this.#plant = plant;
    this.#scale = plant.events ?? 10 + random() * 100;
    this.#hazard = plant.hazard ?? random() ** 2 * 0.02;
  }

  next(): PastSession {
    const random = this.#random;
    const length = 5 + heavy(random, this.#scale, 400);
    const all = this.#events(length, random() * 0.3);
    const died = all.findIndex(() => random() < this.#hazard);
    const events = died < 0 ? all : all.slice(0, died + 1);
    const endAt = (events.at(-1)?.at ?? 0) + heavy(random, 2_000, 60_000);
    const cause = this.#plant.cause ?? causes[Math.floor(random() * causes.length)] ?? "killed";
    const end =
      died < 0
        ? ({ at: endAt, kind: random() < 0.9 ? "ended" : "open", cause: null } as const)
        : ({ at: endAt, kind: "died", cause } as const);
    const samples = [...this.#samples(events), ...this.#lastSample(end)];
    const saves = this.#saves(events, end);
    return { at: timeInWindow(random), session: aSession({ events, samples, saves, end }) };
  }

  #events(length: number, same: number): ReplayEvent[] {
    const random = this.#random;
    const errors = random() < 0.3 ? 0.5 : random() * 0.2;
    let at = 0;
    return Array.from({ length }, (_, index): ReplayEvent => {
      at += 1 + heavy(random, 8_000, 600_000);
      const isSame = random() < same ? { isSame: true as const } : {};
      if (index % 40 === 0) return { at, kind: "prompt" };
      const kind = random() < errors ? "tool_error" : "tool_end";
      return { at, kind, tool: `tool-${Math.floor(random() * 4)}`, durationMs: heavy(random, 500, 100_000), ...isSame };
    });
  }

  #samples(events: readonly ReplayEvent[]): ReplaySample[] {
    const random = this.#random;
    const step = 0.02 * random();
    const memory = random();
    return events.flatMap(({ at }, index) => {
      if (random() < 0.7) return [];
      const readings = {
        contextFill: { value: Math.min(1, index * step * random()), at },
        hostMemory: { value: Math.min(1, memory * (0.7 + 0.5 * random())), at },
        rateLimit: { value: random() < 0.1 ? 0.95 : random() * 0.9, at },
        ...(random() < 0.1 ? { apiErrors: { value: heavy(random, 1, 9), at } } : {}),
        ...(random() < 0.3 ? { transcriptBytes: { value: heavy(random, 2e7, 4e8), at } } : {}),
      };
      return [{ at, readings }];
    });
  }

  /** The reading that a death of a cause implies, or does not. */
  #lastSample({ at, kind, cause }: ReplaySession["end"]): ReplaySample[] {
    if (kind !== "died" || (cause !== "context_full" && cause !== "out_of_memory")) return [];
    const isUnseen = this.#random() < this.#rates.unseen;
    const value = isUnseen ? 0.55 + 0.2 * this.#random() : 0.85 + 0.15 * this.#random();
    return [{ at, readings: { [cause === "context_full" ? "contextFill" : "hostMemory"]: { value, at } } }];
  }

  /** When they are due, and some seconds late. */
  #saves(events: readonly ReplayEvent[], end: ReplaySession["end"]): ReplaySession["saves"] {
    const random = this.#random;
    const { everyMs, everyToolCalls } = defaults.checkpoint;
    const saves: ReplaySession["saves"][number][] = [];
    const isFailing = end.kind === "died" && random() < this.#rates.failedSaves;
    const failsFrom = isFailing ? end.at - everyMs * (1 + 2 * random()) : Infinity;
    let [calls, savedAt] = [0, -everyMs];
    const save = (at: number, trigger: string): void => {
      [calls, savedAt] = [0, at];
      if (at < failsFrom) saves.push({ at, trigger });
    };
    events.forEach(({ at, kind }, index) => {
      calls += kind === "prompt" ? 0 : 1;
      if (calls >= everyToolCalls) return save(at, "tools");
      const dueAt = Math.max(at, savedAt + everyMs) + Math.floor(random() * 15_000);
      if (dueAt < (events[index + 1]?.at ?? end.at)) save(dueAt, "time");
    });
    return saves;
  }
}
