import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { codeOf } from "../shared/error.ts";
import { asObject } from "../shared/json-fields.ts";
import { LiveFiles } from "./live-files.ts";
import { namesIn, readText, usualHome } from "./paths.ts";

/** Unlike a pid, never reused. `start` is opaque (Linux: clock ticks since boot; else a date). */
export interface ProcessIdentity {
  readonly boot: string;
  readonly pid: number;
  readonly start: string;
}

/** @returns null for a value that does not name a process */
export function asProcessIdentity(value: unknown): ProcessIdentity | null {
  const { boot, pid, start } = asObject(value) ?? {};
  return typeof boot === "string" && typeof pid === "number" && typeof start === "string" ? { boot, pid, start } : null;
}

/** Nothing is not the same as nothing. A start that could not be read rules nothing out. */
export function isSameProcess(one: ProcessIdentity | null | undefined, other: ProcessIdentity | null | undefined) {
  if (!one || !other || one.boot !== other.boot || one.pid !== other.pid) return false;
  return one.start === other.start || [one.start, other.start].includes(unknownStart);
}

export interface ProcessFacts {
  readonly parent: number;
  readonly start: string;
  readonly command: string;
  readonly residentBytes: number | null;
}

export interface Processes {
  facts(pid: number): ProcessFacts | null;
  /** The words that each child was started with, by its pid; none where only Linux would say. */
  children(pid: number): ReadonlyMap<number, string>;
  /** Processes that work in a folder or below it, with the words of each; null: not known. */
  inFolder(folder: string): ReadonlyMap<number, string> | null;
  boot(): string;
}

export function identify(processes: Processes, pid: number): ProcessIdentity | null {
  const facts = processes.facts(pid);
  return facts ? { boot: processes.boot(), pid, start: facts.start } : null;
}

/** Signals with which a person, a client or a lost terminal ends a process. */
export const endSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Trusts a launcher's statement about its parent only, not an inherited value. */
export function clientPidOf(processes: Processes, env: NodeJS.ProcessEnv, parent: number): number {
  const statedPid = Number(env["SHIM_CLIENT_PID"]);
  return statedPid > 0 && processes.facts(parent)?.parent === statedPid ? statedPid : parent;
}

/** Names of shells, without an ending. */
export const shells: ReadonlySet<string> = new Set("sh bash dash zsh fish ksh busybox pwsh powershell".split(" "));

/** Without quotes, for a client may quote a command for its shell. Blanks at both ends bound it. */
export function withoutQuotes(text: string): string {
  return ` ${text.replaceAll(/["'\\]/g, "").trim()} `.replaceAll(/\s+/g, " ");
}

const maxShells = 3;

/** The first ancestor, from this process on, that is no shell. */
export function skipShells(processes: Processes, pid: number): number {
  let next = pid;
  for (let steps = 0; steps < maxShells; steps++) {
    const facts = processes.facts(next);
    if (!facts || facts.parent <= 1 || !shells.has(basename(facts.command))) return next;
    next = facts.parent;
  }
  return next;
}

/** Against a chain that ends nowhere. */
const maxWrappers = 1_000;

/** Accepts wrappers in between (`sh -c`, `npx`). */
export function isDescendant(processes: Processes, pid: number, ancestor: ProcessIdentity): boolean {
  if (!isAlive(processes, ancestor)) return false;
  let next = processes.facts(pid)?.parent ?? 0;
  for (let steps = 0; next > 0 && steps < maxWrappers; steps++) {
    if (next === ancestor.pid) return true;
    next = processes.facts(next)?.parent ?? 0;
  }
  return false;
}

/** A reused pid is not alive: boot, pid and start must all match. */
export function isAlive(processes: Processes, identity: ProcessIdentity): boolean {
  if (identity.boot !== processes.boot()) return false;
  const start = processes.facts(identity.pid)?.start;
  return start === identity.start || start === unknownStart;
}

/** Start of a process where it is unreadable; such a process counts as alive. */
export const unknownStart = "?";

/** In a container that shares the home, the pid is another process or none. */
export function isInOtherNamespace(processes: Processes, { boot }: ProcessIdentity): boolean {
  const here = processes.boot();
  return boot !== here && boot.split(" ")[0] === here.split(" ")[0];
}

/** Counts processes that cannot be seen from here as alive. */
export function mayBeAlive(processes: Processes, owner: ProcessIdentity): boolean {
  return isInOtherNamespace(processes, owner) || isAlive(processes, owner);
}

export const systemProcesses: Processes =
  process.platform === "linux" ? linuxProcesses() : portableProcesses(process.platform);

