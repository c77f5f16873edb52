import { readdirSync, readFileSync } from "node:fs";

type Processes = readonly { readonly pid: number }[];

/** Time on a processor of these processes in ms, by the scheduler's own count of each thread (Linux, sched-stats). */
export function cpuMs(processes: Processes): number {
  return sumOf(processes, "schedstat", (text) => Number(text.split(" ")[0]) / 1e6);
}

/** proc(5): a thread that wakes up has left the processor of its own accord before. */
export function wakeUps(processes: Processes): number {
  return sumOf(processes, "status", (text) => Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(text)?.[1]));
}

function sumOf(processes: Processes, file: string, read: (text: string) => number): number {
  const tasks = processes.flatMap(({ pid }) =>
    readdirSync(`/proc/${pid}/task`).map((task) => `/proc/${pid}/task/${task}`),
  );
  return tasks.reduce((total, task) => total + read(readFileSync(`${task}/${file}`, "utf8")), 0);
}

/** Memory of processes, in bytes. */
export interface Memory {
  readonly resident: number;
  /** What processes share is counted in parts: proc(5), "Pss". */
  readonly proportional: number;
}

export function memoryOf(processes: Processes): Memory {
  const all = processes.map(({ pid }) => readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"));
  const sum = (field: string): number =>
    all.reduce((total, text) => total + Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text)?.[1]) * 1_024, 0);
  return { resident: sum("Rss"), proportional: sum("Pss") };
}
