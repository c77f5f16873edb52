import { appendFileSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ownStatement } from "../../src/platform/processes.ts";
import { sample } from "../measure.ts";
import { EventHost, type SentEvent, hookSteps } from "./event-host.ts";
import { hookClients } from "./play.ts";
import type { RecordedSession } from "./session-events.ts";

/** Whole sessions, event by event, through the built host: what hangs or fails, and what an event costs the processor, in ms. */
export class Events {
  readonly #times: number[] = [];
  #failed = 0;

  async play(session: RecordedSession, name: string): Promise<void> {
    const client = hookClients[session.client];
    if (client === undefined) return;
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
      this.#record(`${name} at row ${unit}, ${event}`, sent);
    }
    await host.end();
    for (const log of globSync("**/*.log", { cwd: home })) this.#countProblems(readFileSync(join(home, log), "utf8"));
    rmSync(home, { recursive: true });
  }

  get result() {
    const { p50, p99, n } = sample(this.#times);
    return { events: n, eventsFailed: this.#failed, event50: p50, event99: p99 };
  }

  #record(at: string, { cpuMs, answer }: SentEvent): void {
    this.#times.push(cpuMs);
    const isFailed = typeof answer === "object" && answer !== null && "error" in answer;
    if (answer === null || isFailed) this.#fail(`${at}: ${answer === null ? "hung" : "answered with an error"}`);
  }

  /** Messages without what they are about: that may be a user's text. */
  #countProblems(log: string): void {
    for (const [, level, message] of log.matchAll(/"level":"(error|warn)".*?"msg":"([^"]{1,80})"/g))
      this.#fail(`${level}: ${message}`);
  }

  #fail(what: string): void {
    this.#failed += 1;
    console.error(what);
  }
}
