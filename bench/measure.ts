import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

/** What a bench needs is not there: its message says what to do, and no stack is of use. */
export class CannotMeasureError extends Error {
  override readonly name = "CannotMeasureError";
}

/** @param find throws where the program that is needed is not installed, and says how to install it */
export function needed<T>(find: () => T): T {
  try {
    return find();
  } catch (error) {
    throw new CannotMeasureError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** Share of the whole bench that is measured: `--share 0.1` is a tenth, `--smallest` the least with which each bench still measures something. */
export const share = Number(process.env["SHIM_BENCH_SHARE"] ?? 1);

/** @param least what `--smallest` measures */
export function scaled(count: number, least = 1): number {
  return Math.max(least, Math.round(count * share));
}

/** One measured thing: times in ms, sorted by {@link sample}. */
export interface Sample {
  readonly p50: number;
  readonly p99: number;
  readonly n: number;
}

export function sample(times: readonly number[] | undefined): Sample {
  const sorted = (times ?? []).toSorted((a, b) => a - b);
  const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
  return { p50: at(0.5), p99: at(0.99), n: sorted.length };
}

/** Time of `work`, in ms. */
export async function timed(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

export function range<T>(count: number, make: (n: number) => T): T[] {
  return Array.from({ length: count }, (_, n) => make(n));
}

export function ms(value: number): string {
  return `${value < 10 ? value.toFixed(2) : value.toFixed(1)} ms`;
}

export function ratio(value: number): string {
  return `${value.toFixed(2)} x`;
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString("en");
}

export function perSecond(rate: number): string {
  return `${whole(rate)} per s`;
}

/**
 * All subjects have their turn in each round, so that a machine that becomes slower or faster meanwhile does so for all of them.
 *
 * @returns the times of each, in ms, without those of the `warmUp` rounds
 */
export async function inTurns<Name extends string>(
  rounds: number,
  subjects: Readonly<Record<Name, (round: number) => unknown>>,
  warmUp = 0,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(subjects) as Name[];
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = -warmUp; round < rounds; round++)
    for (const name of names) {
      const time = await timed(() => subjects[name](round));
      if (round >= 0) times[name].push(time);
    }
  return times;
}

/** Realistic, unique content: sentences, paths and code with some repetition, as chats have. Seeded, so each run has the same. */
const words =
  "parser token stream module session checkpoint recovery branch commit failing assertion because the a of to and in function returns value when index buffer schema migration latency retry handler request response cache lock worker queue task message state update test coverage report file path line error stack trace".split(
    " ",
  );

export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    // Numerical Recipes' linear congruential generator; quality does not matter here.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function sentence(random: () => number): string {
  const count = 8 + Math.floor(random() * 14);
  const picked = Array.from({ length: count }, () => words[Math.floor(random() * words.length)]);
  const id = Math.floor(random() * 1e9).toString(36);
  return random() < 0.3
    ? `src/${picked[0]}/${picked[1]}-${id}.ts:${Math.floor(random() * 900)}: const ${picked[2]} = await ${picked[3]}("${id}");`
    : `${picked.join(" ")} ${id}.`;
}

/** Lines of at most 1,500 characters, together about `bytes`. */
export function lines(bytes: number, random: () => number): string[] {
  const result: string[] = [];
  for (let left = bytes; left > 0;) {
    let line = "";
    while (line.length < Math.min(left, 1_200)) line += `${sentence(random)} `;
    result.push(line.slice(0, Math.min(left, 1_500)));
    left -= result.at(-1)?.length ?? left;
  }
  return result;
}

const syllables =
  "bro kla zi vo qua ne tru mox pel gri sho dax fu lym wex jo ith ust ba ru ken dol mi fap sna tev".split(" ");

/** A seeded source of choices and of words that stand in no dictionary. Two sources with one seed make the same choices. */
export class Random {
  #state: number;
  readonly #words: string[] = [];

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to but not including 1 (mulberry32). */
  share(): number {
    this.#state = (this.#state + 0x6d_2b_79_f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** A whole number from `from` to `to`, both included. */
  between(from: number, to: number): number {
    return from + Math.floor(this.share() * (to - from + 1));
  }

  pick<T>(list: readonly T[]): T {
    const picked = list[Math.floor(this.share() * list.length)];
    if (picked === undefined) throw new Error("nothing to pick from");
    return picked;
  }

  isLucky(share: number): boolean {
    return this.share() < share;
  }

  /** An invented word of three or four syllables; no word of one source is a part of another. */
  word(): string {
    for (;;) {
      const length = this.between(3, 4);
      const word = Array.from({ length }, () => this.pick(syllables)).join("");
      if (this.#words.some((known) => known.includes(word) || word.includes(known))) continue;
      this.#words.push(word);
      return word;
    }
  }
}

const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
const parentCheckMs = 500;

/**
 * Waits for the end of its stdin, and so of the bench, also by kill -9. Then kills each process that has the first folder in its
 * environment, until there is none, and removes both folders. Each try takes some milliseconds.
 */
const guard = `cat >/dev/null
tries=0
while [ $tries -lt 200 ]; do
  pids=$(grep -lsF -- "$1" /proc/[0-9]*/environ | cut -d/ -f3)
  [ -n "$pids" ] || break
  kill -9 $pids 2>/dev/null
  tries=$((tries + 1))
done
rm -rf -- "$1" "$2"`;

/**
 * Gives the bench a home, and a folder for all that it writes and starts. Every process below this one names that folder in its
 * environment, by which it is found when this process has ended, in whatever way. Linux, as much else in the bench.
 */
export function ownProcesses(): void {
  const folder = mkdtempSync(join(tmpdir(), "shim-bench-"));
  // Durability is measured on a disk, which the folder of temporary files need not be.
  const disk = join(process.cwd(), ".scratch", basename(folder));
  const home = join(folder, "home");
  for (const each of [disk, home]) mkdirSync(each, { recursive: true });
  const sh = spawn("/bin/sh", ["-c", guard, "sh", folder, disk], {
    cwd: "/",
    // Not one of those that it ends.
    env: { PATH: process.env["PATH"] },
    // In a session of its own, so that neither Ctrl-C nor a kill of the group ends it. The reader of the bench's errors waits for it.
    detached: true,
    stdio: ["pipe", "ignore", "inherit"],
  });
  sh.unref();
  (sh.stdin as Socket).unref();
  // npm's cache stays where it is.
  process.env["npm_config_cache"] ??= join(process.env["HOME"] ?? "", ".npm");
  Object.assign(process.env, { TMPDIR: folder, SHIM_BENCH_DISK: disk, HOME: home, SHIM_HOME: join(home, "shim") });
  for (const [signal, number] of Object.entries(signals)) process.once(signal, () => process.exit(128 + number));
  endWithNpm();
}

/** A signal to npm ends npm and its shell, and reaches nothing below them. */
function endWithNpm(): void {
  if (process.env["npm_lifecycle_event"] !== "bench") return;
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) process.exit(128 + signals.SIGHUP);
  }, parentCheckMs).unref();
}

/** A new folder on a disk. */
export function folderOnDisk(name: string): string {
  const parent = process.env["SHIM_BENCH_DISK"] ?? join(process.cwd(), ".scratch");
  mkdirSync(parent, { recursive: true });
  return mkdtempSync(join(parent, `${name}-`));
}
