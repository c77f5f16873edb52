import { processKey } from "#src/coordinator-client/local/process-key.ts";
import { identify } from "#src/platform/processes.ts";
import * as files from "#src/machine/team/reservation-table.ts";
import * as news from "#src/machine/sessions/news.ts";
import type { Claude } from "#harness/machine/claude.ts";
import { insert } from "#harness/store/store-rows.ts";
import type { TempRuntime } from "#harness/machine/temp-runtime.ts";

/** What the chat's MCP process writes when it registers. */
export function joinTeam(runtime: TempRuntime, claude: Claude, project = "parser"): void {
  const owner = identify(runtime.processes, claude.pid);
  if (!owner) throw new Error(`there is no process ${claude.pid}`);
  const { session } = claude;
  const row = { session, workspace: "w", chat: session, incarnation: 1, process: processKey(owner) };
  runtime.store.write((sql) => insert(sql, "team_chats", { ...row, at: runtime.now() }, "ON CONFLICT DO NOTHING"));
  nameProject(runtime, claude.cwd, project);
}

export function nameProject(runtime: TempRuntime, root: string, project = "parser"): void {
  const row = { workspace: "w", root, project, at: runtime.now() };
  runtime.store.write((sql) =>
    insert(sql, "team_projects", row, "ON CONFLICT DO UPDATE SET project = excluded.project"),
  );
}

/** A reservation as the coordinator reports it. */
export function reservationReceived(runtime: TempRuntime, reservation: Partial<files.Reservation>): void {
  const one: files.Reservation = {
    resource: "file:parser/one.ts",
    workspace: "w",
    holder: "b-chat",
    holderName: "write the lexer",
    machine: "other-machine",
    checkout: "",
    token: 1,
    since: runtime.now(),
    ...reservation,
  };
  runtime.store.write((sql) => files.upsert(sql, runtime.now(), one));
}

let keys = 0;

export function hear(runtime: TempRuntime, claude: Claude, one: news.News): void {
  runtime.store.write((sql) => void news.add(sql, runtime.now(), claude.session, `k${(keys += 1)}`, one));
}

export function aMessage(text: string, overrides: Partial<Extract<news.News, { kind: "message" }>> = {}): news.News {
  return { kind: "message", id: 1, from: "b-chat", fromName: "write the lexer", topic: null, text, ...overrides };
}
