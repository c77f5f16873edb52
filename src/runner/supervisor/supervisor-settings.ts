import { statSync } from "node:fs";
import { resolve } from "node:path";
import * as z from "zod";
import { isOnPath } from "../../platform/program-path.ts";
import { CommandWords, VariableNames } from "../worker/client/settings.ts";
import { RestartRules } from "./auto-restarter.ts";

const Text = z.string().min(1).max(4_096);

const Worker = z.strictObject({
  kind: z.literal("worker"),
  /** Arguments of `shim worker`: `["--config", "worker.yaml"]`. */
  args: z.array(z.string().max(4_096)).min(1).max(1_000),
  /** Relative to the folder of the settings. */
  folder: Text.optional(),
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
});

/** Chats of Claude Code that the user has started. */
const Chats = z.strictObject({
  kind: z.literal("sessions"),
  /** Command that opens a terminal, to which the chat's is appended (`{cwd}`: its folder). */
  restartWith: CommandWords.optional(),
});

const WatchTarget = z.discriminatedUnion("kind", [Worker, Claude, Chats]);
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
});
export type SupervisorSettings = z.infer<typeof SupervisorSettings>;

export function isProgram(watched: WatchTarget): watched is WatchedProgram {
  return watched.kind !== "sessions";
}

/** How long the system that starts the supervisor waits for its end: a worker may take 65 s. */
export const stopSeconds = 95;

/** A program or a folder that is not there. @param home folder of the settings */
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
  if (watched.kind === "worker") return null;
  return watched.kind === "claude" ? watched.program : (watched.restartWith?.[0] ?? null);
}
