import type { InputOf } from "#src/contract/operations.ts";
import type { Self } from "#src/contract/values.ts";
import type { LocalCoordinator } from "#src/coordinator-client/local/local-coordinator.ts";
import { processKey } from "#src/coordinator-client/local/process-key.ts";
import type { CliHome } from "#harness/machine/cli-home.ts";
import { given } from "#harness/coordinator/state-calls.ts";

type NewTask = InputOf<"tasks.submit">["tasks"][number];

/** A live chat of this machine's team, whose process is this number. */
function joinTeam(home: CliHome, coordinator: LocalCoordinator, chat: string, pid: number): Self {
  home.alive.add(pid);
  const process = processKey({ boot: "boot-1", pid, start: `s${pid}` });
  const registered = coordinator.call("chats.register", {
    chat,
    session: chat,
    process,
    machine: "here",
    client: "claude-code",
    capacity: 50,
  });
  return { chat, incarnation: given(registered).incarnation };
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

export interface SeededTeam {
  readonly coordinator: LocalCoordinator;
  readonly self: Self;
  readonly dead: readonly number[];
  /** The task of a job above its parts. */
  readonly job: number;
  readonly running: number;
}

/** Dead letters, a task that runs, a job of three parts, and two reserved files. */
export function seedTeam(home: CliHome, chat: string, pid: number): SeededTeam {
  const coordinator = home.coordinator();
  const self = joinTeam(home, coordinator, chat, pid);
  submit(coordinator, [{ type: "deploy", tags: ["night"] }, { type: "deploy" }, { type: "lint" }]);
  const dead = failAll(coordinator, self, 3, "the disk is full");
  const [running = 0] = submit(coordinator, [{ type: "build", payload: { branch: "main" } }]);
  const { claims } = given(coordinator.call("tasks.claim", { self, requestId: "build-1", limit: 1 }));
  const claim = claims[0]?.claim ?? 0;
  const progress = { percent: 40, note: "compiles" };
  given(coordinator.call("tasks.heartbeat", { self, task: running, claim, progress }));
  const parts = ["parse", "render", "docs"].map((name) => ({
    name,
    text: name,
    dependsOn: name === "docs" ? ["parse"] : [],
  }));
  const { task: job } = given(
    coordinator.call("plans.submit", {
      job: { title: "release" },
      strategy: { by: "list", parts },
      type: "part",
      joinRule: "collect",
    }),
  );
  for (const path of ["src/parser.ts", "docs/**"]) {
    const resource = `file:p1/${path}`;
    given(coordinator.call("leases.acquire", { self, resource, requestId: `lease-${path.length}`, ttlMs: 1_800_000 }));
  }
  return { coordinator, self, dead, job, running };
}
