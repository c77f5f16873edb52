import { existsSync, readFileSync } from "node:fs";
import { onTestFinished } from "vitest";
import { configSchema } from "#src/contract/config.ts";
import { requireState } from "#src/machine/sessions/checkpoints/checkpoints.ts";
import type { Paths } from "#src/platform/paths.ts";
import type { ProcessFacts, Processes, ProcessIdentity } from "#src/platform/processes.ts";
import { HostedRuns } from "#src/runtime/hosted-runs.ts";
import { noWindows } from "#src/runtime/open-windows.ts";
import { PermissionRequests } from "#src/runtime/permission-requests.ts";
import { type Runtime, Fronts } from "#src/runtime/runtime.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import type { Driver } from "#src/store/driver.ts";
import { Durations } from "#src/runtime/durations.ts";
import { Store } from "#src/store/store.ts";
import { column, T0, tempHome } from "#harness/store/store-test.ts";
import type { ReadingName, Readings, Source } from "#src/contract/readings.ts";
import type { Life, WorkState } from "#src/contract/work-state.ts";
import { seededRandom } from "#harness/clock/seeded-random.ts";
import type { Sql } from "#src/shared/sql.ts";
import type { Crash } from "#src/machine/sessions/signals/crashes.ts";
import { crashes, signals } from "#src/store/session-tables.ts";
import type { Restoration } from "#src/machine/recovery/incomplete/restoration.ts";
import { emptyState } from "#src/machine/sessions/work-state.ts";
import type { Session } from "#src/machine/sessions/sessions.ts";

export { T0 };

export class FakeProcesses implements Processes {
  #boot = "boot-1";
  #starts: number;
  readonly #table = new Map<number, ProcessFacts>();

  /** @param firstStart start times are above it; a mark of real processes needs one that no other test has */
  constructor(firstStart = 0) {
    this.#starts = firstStart;
  }

  boot(): string {
    return this.#boot;
  }

  facts(pid: number): ProcessFacts | null {
    return this.#table.get(pid) ?? null;
  }

