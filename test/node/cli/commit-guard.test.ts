import { expect, it } from "vitest";
import { Cli } from "#src/cli/cli.ts";
import { checkCommit, type CommitVerdict } from "#src/local-mcp/team/commit-guard.ts";
import { processKey } from "#src/coordinator-client/local/process-key.ts";
import * as clients from "#src/local-mcp/sessions/clients.ts";
import { StoreError } from "#src/store/store-error.ts";
import { saveName } from "#src/local-mcp/sync/find-project.ts";
import * as filesTable from "#src/local-mcp/team/reservation-table.ts";
import * as members from "#src/local-mcp/team/members.ts";
import { aCliHome, addSession, holding, ids, throwing, withStore, type CliHome } from "#harness/machine/cli-home.ts";

const holder = ids.alive;
const resource = "file:p1/src/**";

/** A machine on which the chat `holder`, with the process 100, has reserved `src/**`. */
function withReservation(): CliHome {
  const home = aCliHome();
  home.alive.add(100);
  addSession(home, { id: holder, pid: 100, title: "the parser" });
  const client = { boot: "boot-1", pid: 100, start: "s100" };
  const process = processKey(client);
  home.runtime.store.write((sql) => {
    saveName(sql, "local", home.project, "p1", home.now);
    clients.moveTo(sql, home.now, client, { givenId: holder, session: holder });
    members.upsert(sql, home.now, { session: holder, workspace: "local", chat: holder, incarnation: 1, process });
    const place = { workspace: "local", machine: "vm", checkout: home.project, since: home.now - 180_000 };
    filesTable.upsert(sql, home.now, { resource, holder, holderName: "the parser", ...place });
  });
  const coordinator = home.coordinator();
  coordinator.call("chats.register", { chat: holder, session: holder, process, machine: "vm", client: "claude-code" });
  const self = { chat: holder, incarnation: 1 };
  coordinator.call("leases.acquire", { self, resource, requestId: "r1", isBound: true });
  return home;
}

interface Around {
  readonly parentPid?: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly patience?: Promise<"late">;
  readonly ask?: Parameters<typeof checkCommit>[2];
}

function commit(home: CliHome, paths: readonly string[], around: Around = {}): Promise<CommitVerdict> {
  const { parentPid = 1, env = {}, patience = new Promise<"late">(() => undefined) } = around;
  const runtime = { ...home.runtime, env: { ...home.runtime.env, ...env } };
  const ask = around.ask ?? (() => new Cli(home.io()).host.workspace());
  const staged = paths.map((path) => `${path}\0`).join("");
  return checkCommit(runtime, { root: home.project, staged, parentPid }, ask, patience);
}

function inChat(id: string): NodeJS.ProcessEnv {
  return { CLAUDE_CODE_SESSION_ID: id };
}

it("[FI20] a commit with a file that another living chat has reserved is refused, with its holder and how to continue", async () => {
  const home = withReservation();
  expect(await commit(home, ["docs/a.md", "srcs/a.ts", ""])).toEqual({ isRefused: false, text: "" });
  const { isRefused, text } = await commit(home, ["docs/a.md", "src/deep/a b.ts"]);
  expect(isRefused).toBe(true);
  const who = /src\/deep\/a b\.ts: "the parser" \(chat aaaa1111-\S+, on vm\), since 3 min/;
  expect(text).toEqual(holding(who, /shim team send aaaa1111-[^]*git commit --no-verify/));
  expect(text).not.toContain("docs/a.md");
  const many = Array.from({ length: 14 }, (_, at) => `src/f${at}.ts`);
  expect((await commit(home, many)).text).toMatch(/src\/f9\.ts[^]*and 4 more/);
});

it("[FI21] the chat itself commits what it has reserved, known by its process or its environment", async () => {
  const home = withReservation();
  home.alive.add(200);
  addSession(home, { id: ids.elsewhere, pid: 200 });
  expect(await commit(home, ["src/a.ts"], { parentPid: 100 })).toEqual({ isRefused: false, text: "" });
  expect((await commit(home, ["src/a.ts"], { env: inChat(holder) })).isRefused).toBe(false);
  expect((await commit(home, ["src/a.ts"], { env: inChat(ids.elsewhere) })).isRefused).toBe(true);
  for (const client of ["CODEX", "COPILOT_AGENT", "QWEN_CODE", "GEMINI"]) {
    const env = { [`${client}_SESSION_ID`]: holder };
    expect((await commit(home, ["src/a.ts"], { env })).isRefused).toBe(false);
  }
});

it("[FI21] of several known chats in the environment each commits what any of them has reserved", async () => {
  const home = withReservation();
  home.alive.add(200);
  addSession(home, { id: ids.elsewhere, pid: 200 });
  const started = { CODEX_SESSION_ID: ids.elsewhere, CLAUDE_CODE_SESSION_ID: holder };
  expect((await commit(home, ["src/a.ts"], { env: started })).isRefused).toBe(false);
  const others = { CODEX_SESSION_ID: "unknown", CLAUDE_CODE_SESSION_ID: ids.elsewhere };
  expect((await commit(home, ["src/a.ts"], { env: others })).isRefused).toBe(true);
});

it("[FI21] what the command line has reserved keeps chats from committing it, not the user", async () => {
  const home = aCliHome();
  expect((await home.shim("team files reserve a.ts")).code).toBe(0);
  addSession(home, { id: ids.elsewhere });
  expect((await commit(home, ["a.ts"])).isRefused).toBe(false);
  expect((await commit(home, ["a.ts"], { env: inChat(ids.elsewhere) })).isRefused).toBe(true);
});

it("[FI22] an ended reservation, and one of a chat that has died, is free", async () => {
  const home = withReservation();
  expect((await home.shim("team locks force-release", resource, "--reason", "test", "--yes")).code).toBe(0);
  expect(await commit(home, ["src/a.ts"])).toEqual({ isRefused: false, text: "" });
  const other = withReservation();
  other.alive.delete(100);
  expect(await commit(other, ["src/a.ts"])).toEqual({ isRefused: false, text: "" });
});

it("[FI22] where SHIM cannot answer, the commit succeeds with a warning; switched off, or with nothing stored, without one", async () => {
  const home = withReservation();
  const goesOn = { isRefused: false, text: holding(/not checked \(.*\); the commit continues/) };
  const never = new Promise<never>(() => undefined);
  expect(await commit(home, ["src/a.ts"], { ask: () => never, patience: Promise.resolve("late") })).toEqual(goesOn);
  const read = throwing(new StoreError("store_locked", "the store is locked"));
  const { runtime } = await withStore(home, { read }).makeRuntime();
  expect(await commit({ ...home, runtime }, ["src/a.ts"])).toEqual(goesOn);
  const { config } = home.runtime;
  const off = { ...config, team: { ...config.team, isEnabled: false } };
  expect((await commit({ ...home, runtime: { ...home.runtime, config: off } }, ["src/a.ts"])).text).toBe("");
  expect(await commit(aCliHome(), ["src/a.ts"])).toEqual({ isRefused: false, text: "" });
  home.join("http://127.0.0.1:9", { workspace: "local", machine: "vm", token: "t".repeat(40) });
  expect(await commit(home, ["src/a.ts"])).toEqual(goesOn);
});
