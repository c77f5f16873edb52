import { processKey } from "#src/coordinator-client/local/process-key.ts";
import { identify } from "#src/platform/processes.ts";
import * as files from "#src/local-mcp/team/reservation-table.ts";
import * as news from "#src/local-mcp/sessions/news.ts";
import type { Claude } from "#harness/machine/claude.ts";
import type { TempRuntime } from "#harness/machine/temp-runtime.ts";

/** What the chat's MCP process has written when it has registered. */
export function joinTeam(runtime: TempRuntime, claude: Claude, project = "parser"): void {
  const owner = identify(runtime.processes, claude.pid);
  if (!owner) throw new Error(`there is no process ${claude.pid}`);
  runtime.store.write((sql) =>
    sql.run(
      "INSERT OR REPLACE INTO team_chats (session_id, workspace, chat, incarnation, process, at) VALUES (?, 'w', ?, 1, ?, ?)",
      claude.session,
      claude.session,
      processKey(owner),
      runtime.now(),
    ),
  );
  nameProject(runtime, claude.cwd, project);
}

export function nameProject(runtime: TempRuntime, root: string, project = "parser"): void {
  runtime.store.write((sql) =>
    sql.run(
      "INSERT OR REPLACE INTO team_projects (workspace, root, project, at) VALUES ('w', ?, ?, ?)",
      root,
      project,
      runtime.now(),
    ),
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
