import { statSync } from "node:fs";
import { resolve } from "node:path";
import * as z from "zod";
import { isOnPath } from "../platform/program-path.ts";
import { VariableNames } from "../worker-runner/client/settings.ts";
import { RestartRules, RestartWhen } from "./auto-restarter.ts";

const Text = z.string().min(1).max(4_096);
const CommandLine = z.tuple([Text], z.string().max(4_096));
const StopMs = z.int().min(0).max(3_600_000);

const Command = z.strictObject({
  kind: z.literal("command"),
  command: CommandLine,
  /** Relative to the folder of the settings. */
  folder: Text.optional(),
  restart: RestartWhen.default("on-crash"),
  stopMs: StopMs.default(10_000),
});

const Worker = z.strictObject({
  kind: z.literal("worker"),
  /** Arguments of `shim worker`: `["--config", "worker.yaml"]`. */
  args: z.array(z.string().max(4_096)).min(1).max(1_000),
  folder: Text.optional(),
  restart: RestartWhen.default("on-crash"),
  /** A worker gives its tasks a minute to end. */
  stopMs: StopMs.default(65_000),
});

/** SHIM sets Claude Code's session itself, and reads its output. */
const reservedOption =
  /^(-p|--print|-c|--continue|-r|--resume|--session-id|--fork-session|--output-format|--input-format|--verbose)(=|$)/;

const Claude = z.strictObject({
  kind: z.literal("claude"),
  folder: Text,
  prompt: z.string().min(1).max(100_000),
  args: z
    .array(z.string().max(10_000))
    .max(1_000)
    .refine(
      (args) => !args.some((arg) => reservedOption.test(arg)),
      "SHIM sets -p, the session and the output format itself",
    )
    .default([]),
  program: Text.default("claude"),
  env: VariableNames,
  restart: z.enum(["on-crash", "never"]).default("on-crash"),
  stopMs: StopMs.default(10_000),
});

/** Chats of the user; desktop: those of Claude Desktop and of other clients without hooks. */
const Chats = z.strictObject({
  kind: z.enum(["sessions", "desktop"]),
  /**
   * Command that opens a terminal, to which the chat's command is appended (`{cwd}`: the session's
   * folder), or that starts the app after a crash: `["open", "-a", "Claude"]`.
   */
  restartWith: CommandLine.optional(),
});

const WatchTarget = z.discriminatedUnion("kind", [Command, Worker, Claude, Chats]);
export type WatchTarget = z.infer<typeof WatchTarget>;
export type WatchedProgram = Exclude<WatchTarget, WatchedChats>;
export type WatchedChats = z.infer<typeof Chats>;
export type WatchedClaude = Extract<WatchTarget, { kind: "claude" }>;

/** Used as a file name. */
const watchName = /^[a-z0-9][a-z0-9_-]{0,63}$/;

export const SupervisorSettings = z.strictObject({
  watch: z
    .record(z.string(), WatchTarget)
    .refine((watch) => Object.keys(watch).length > 0, "name something to watch")
    .refine((watch) => Object.keys(watch).length <= 50, "at most 50 things to watch")
    .refine((watch) => Object.keys(watch).every((name) => watchName.test(name)), {
      message: "a name has 1 to 64 lowercase letters, digits, _ and -",
    }),
  restarts: RestartRules.prefault({}),
  memoryLimitMb: z.int().min(128).max(65_536).default(256),
});
export type SupervisorSettings = z.infer<typeof SupervisorSettings>;

export function isProgram(watched: WatchTarget): watched is WatchedProgram {
  return watched.kind !== "sessions" && watched.kind !== "desktop";
}

/** Time beyond the programs' own limits: for checkpoints and their files. */
const spareSeconds = 30;

/** How long the system that starts the supervisor waits for its end. */
export function stopSeconds({ watch }: SupervisorSettings): number {
  const stops = Object.values(watch).map((one) => (isProgram(one) ? one.stopMs : 0));
  return spareSeconds + Math.ceil(Math.max(...stops) / 1_000);
}

/** [SU14] A program or a folder that is not there. @param home folder of the settings */
export function findMissing({ watch }: SupervisorSettings, home: string, env: NodeJS.ProcessEnv): string | null {
  for (const [name, watched] of Object.entries(watch)) {
    const program = programOf(watched);
    if (program !== null && !isOnPath(program, env)) return `${name}: there is no program ${program}`;
    if (!isProgram(watched) || watched.folder === undefined) continue;
    const folder = resolve(home, watched.folder);
    const isThere = statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true;
    if (!isThere) return `${name}: there is no folder ${folder}`;
  }
  return null;
}

function programOf(watched: WatchTarget): string | null {
  switch (watched.kind) {
    case "command":
      return watched.command[0];
    case "claude":
      return watched.program;
    case "sessions":
    case "desktop":
      return watched.restartWith?.[0] ?? null;
    case "worker":
      return null;
  }
}
