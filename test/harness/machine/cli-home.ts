import type { InventedSession } from "#harness/clients/invented-sessions.ts";
import { type Runtime, storeDurations } from "#src/runtime/runtime.ts";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import type { JournalEntry } from "#src/contract/journal.ts";
import type { Command } from "commander";
import { Cli } from "#src/cli/cli.ts";
import type { Io, ProcessStart } from "#src/cli/io.ts";
import { build, run } from "#src/cli/commands/program.ts";
import { shellHookOf, type Launch } from "#src/platform/shim-command.ts";
import * as checkpoints from "#src/machine/sessions/checkpoints/checkpoints.ts";
import { capture } from "#src/machine/sessions/checkpoints/capture.ts";
import { pathsIn } from "#src/platform/paths.ts";
import type { OperationContext } from "#src/machine/context/operation-context.ts";
import type { Processes } from "#src/platform/processes.ts";
import { type EdgeConfig, readEdgeConfig, writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { LocalCoordinator } from "#src/coordinator-client/local/local-coordinator.ts";
import { createLocalStore } from "#src/coordinator-client/local/local-store.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { temporaryFolder, write } from "./git-project.ts";
import { hostClientWith } from "./host-rig.ts";
import { tempRuntime } from "./temp-runtime.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { Store } from "#src/store/store.ts";
import { reportEnd } from "#harness/machine/report-end.ts";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  json(): Record<string, unknown>;
  readonly error: unknown;
}

export type CliHome = ReturnType<typeof aCliHome>;

type Part = string | RegExp;

export function holding(...parts: Part[]): string {
  const matcher = {
    $$typeof: Symbol.for("jest.asymmetricMatcher"),
    asymmetricMatch: (text: unknown) =>
      typeof text === "string" &&
      parts.every((part) => (part instanceof RegExp ? part.test(text) : text.includes(part))),
    toAsymmetricMatcher: () => `holding ${parts.map(String).join(" and ")}`,
  };
  return matcher as unknown as string;
}

export const printed = (...parts: Part[]): Pick<Ran, "code" | "out"> => ({ code: 0, out: holding(...parts) });

export function failed(code: number, ...parts: Part[]): Pick<Ran, "code" | "err"> {
  return { code, err: holding(...parts) };
}

type Words = string | readonly string[];

function words(text: Words): readonly string[] {
  return typeof text === "string" ? text.split(" ").filter((word) => word !== "") : text;
}