  children(pid: number): ReadonlyMap<number, string> {
    const below = [...this.#table].filter(([, { parent }]) => parent === pid);
    return new Map(below.map(([child, { command }]) => [child, command]));
  }

  /** Whether all processes are those of each folder; else they are not known by it. */
  areInFolder = false;

  inFolder(): ReadonlyMap<number, string> | null {
    return this.areInFolder ? new Map([...this.#table].map(([pid, { command }]) => [pid, command])) : null;
  }

  /** A new process of this number; an older one of the same number is gone. */
  start(pid: number, parent = 1, command = "claude"): ProcessIdentity {
    const start = String((this.#starts += 100));
    this.#table.set(pid, { parent, start, command, residentBytes: 200_000_000 });
    return { boot: this.#boot, pid, start };
  }

  kill(pid: number): void {
    this.#table.delete(pid);
  }

  use(pid: number, residentBytes: number): void {
    const facts = this.#table.get(pid);
    if (facts) this.#table.set(pid, { ...facts, residentBytes });
  }

  reboot(): void {
    this.#table.clear();
    this.#boot = `${this.#boot}+`;
    this.#starts = 0;
  }
}

export interface TempRuntime extends Runtime {
  readonly clock: { now: number };
  readonly processes: FakeProcesses;
  readonly logged: string[];
  readonly wait: (ms: number) => void;
}

export interface TempRuntimeOptions {
  readonly now?: number;
  readonly driver?: Driver;
  readonly env?: NodeJS.ProcessEnv;
  readonly config?: Record<string, unknown>;
  readonly busyMs?: number;
  /** Another process of the same machine: same home, clock and process table, a connection of its own. */
  readonly beside?: TempRuntime;
  readonly paths?: Paths;
}

/** A runtime on a new home: the real store, a clock that only the test moves, seeded randomness, no real process and no environment. */
export function tempRuntime(options: TempRuntimeOptions = {}): TempRuntime {
  const { paths, clock, random, processes } = options.beside ?? aMachine(options);
  const { driver = openBetterSqlite3, env = {}, config = {}, busyMs = 2_000 } = options;
  const now = (): number => clock.now;
  const store = new Store({ path: paths.database, driver, now, busyMs });
  onTestFinished(() => store.close());
  const logged: string[] = [];
  const machine = { now, random, env, paths, processes, store, clock, logged };
  const memory = { durations: new Durations(() => clock.now - T0), fronts: new Fronts() };
  return {
    ...machine,
    ...memory,
    permissions: new PermissionRequests(),
    runs: new HostedRuns(null),
    windows: noWindows(),
    launch: { node: "/opt/node", script: "/opt/shim/bin/shim.mjs", hookScript: "/opt/shim/dist/hook.cjs" },
    config: configSchema().parse(config),
    log: (level, message, fields) => void logged.push(JSON.stringify({ level, message, ...fields })),
    wait: (ms) => void (clock.now += ms),
  };
}

function aMachine({ now = T0, paths = tempHome() }: TempRuntimeOptions) {
  const next = seededRandom(1);
  /** Bytes that differ from call to call and are the same in every run. */
  const random = (length: number): Uint8Array => Uint8Array.from({ length }, () => next() * 256);
  return { paths, clock: { now }, random, processes: new FakeProcesses() };
}

export function storedBytes(paths: Paths): string {
  const files = [paths.database, `${paths.database}-wal`].filter((path) => existsSync(path));
  return files.map((path) => readFileSync(path, "latin1")).join("");
}

/** Which of these texts can be read from what is stored, packed states and escaped JSON included. */
export function leaked(runtime: Pick<TempRuntime, "store" | "paths">, texts: readonly string[]): string[] {
  const states = runtime.store.read(
    (sql) => column(sql, "SELECT seq FROM checkpoints").map((seq) => requireState(sql, Number(seq))),
    [],
  );
  const stored = [storedBytes(runtime.paths), JSON.stringify(states)].join("\n");
  return texts.filter((text) => stored.includes(text) || stored.includes(JSON.stringify(text).slice(1, -1)));
}

/** Of a chat in a turn, unless that is `over`. */
export function aLife(given: Partial<Life> & { readonly over?: NonNullable<Life["turn"]>["over"] }): Life {
  const { over = null, ...overrides } = given;
  return { ...emptyState.life, turn: { beganAt: T0, isAnswered: true, over }, ...overrides };
}

export const aState = (overrides: Partial<WorkState> = {}): WorkState => ({ ...emptyState, ...overrides });

/** Readings of one source and time: `someReadings({contextFill: 0.9}, T0)`. */
type Values = Partial<Record<ReadingName, number>>;

export function someReadings(values: Values, at: number, source: Source = "measured"): Readings {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value, source, at }]));
}

export function aSession(overrides: Partial<Session> = {}): Session {
  const id = "20487890-04b4-4fe0-bbd5-6aa531354563";
  const times = { startedAt: T0, lastSeenAt: T0 + 60_000, ending: null };
  return { id, client: "claude-code", project: "/p", ...times, toolCalls: 3, toolErrors: 1, ...overrides } as Session;
}

export function aRestoration(state: Partial<WorkState> = {}, overrides: Partial<Restoration> = {}): Restoration {
  const nothing = { files: [], head: null, checkpoint: null, snapshot: null };
  const death = { cause: "killed", causeDetail: "Its process vanished.", knownUntil: T0 + 60_000 } as const;
  return { session: aSession(), ...death, state: aState(state), ...nothing, ...overrides };
}

export function prompts(...texts: readonly string[]): WorkState["prompts"] {
  return texts.map((text, index) => ({ text, at: T0 + index * 1_000 }));
}

export const listCrashes = (sql: Sql): Crash[] => crashes.select(sql, "ORDER BY at DESC, session");

export function listSamples(sql: Sql, session: string) {
  return signals.pick("at", "score", "level", "readings").select(sql, "WHERE session = ? ORDER BY at DESC", session);
}
