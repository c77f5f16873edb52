import type { InputOf } from "#src/contract/operations.ts";
import type { Self } from "#src/contract/values.ts";
import type { LocalCoordinator } from "#src/coordinator-client/local/local-coordinator.ts";
import { processKey } from "#src/coordinator-client/local/process-key.ts";
import { given } from "#harness/coordinator/peers.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as news from "#src/machine/sessions/news.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { addSession, type CliHome } from "#harness/machine/cli-home.ts";
import { reportEnd } from "#harness/machine/report-end.ts";

type NewTask = InputOf<"tasks.submit">["tasks"][number];

/** A live chat of this machine's team, whose process is this number. */
export function joinTeam(home: CliHome, coordinator: LocalCoordinator, chat: string, pid: number): Self {
  home.alive.add(pid);
  const process = processKey({ boot: "boot-1", pid, start: `s${pid}` });
  const about = { chat, session: chat, process, machine: "here", client: "claude-code", capacity: 50 };
  return { chat, incarnation: given(coordinator.call("chats.register", about)).incarnation };
}

export function submit(coordinator: LocalCoordinator, tasks: NewTask[]): number[] {
  return given(coordinator.call("tasks.submit", { tasks })).tasks.map(({ task }) => task);
}

/** Claims this many tasks, and fails them for good. */
export function failAll(coordinator: LocalCoordinator, self: Self, count: number, reason: string): number[] {
  const failed: number[] = [];
  while (failed.length < count) {
    const limit = Math.min(50, count - failed.length);
    const requestId = `fail-${self.chat}-${failed.length}`;
    const { claims } = given(coordinator.call("tasks.claim", { self, requestId, limit }));
    if (claims.length === 0) break;
    for (const { task, claim } of claims) {
      given(coordinator.call("tasks.nack", { self, task, claim, isRetryable: false, reason }));
      failed.push(task);
    }
  }
  return failed;
}

export type SeededTeam = ReturnType<typeof seedTeam>;

const dependsOf: Partial<Record<string, string[]>> = { docs: ["parse"] };

/** Dead letters, a task that runs, a job of three parts, and two reserved files. */
export function seedTeam(home: CliHome, chat: string, pid: number) {
  const coordinator = home.coordinator();
  const self = joinTeam(home, coordinator, chat, pid);
  submit(coordinator, [{ type: "deploy", tags: ["night"] }, { type: "deploy" }, { type: "lint" }]);
  const dead = failAll(coordinator, self, 3, "the disk is full");
  const [running = 0] = submit(coordinator, [{ type: "build", payload: { branch: "main" } }]);
  const { claims } = given(coordinator.call("tasks.claim", { self, requestId: "build-1", limit: 1 }));
  const claim = claims[0]?.claim ?? 0;
  const progress = { percent: 40, note: "compiles" };
  given(coordinator.call("tasks.heartbeat", { self, task: running, claim, progress }));
  const parts = ["parse", "render", "docs"].map((name) => ({ name, text: name, dependsOn: dependsOf[name] ?? [] }));
  const strategy = { by: "list", parts } as const;
  const plan = { job: { title: "release" }, strategy, type: "part", joinRule: "collect" } as const;
  const { task: job } = given(coordinator.call("plans.submit", plan));
  for (const path of ["src/parser.ts", "docs/**"]) {
    const resource = `file:p1/${path}`;
    given(coordinator.call("leases.acquire", { self, resource, requestId: `lease-${path.length}`, ttlMs: 1_800_000 }));
  }
  return { coordinator, self, dead, job, running };
}

export const fleetIds = {
  waits: "11110000-0000-4000-8000-000000000001",
  works: "22220000-0000-4000-8000-000000000002",
  died: "33330000-0000-4000-8000-000000000003",
  ended: "44440000-0000-4000-8000-000000000004",
};

/** A fleet with one chat of each kind: waits, died, stuck or at work, ended. */
export function seedFleet(home: CliHome): void {
  const { store } = home.runtime;
  home.alive.add(1_001);
  addSession(home, {
    id: fleetIds.waits,
    pid: 1_001,
    title: "Payments: retry on timeout",
    entries: [
      { kind: "start", source: "startup" },
      { kind: "prompt", text: "retry the payment when the bank times out" },
      { kind: "tool_start", id: "t1", name: "Bash", input: "npm test" },
      { kind: "tool_end", id: "t1", name: "Bash", input: "npm test", durationMs: 4_200 },
    ],
  });
  const asks = { kind: "asks", for: "permission" } as const;
  store.write((sql) => journal.append(sql, fleetIds.waits, home.now, "asks", asks));
  home.alive.add(1_002);
  addSession(home, {
    id: fleetIds.works,
    pid: 1_002,
    title: "Search: index in the background",
    entries: [
      { kind: "prompt", text: "index new documents in the background" },
      { kind: "tool_start", id: "t2", name: "Edit", input: "src/index.ts" },
    ],
  });
  addSession(home, {
    id: fleetIds.died,
    pid: 1_003,
    title: "Parser: keep the last line",
    entries: [
      { kind: "start", source: "startup" },
      { kind: "prompt", text: "the parser drops the last line: fix it and add a test" },
      { kind: "tool_start", id: "t3", name: "Bash", input: "npm test" },
      { kind: "tool_error", id: "t3", name: "Bash", input: "npm test", text: "one test failed", durationMs: 1_200 },
      { kind: "assistant", text: "The tokenizer drops the last line." },
    ],
  });
  addSession(home, { id: fleetIds.ended, pid: 1_004, title: "Docs: the upgrade guide" });
  store.write((sql) => reportEnd(sql, home.runtime, fleetIds.ended, "prompt_input_exit"));
  store.write((sql) => {
    const fill = (value: number): sessions.SessionChange => {
      const contextFill = { value, source: "measured", at: home.now } as const;
      return { model: "claude-opus-5-5", readings: { contextFill } };
    };
    sessions.update(sql, fleetIds.waits, fill(0.42));
    sessions.update(sql, fleetIds.works, fill(0.91));
    const message = { kind: "message", id: 1, from: "chat-2", fromName: "Search", topic: null } as const;
    news.add(sql, home.now, fleetIds.waits, "m1", { ...message, text: "the parser is yours, I am done with it" });
    news.add(sql, home.now, fleetIds.works, "t1", { kind: "task_available", task: 12, title: "build" });
    news.markDelivered(sql, home.now, news.undelivered(sql, fleetIds.works, 1));
  });
  home.now += 240_000;
}

/** Each view with a text that it shows once it has read. */
export function views(team: SeededTeam): readonly (readonly [path: string, text: string])[] {
  return [
    ["fleet", "Payments"],
    [`chat/${fleetIds.died}`, "The tokenizer drops"],
    ["day", "compacted"],
    ["tasks", "compiles"],
    [`task/${team.dead[0]}`, "the disk is full"],
    ["dead", "3 dead tasks match"],
    ["files", "parser.ts"],
    ["messages", "the parser is yours"],
    ["plan", "parse, render, docs"],
    [`plan/${team.job}`, "Critical path"],
    ["experiments", "after 200 sessions"],
    ["health", "lock granted"],
  ];
}