/** proc(5): field 22 is the start; the command (field 2) may hold blanks and brackets. */
export function linuxProcesses(): Processes {
  let boot: string | undefined;
  return {
    boot: () => (boot ??= `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${pidNamespace()}`),
    facts(pid) {
      const stat = procFile(pid, "stat");
      return stat === null ? null : factsIn(stat);
    },
    children(pid) {
      // A child is in the list of the thread that started it.
      const lists = namesIn(`/proc/${pid}/task`).map((thread) => procFile(pid, `task/${thread}/children`) ?? "");
      const pids = lists.join(" ").match(/\d+/g) ?? [];
      return new Map(pids.map((child) => [Number(child), wordsOf(child)]));
    },
    inFolder(folder) {
      const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
      const inside = pids.filter((pid) => `${folderOf(pid)}/`.startsWith(`${folder}/`));
      return new Map(inside.map((pid) => [Number(pid), wordsOf(pid)]));
    },
  };
}

/** @returns null: the process is gone, or the system has no such file */
function procFile(pid: number | string, name: string): string | null {
  return readText(`/proc/${pid}/${name}`);
}

function wordsOf(pid: string): string {
  return procFile(pid, "cmdline")?.replaceAll("\0", " ") ?? "";
}

/** @returns an empty text: the process is gone, or another user's */
function folderOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return "";
  }
}

function factsIn(stat: string): ProcessFacts | null {
  const openParen = stat.indexOf("(");
  const close = stat.lastIndexOf(")");
  const fields = stat.slice(close + 2).split(" ");
  if (fields[0] === "Z" || fields[0] === "X") return null;
  return {
    command: stat.slice(openParen + 1, close),
    parent: Number(fields[1]),
    start: fields[19] ?? "",
    residentBytes: Number(fields[21]) * 4096,
  };
}

/**
 * A process that describes itself by a line of proc(5), without the start where it has no such
 * file. Null: it is not in this process table, but in that of a container.
 */
export function statedProcess(processes: Processes, stat: string): { pid: number; parent: number } | null {
  const stated = factsIn(stat);
  const pid = Number.parseInt(stat, 10);
  const facts = processes.facts(pid);
  if (!stated || !facts) return null;
  // On Windows the parent of another process is not known.
  if (facts.parent !== stated.parent && facts.parent !== 0) return null;
  return stated.start === "" || stated.start === facts.start ? { pid, parent: stated.parent } : null;
}

/** The line by which this process describes itself; no other process has the same. */
export function ownStatement(): string {
  if (process.platform === "linux") return readFileSync("/proc/self/stat", "utf8").trim();
  return `${process.pid} (node) S ${process.ppid} ${Date.now()}`;
}

function pidNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}

/**
 * Uses ps(1). Windows only reports that a pid exists: the start is known there of SHIM's own
 * processes alone, and a pid that another program has had is not noticed.
 */
export function portableProcesses(platform: NodeJS.Platform): Processes {
  const live = process.platform === "win32" ? new LiveFiles(liveFolder()) : null;
  return {
    boot: () => "unknown",
    children: () => new Map(),
    inFolder: () => null,
    facts(pid) {
      // On Windows 0 is the process that asks.
      const found =
        pid > 0 && isRunning(pid) ? { parent: 0, start: "unknown", command: "", residentBytes: null } : null;
      if (!found) return null;
      return platform === "win32" ? { ...found, start: live?.startOf(pid) ?? found.start } : psFacts(pid, found);
    },
  };
}

function liveFolder(): string {
  return join(usualHome(process.env, "win32", homedir()), "processes");
}

function psFacts(pid: number, basicFacts: ProcessFacts): ProcessFacts | null {
  try {
    const psLine = execFileSync("ps", ["-o", "ppid=,rss=,lstart=,comm=", "-p", String(pid)], {
      encoding: "utf8",
      timeout: 2_000,
      stdio: ["ignore", "pipe", "ignore"],
      // The date must not depend on the language and zone of this process.
      env: { ...process.env, LC_ALL: "C", TZ: "UTC" },
    });
    return parsePs(psLine);
  } catch (error) {
    // Only an exit of ps itself proves absence; a slow or missing ps proves nothing.
    const isGone = error instanceof Error && "status" in error && error.status === 1;
    return isGone ? null : { ...basicFacts, start: unknownStart };
  }
}

/** @param text of `ps -o ppid=,rss=,lstart=,comm=` for one process */
export function parsePs(text: string): ProcessFacts | null {
  const [, parent, rss, start, command] = /^ *(\d+) +(\d+) +(\w+ +\w+ +\d+ +[\d:]+ +\d+) +(.*)$/m.exec(text) ?? [];
  if (!parent || !start) return null;
  return { parent: Number(parent), residentBytes: Number(rss) * 1024, start, command: command ?? "" };
}

/** Asks the kernel only, which also knows a process that has ended and was not reaped. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}
