import type { Usage } from "#src/contract/budgets.ts";
import type { InputOf, OperationName, OutputOf } from "#src/contract/operations.ts";
import type { LocalCoordinator } from "#src/coordinator-client/local/local-coordinator.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import { aCliHome, type CliHome } from "#harness/machine/cli-home.ts";
import { makeRepository, write } from "#harness/machine/git-project.ts";

export class Worker {
  readonly #coordinator: LocalCoordinator;
  readonly #self: { readonly chat: string; readonly incarnation: number };
  #claims = 0;

  constructor(home: CliHome, more: Partial<InputOf<"chats.register">> = {}) {
    this.#coordinator = home.coordinator("m1");
    const about = { chat: "w", session: "w", process: "somewhere", machine: "m1", client: "test" };
    const able = { capacity: 100, capabilities: ["gpu"] };
    const { incarnation } = this.#call("chats.register", { ...about, ...able, ...more });
    this.#self = { chat: more.chat ?? "w", incarnation };
  }

  #call<Name extends OperationName>(name: Name, input: InputOf<Name>): OutputOf<Name> {
    return given(this.#coordinator.call(name, input));
  }

  /** Takes the next one, begun or only assigned. @returns what can be done with it */
  take(isStarted = true) {
    const requestId = `r${this.#claims++}`;
    const [claimed] = this.#call("tasks.claim", { self: this.#self, requestId, limit: 1, isStarted }).claims;
    if (!claimed) throw new Error("nothing to take");
    const held = { self: this.#self, task: claimed.task, claim: claimed.claim };
    return {
      beat: (percent: number, note: string) =>
        void this.#call("tasks.heartbeat", { ...held, progress: { percent, note } }),
      used: (usage: Partial<Usage>) => void this.#call("tasks.heartbeat", { ...held, usage }),
      done: () => void this.#call("tasks.ack", { ...held, result: { lines: 3 } }),
      failed: (reason: string, isRetryable = false) => void this.#call("tasks.nack", { ...held, reason, isRetryable }),
    };
  }

  set(settings: InputOf<"settings.set">["settings"]): void {
    this.#call("settings.set", { settings });
  }

  drain(): void {
    this.#call("chats.drain", { chat: this.#self.chat });
  }

  isStuck(): void {
    this.#call("chats.heartbeat", { self: this.#self, status: "stuck" });
  }

  leave(): void {
    this.#call("chats.unregister", { self: this.#self });
  }
}

export async function submit(home: CliHome, command: string, ...args: string[]): Promise<string> {
  const { tasks } = (await home.json(`task submit ${command}`, ...args)) as OutputOf<"tasks.submit">;
  return String(tasks[0]?.task);
}

export async function submitPlan(home: CliHome, plan: readonly object[]): Promise<number[]> {
  write(home.project, { "plan.json": JSON.stringify(plan) });
  const { tasks } = (await home.json("task submit --graph plan.json")) as OutputOf<"tasks.submit">;
  return tasks.map(({ task }) => task);
}

export function aWorkerHome(): CliHome {
  const home = aCliHome();
  home.alive.add(process.pid);
  makeRepository(home.project, { "a.txt": "one\n" });
  return home;
}