/** A machine of its own: a user's home, SHIM's home in it, two project folders, processes and a clock that the test moves. */
export function aCliHome() {
  const folder = temporaryFolder();
  const paths = pathsIn(join(folder, "shim"));
  const alive = new Set<number>();
  const processes: Processes = {
    boot: () => "boot-1",
    children: () => new Map(),
    inFolder: () => null,
    facts: (pid) => (alive.has(pid) ? { parent: 1, start: `s${pid}`, command: "claude", residentBytes: 1_000 } : null),
  };
  const launch = launchIn(folder);
  for (const name of ["project", "other", "path"]) mkdirSync(join(folder, name));
  write("/", Object.fromEntries([...Object.values(launch), shellHookOf(launch)].map((path) => [path, ""])));
  symlinkSync(launch.script, join(folder, "path", "shim"));
  const env = { SHIM_HOME: paths.home, HOME: folder, PATH: `${join(folder, "path")}:/usr/bin:/bin` };
  let serial = 0;
  const random = (bytes: number) => Uint8Array.from({ length: bytes }, (_, at) => (at + serial++) % 256);
  const own = tempRuntime({ paths, env });
  const runtime: Runtime = Object.assign(own, { processes, random, launch });
  const places = { folder, paths, project: join(folder, "project"), other: join(folder, "other") };
  const home = {
    ...places,
    alive,
    started: [] as ProcessStart[],
    /** The host's own, where the test has one. */
    ownRelay: undefined as OperationContext["ownRelay"],
    runtime,
    get now(): number {
      return own.clock.now;
    },
    set now(to: number) {
      own.clock.now = to;
    },
    io: (overrides: Partial<Io> = {}): PrintingIo => anIo(home, overrides),
    /** In no terminal, in the folder of `project`; `command` is split at blanks, the arguments are taken as they are. */
    shim: (command?: string, ...args: string[]): Promise<Ran> => home.shimWith({}, command, ...args),
    async shimWith(overrides: Partial<Io>, command = "", ...args: string[]): Promise<Ran> {
      const io = anIo(home, overrides);
      const code = await run([...words(command), ...args], io);
      const json = (): Record<string, unknown> => JSON.parse(io.out) as Record<string, unknown>;
      const [, error = null] = /^\{\s*"error":\s*\{\s*"code":\s*"(\w+)"/.exec(io.out) ?? [];
      return { code, out: io.out, err: io.err, json, error };
    },
    async codes(...commands: string[]): Promise<number[]> {
      const codes: number[] = [];
      for (const command of commands) codes.push((await home.shim(command)).code);
      return codes;
    },
    json: async (command: string, ...args: string[]): Promise<Record<string, unknown>> =>
      (await home.shim(command, ...args, "--json")).json(),
    coordinator: (machine = "here"): LocalCoordinator => {
      const { now } = runtime;
      const store = createLocalStore({ home: paths.home, driver: openBetterSqlite3, now, busyMs: 1_000 });
      onTestFinished(() => store.close());
      return new LocalCoordinator({ store, processes, machine, now });
    },
    /** From now on the machine is in the workspace "team" of this coordinator. */
    join: (url: string, more?: Partial<EdgeConfig>): void =>
      writeEdgeConfig(paths.home, { url, workspace: "team", machine: "m1", token: "shim_a.b", ...more }),
    /** Each of these arguments is wrong usage, and stderr holds why. */
    async misuses(command: string, cases: readonly (readonly [Words, why: Part])[]): Promise<void> {
      for (const [args, why] of cases)
        expect([args, await home.shim(command, ...words(args))]).toMatchObject([args, failed(2, why)]);
    },
  };
  return home;
}

/** With one session alive and one dead in `project`, one dead in `other`, one finished. */
export function aSeededHome(): CliHome {
  const home = aCliHome();
  seed(home);
  // As the process that made the sessions does at its end.
  storeDurations(home.runtime);
  return home;
}

export function withStore({ runtime }: CliHome, changed: Partial<Pick<Store, "read" | "write">>) {
  const { store } = runtime;
  const { write = store.write.bind(store) } = changed;
  const keep: Store["keep"] = (body) => {
    write(body);
  };
  const whole = { read: store.read.bind(store), keep, close: () => undefined, ...changed, write };
  const own = Object.assign(Object.create(store) as Store, whole);
  return withRuntime({ ...runtime, store: own });
}

export function withRuntime(runtime: Runtime, fallbackReason: string | null = null): Pick<Io, "makeRuntime"> {
  return { makeRuntime: () => Promise.resolve({ runtime, driver: "node:sqlite", fallbackReason }) };
}

export function throwing(error: Error): () => never {
  return () => {
    throw error;
  };
}

/** Each step happens between two looks, and Ctrl-C comes after the last. */
export function between(...steps: (() => void)[]): Pick<Io, "interrupted" | "wait"> {
  const stop = new AbortController();
  return {
    interrupted: () => stop.signal,
    wait: async () => {
      const step = steps.shift();
      if (step) step();
      else stop.abort();
    },
  };
}

export function linesOf<Line extends object>(out: string): Line[] {
  return (out.match(/.+/g) ?? []).map((line) => JSON.parse(line) as Line);
}

export function launchIn(folder: string): Launch {
  const at = (name: string): string => join(folder, "app", name);
  return { node: at("node"), script: at("bin/shim.mjs"), hookScript: at("dist/hook.cjs") };
}

const versions: Readonly<Record<string, string>> = { git: "git version 2.40.0", claude: "2.1.200 (Claude Code)" };

const list = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : []);

/** What a command has outside of a terminal; no time passes. */
const unheard = () => () => undefined;
const keys = { onInterrupt: unheard, onEnter: unheard };
const input = { ...keys, ask: async () => "", readInput: async () => "", interrupted: () => AbortSignal.abort() };
const window = { isTty: false, isInteractive: false, size: () => ({ columns: 200, rows: 50 }) };
const ends = { onReaderGone: unheard, leaveWithin: () => undefined, wait: async () => undefined };

/** A command, which only reads, and the host that writes for it: with a runtime of the test it is both's. */
type PrintingIo = Io & { out: string; err: string };

function anIo(home: CliHome, overrides: Partial<Io>): PrintingIo {
  const { paths, runtime } = home;
  const loaded = overrides.makeRuntime ?? withRuntime(runtime).makeRuntime;
  const used = async () => (await loaded()).runtime;
  const context = async (): Promise<OperationContext> => {
    const { ownRelay } = home;
    return { paths, site: io, loaded, runtime: used, ...(ownRelay && { ownRelay }) };
  };
  const readOnly = (): Store =>
    new Store({ path: paths.database, driver: openBetterSqlite3, now: runtime.now, isReadOnly: true });
  const io: PrintingIo = {
    ...input,
    ...window,
    ...ends,
    parentPid: () => 1_000,
    out: "",
    err: "",
    stdout: (text: string) => void (io.out += text),
    stderr: (text: string) => void (io.err += text),
    env: runtime.env,
    cwd: home.project,
    now: () => home.now,
    startProcess: async (start: ProcessStart) => {
      home.started.push(start);
      return 0;
    },
    machine: { platform: "linux", env: runtime.env, homedir: home.folder, exists: existsSync, list },
    launch: launchIn(home.folder),
    nodeVersion: "24.1.0",
    runQuietly: () => null,
    versionOf: (program: string) => versions[program] ?? "v24.1.0",
    hostClient: () => hostClientWith(runtime, context),
    makeRuntime: () => withRuntime({ ...runtime, store: readOnly() }).makeRuntime(),
    ...overrides,
  };
  return io;
}

export const ids = {
  alive: "aaaa1111-0000-4000-8000-000000000001",
  dead: "bbbb2222-0000-4000-8000-000000000002",
  elsewhere: "bbbb3333-0000-4000-8000-000000000003",
  finished: "cccc4444-0000-4000-8000-000000000004",
};

interface SessionSeed {
  readonly id: string;
  readonly project?: string;
  readonly pid?: number;
  readonly client?: string;
  readonly transcriptPath?: string;
  readonly entries?: readonly JournalEntry[];
  readonly title?: string;
}

export function addSession(home: CliHome, seed: SessionSeed): void {
  const { runtime } = home;
  const project = seed.project ?? home.project;
  runtime.store.write((sql) => {
    const owner = seed.pid === undefined ? null : { boot: "boot-1", pid: seed.pid, start: `s${seed.pid}` };
    const { id, client = "claude-code", transcriptPath = null } = seed;
    const sighting = { id, client, origin: "startup", project, cwd: project, transcriptPath, owner, isAlive: true };
    sessions.recordSighting(sql, home.now, sighting);
    sessions.update(sql, seed.id, { title: seed.title ?? `work of ${seed.id.slice(0, 4)}` });
    const entries = seed.entries ?? [{ kind: "prompt", text: `fix the parser of ${seed.id.slice(0, 8)}` }];
    entries.forEach((entry, at) => journal.append(sql, seed.id, home.now, `k${at}`, entry));
  });
  if (seed.entries?.length !== 0) capture(runtime, { sessionId: seed.id, trigger: "on_demand" });
}

/** SHIM knows the chat whose file it is. */
export function known(home: CliHome, { id, client, file }: InventedSession): void {
  addSession(home, { id, client, pid: 77, transcriptPath: join(home.folder, file) });
}

export function seed(home: CliHome): void {
  home.alive.add(100);
  addSession(home, { id: ids.alive, pid: 100 });
  const call = { id: "t1", name: "Bash", input: "npm test" };
  const entries: JournalEntry[] = [
    { kind: "prompt", text: "fix the parser" },
    { kind: "tool_start", ...call },
    { kind: "tool_error", ...call, text: "one test failed", durationMs: 1_200 },
    { kind: "assistant", text: "The tokenizer drops the last line." },
  ];
  addSession(home, { id: ids.dead, pid: 200, entries });
  addSession(home, { id: ids.elsewhere, pid: 300, project: home.other });
  addSession(home, { id: ids.finished, pid: 400 });
  home.runtime.store.write((sql) => reportEnd(sql, home.runtime, ids.finished, "prompt_input_exit"));
  home.now += 60_000;
}

/** A row of the snapshot of the newest checkpoint of the dead session, which has failed. */
export function addSnapshot(home: CliHome, { state = "failed", reason = "", repository = "" } = {}): void {
  const row = [checkpointOf(home, ids.dead), ids.dead, home.now, state, reason || null, repository || null];
  const columns = "checkpointId, session, at, state, reason, repository, project";
  home.runtime.store.write((sql) =>
    sql.run(`INSERT OR REPLACE INTO snapshots (${columns}) VALUES (?, ?, ?, ?, ?, ?, '/p')`, ...row),
  );
}

export function checkpointOf(home: CliHome, sessionId: string): string {
  const newest = home.runtime.store.read((sql) => checkpoints.latest(sql, sessionId), null);
  if (!newest) throw new Error(`no checkpoint of ${sessionId}`);
  return newest.id;
}

export function edgeOf({ paths }: CliHome): EdgeConfig {
  const edge = readEdgeConfig(paths.home);
  if (!edge.ok || !edge.value) throw new Error("the machine has joined no workspace");
  return edge.value;
}

/** Every file below SHIM's home that holds these bytes. */
export function filesWith(home: CliHome, text: string): string[] {
  return readdirSync(home.paths.home, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => readFileSync(path).includes(text));
}

/** The program with all its commands, which do nothing. @param complain gets what commander writes of errors */
export async function idleProgram(complain: (text: string) => void): Promise<Command> {
  const idle = (command: Command): void => {
    command.exitOverride().configureOutput({ writeErr: complain, writeOut: () => undefined });
    command.action(() => undefined);
    for (const one of command.commands) idle(one);
  };
  const built = await build(new Cli(aCliHome().io()), complain);
  for (const one of built.commands) idle(one);
  return built.exitOverride();
}
