import { appendFileSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ownStatement } from "../../src/platform/processes.ts";
import { ms, sample, type Row } from "../figures.ts";
import { EventHost, type SentEvent } from "./event-host.ts";
import { hookSteps } from "./hook-steps.ts";
import { hookClients } from "./play.ts";
import type { RecordedSession } from "./session-events.ts";

const boundMs = 1_000;

/** Whole sessions, event by event, through the built host: what each event costs, and what hangs. */
export class Speed {
  #sessions = 0;
  readonly hung: string[] = [];
  /** Beyond half of the bound. */
  readonly slow: string[] = [];
  readonly #times = new Map<string, number[]>();
  readonly problems = new Map<string, number>();

  async play(session: RecordedSession, name: string): Promise<void> {
    const client = hookClients[session.client];
    if (client === undefined) return;
    this.#sessions += 1;
    const home = mkdtempSync(join(tmpdir(), "shim-real-"));
    const env: NodeJS.ProcessEnv = { ...process.env, HOME: home, SHIM_HOME: join(home, "shim"), CLAUDECODE: "1" };
    // No child of a chat: its variable would name another session.
    delete env["CLAUDE_CODE_SESSION_ID"];
    const host = new EventHost(join(home, "shim"), env);
    const transcript = join(home, "transcript.jsonl");
    writeFileSync(transcript, "");
    const common = { session_id: session.id, transcript_path: transcript, cwd: home };
    let written = 0;
    for (const { unit, event, fields } of hookSteps(session)) {
      if (unit > written) appendFileSync(transcript, session.written(written, unit));
      written = Math.max(written, unit);
      const sent = await host.send(client, ownStatement(), event, { ...common, hook_event_name: event, ...fields });
      this.#record(event, `${name} at row ${unit}, ${event}`, sent);
    }
    await host.end();
    this.#countProblems(join(home, "shim"));
    rmSync(home, { recursive: true });
  }

  rows(): Row[] {
    const all = [...this.#times.values()].flat();
    if (all.length === 0) return [];
    const errors = [...this.problems.values()].reduce((total, one) => total + one, 0);
    const group = "hook events of real sessions";
    const slowest = Math.max(...all);
    const counts = `${this.#sessions}, ${all.length}`;
    return [
      { group, n: all.length, name: "sessions, events", figure: counts },
      {
        group,
        n: all.length,
        name: "hung",
        figure: String(this.hung.length),
        goal: "0",
        isReached: this.hung.length === 0,
      },
      {
        group,
        n: all.length,
        name: "errors in answers and log",
        figure: String(errors),
        goal: "0",
        isReached: errors === 0,
      },
      {
        group,
        n: all.length,
        name: "slowest event",
        figure: ms(slowest),
        goal: "under 1 s",
        isReached: slowest < boundMs,
      },
      ...[["all events", all] as const, ...this.#times].map(([name, some]) => {
        const { p50, p99 } = sample(some);
        return {
          group,
          n: some.length,
          name: `${name}: p50 / p99 / most`,
          figure: [p50, p99, Math.max(...some)].map(ms).join(" / "),
        };
      }),
    ];
  }

  #record(event: string, where: string, { cpuMs, answer }: SentEvent): void {
    const times = this.#times.get(event) ?? [];
    times.push(cpuMs);
    this.#times.set(event, times);
    if (answer === null) this.hung.push(where);
    else if (cpuMs > boundMs / 2) this.slow.push(`${where}: ${ms(cpuMs)}`);
    if (typeof answer === "object" && answer !== null && "error" in answer)
      this.#count(`answer: ${String(answer.error)}`);
  }

  /** Messages of the log without what they are about: that may be a user's text. */
  #countProblems(home: string): void {
    for (const log of globSync("**/*.log", { cwd: home })) {
      for (const line of readFileSync(join(home, log), "utf8").split("\n")) {
        const [, level, message] = /"level":"(\w+)".*?"msg":"([^"]{1,80})"/.exec(line) ?? [];
        if (level === "error" || level === "warn") this.#count(`${level}: ${message}`);
      }
    }
  }

  #count(problem: string): void {
    this.problems.set(problem, (this.problems.get(problem) ?? 0) + 1);
  }
}
