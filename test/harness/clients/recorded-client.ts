import { readFileSync } from "node:fs";
import { adapterOf } from "#src/clients/adapters.ts";
import type { ClientAdapter } from "#src/clients/adapter/client-adapter.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import type { Life } from "#src/contract/work-state.ts";
import * as life from "#src/machine/sessions/life/row.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import type { TempRuntime } from "#harness/machine/temp-runtime.ts";

type Recording = Readonly<{ env: Readonly<Record<string, string>>; payload: Readonly<Record<string, unknown>> }>;

function recorded(name: string): Readonly<Record<string, unknown>> {
  return JSON.parse(readFileSync(new URL(`recorded/${name}.json`, import.meta.url), "utf8"));
}

/** What a real client sent, by event and, after a dash, its kind; names of persons and paths are replaced. */
export function recordings(client: string): Readonly<Record<string, Recording>> {
  return recorded("hooks")[client] as Readonly<Record<string, Recording>>;
}

export function recording(client: string, name: string): Recording {
  const one = recordings(client)[name];
  if (!one) throw new Error(`no ${name} of ${client} is recorded`);
  return one;
}

/** What a real client wrote as its transcript or, Claude Code, as its stream; long lists are shortened. */
export function recordedSession(name: string): string {
  const rows = recorded("sessions")[name] as readonly object[];
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}

/** A client as its recorded events show it. */
export class RecordedClient {
  readonly adapter: ClientAdapter;
  readonly pid: number;
  readonly #runtime: TempRuntime;

  constructor(runtime: TempRuntime, client: string, pid = 2_000) {
    const adapter = adapterOf(client);
    if (!adapter) throw new Error(`no adapter is named ${client}`);
    this.adapter = adapter;
    this.pid = pid;
    this.#runtime = runtime;
    runtime.processes.start(pid);
  }

  /** Sends a recorded event with some fields replaced. @returns the parsed answer; empty for none */
  send(name: string, changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
    const [event = name] = name.split("-");
    const { env, payload } = recording(this.adapter.name, name);
    return this.report(event, { ...payload, ...changes }, env);
  }

  /** @param names of recorded events, with blanks between them */
  sendEach(names: string, changes: Readonly<Record<string, unknown>> = {}): this {
    for (const name of names.split(" ")) this.send(name, changes);
    return this;
  }

  report(event: string, payload: object, env: Readonly<Record<string, string>> = {}): Record<string, unknown> {
    const runtime = { ...this.#runtime, env: { HOME: "/home/user", ...this.#runtime.env, ...env } };
    const text = answerHook(runtime, event, () => JSON.stringify(payload), this.pid, this.adapter);
    return text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
  }

  life(id: string): Life | null {
    return this.#runtime.store.read((sql) => life.read(sql, id), null);
  }

  session(id: string): sessions.Session | null {
    return this.#runtime.store.read((sql) => sessions.get(sql, id), null);
  }

  claim(id: string): recoveries.Claim["is"] | undefined {
    return this.#runtime.store.read((sql) => recoveries.claimOf(sql, id), null)?.is;
  }

  entries(id: string): journal.JournalRow["entry"][] {
    return this.#runtime.store.read((sql) => journal.list(sql, id, 0), []).map(({ entry }) => entry);
  }
}
