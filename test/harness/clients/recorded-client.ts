import { readFileSync, existsSync, utimesSync, writeFileSync } from "node:fs";
import { adapterOf } from "#src/clients/adapters.ts";
import type { ClientAdapter } from "#src/clients/adapter/client-adapter.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import type { TempRuntime } from "#harness/machine/temp-runtime.ts";
import { expect } from "vitest";
import type { ChatRig } from "./chat-rig.ts";
import { runShim } from "./real-clients.ts";
import type { Step, ModelRequest } from "#harness/claude/scripted-model.ts";
import type { ToolCall } from "./model-formats.ts";

interface Recording {
  readonly env: Readonly<Record<string, string>>;
  readonly payload: Readonly<Record<string, unknown>>;
}

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

  session(id: string): sessions.Session | null {
    return this.#runtime.store.read((sql) => sessions.get(sql, id), null);
  }

  entries(id: string): journal.JournalRow["entry"][] {
    return this.#runtime.store.read((sql) => journal.list(sql, id, 0), []).map(({ entry }) => entry);
  }
}

/** Command of the chat's shell tool, besides a write of `one.ts`. */
export const shellWork = "echo 'by command' > two.ts; rm three.ts; mkdir -p made; echo new > made/new.ts";
export const written = "export const written = true;\n";

function shim({ home, paths, project }: ChatRig, ...args: string[]): Record<string, unknown> {
  const env = { PATH: process.env["PATH"] ?? "", HOME: home, SHIM_HOME: paths.home };
  return JSON.parse(runShim([...args, "--json"], { cwd: project, env })) as Record<string, unknown>;
}

function contentOf(rig: ChatRig): (string | null)[] {
  const names = ["one.ts", "two.ts", "three.ts", "made/new.ts"];
  return names.map((name) => (existsSync(rig.path(name)) ? readFileSync(rig.path(name), "utf8") : null));
}

/** The chat's last turn has written `one.ts` and done {@link shellWork}: takes it back, and that back. One of the files is changed by hand first. */
export function undoesTheTurn(rig: ChatRig): void {
  const text = "export {};\n";
  expect(contentOf(rig)).toEqual([written, "by command\n", null, "new\n"]);
  writeFileSync(rig.path("two.ts"), "by hand\n");
  // Nobody types within a moment of the chat's last command.
  const later = Date.now() / 1_000 + 5;
  utimesSync(rig.path("two.ts"), later, later);
  const undone = shim(rig, "undo", "--yes");
  expect(undone).toMatchObject({ left: [{ path: "two.ts", reason: "it was changed since, not by this chat" }] });
  expect(contentOf(rig)).toEqual([text, "by hand\n", text, null]);
  expect(existsSync(rig.path("made"))).toBe(false);
  shim(rig, "undo", "--redo", "--yes");
  expect(contentOf(rig)).toEqual([written, "by hand\n", null, "new\n"]);
}

/** Prints the word without naming it: only the result of the call holds it. */
export const poisonCommand = "printf 'POI%s' SON";

const refused: Step = { error: { status: 400, type: "invalid_request_error", message: "this content is not allowed" } };

/** An API that refuses each request with the word in it, whatever else is asked, and notes what it accepted. */
export function refusingPoison(call: ToolCall | null, accepted: string[] = []): (request: ModelRequest) => Step {
  let isCalled = call === null;
  return ({ messages }) => {
    const text = messages.map((message) => message.text).join("\n");
    if (text.includes("POISON")) return refused;
    accepted.push(text);
    if (isCalled || call === null) return { text: "Noted." };
    isCalled = true;
    return { tools: [call] };
  };
}
