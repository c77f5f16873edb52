import type { OperationName } from "#src/contract/operations.ts";
import { trialsKey, WorkspaceTrials, type WorkspaceTrial } from "#src/contract/trials.ts";
import type { Settings } from "#src/contract/workspaces.ts";
import {
  noteReview,
  reviewWorkspace,
  type WorkspaceReviewOptions,
} from "#src/local-mcp/experiments/workspace-review.ts";
import type { TrialLink } from "#src/local-mcp/experiments/workspace-history.ts";
import type { SettingsComparison, Finding } from "#src/contract/machine/learning.ts";
import { err } from "#src/shared/result.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { admin } from "#harness/coordinator/engine-host.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";
import { ask } from "#harness/coordinator/state-calls.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

export const dayMs = 86_400_000;

/** Thrown in the midst of a review: its process is gone. */
export class Killed extends Error {}

export const unevenLoad: Finding = {
  id: "uneven_load:balancingIntervalMs",
  pattern: "uneven_load",
  subject: "balancingIntervalMs",
  evidence: { n: 80, windowMs: 30 * dayMs, figures: {} },
  parameter: "balancingIntervalMs",
  from: 5_000,
  to: 2_500,
  direction: "down",
  expected: null,
  test: "simulation",
  confidence: { pValue: 0.001, basis: "measured" },
  title: "One chat does most of the work",
  text: "Of 80 tasks one of 3 chats did all.",
  advice: "Try a shorter interval.",
};

const outcomes = { meanWaitMs: 1, p95WaitMs: 2, deadTasks: 0, falseDepartures: 0, redeliveries: 0, operations: 9 };

export function aComparison(verdict: SettingsComparison["verdict"]): SettingsComparison {
  const interval = { low: -0.6, high: -0.4 };
  return { blocks: 40, verdict, effect: -0.5, interval, outcomes: { from: outcomes, to: outcomes } };
}

/** Machines of one workspace, whose coordinator runs in this process. */
export class WorkspaceRig {
  readonly host = new LocalHost(openBetterSqlite3);
  readonly runtimes = { desk: tempRuntime(), laptop: tempRuntime() };
  compared = 0;
  #requests = 0;

  /** @param more `forbidden`: operations that the machine's token may not ask */
  link(
    machine: string,
    more: {
      forbidden?: readonly OperationName[];
      before?: (name: OperationName, call: number) => unknown;
      after?: (name: OperationName, call: number) => unknown;
    } = {},
  ): TrialLink {
    let calls = 0;
    const call = async (name: OperationName, input: never) => {
      const number = (calls += 1);
      if (more.forbidden?.includes(name)) return err({ code: "forbidden", message: "the scope is too small" });
      await more.before?.(name, number);
      const answer = await this.host.call(name as never, input, { ...admin, machine });
      await more.after?.(name, number);
      return answer;
    };
    return { machine, isEdge: true, call: call as unknown as TrialLink["call"] };
  }

  async review(
    machine: keyof WorkspaceRig["runtimes"] = "desk",
    options: Partial<WorkspaceReviewOptions> = {},
    link: TrialLink = this.link(machine),
  ) {
    return reviewWorkspace(this.runtimes[machine], link, {
      note: (done) => noteReview(this.runtimes[machine], done),
      mode: "apply",
      findings: [unevenLoad],
      isDryRun: false,
      compare: () => {
        this.compared += 1;
        return aComparison("better");
      },
      ...options,
    });
  }

  async trials(): Promise<WorkspaceTrials> {
    const { entry } = await ask(this.host, "state.get", { key: trialsKey });
    return entry ? WorkspaceTrials.parse(entry.value) : { offSince: null, trials: [] };
  }

  async trial(): Promise<WorkspaceTrial> {
    const [trial] = (await this.trials()).trials;
    if (!trial) throw new Error("there is no trial");
    return trial;
  }

  async setting(key: keyof Settings = "balancingIntervalMs"): Promise<unknown> {
    return (await ask(this.host, "settings.get", {})).settings[key];
  }

  async set(settings: Partial<Settings>): Promise<void> {
    await ask(this.host, "settings.set", { settings });
  }

  /** Until the next UTC day. */
  async spendDay(): Promise<void> {
    await this.endTasks(1, { tokens: 5 });
    await this.set({ budgets: { task: {}, chat: {}, day: { tokens: 1 } } });
  }

  wait(ms: number): void {
    this.host.wait(ms);
    for (const runtime of Object.values(this.runtimes)) runtime.wait(ms);
  }

  /** Tasks that a chat claims and ends: dead, or done with this use. */
  async endTasks(count: number, end: "dead" | { tokens: number } = { tokens: 0 }): Promise<void> {
    const { host } = this;
    const chat = { chat: "w1", session: "w1", process: "p1", machine: "m1", client: "test", capacity: 100 };
    const { incarnation } = await ask(host, "chats.register", chat);
    const self = { chat: "w1", incarnation };
    await ask(host, "tasks.submit", {
      tasks: Array.from({ length: count }, () => ({ type: "build", maxAttempts: 1 })),
    });
    const requestId = `r${(this.#requests += 1)}`;
    const { claims } = await ask(host, "tasks.claim", { self, limit: count, requestId });
    for (const { task, claim } of claims)
      if (end === "dead") await ask(host, "tasks.nack", { self, task, claim, reason: "broken" });
      else await ask(host, "tasks.ack", { self, task, claim, usage: end });
  }
}
