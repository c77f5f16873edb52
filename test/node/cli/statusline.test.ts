import { type CliHome, aCliHome, aSeededHome, ids, throwing, withStore } from "#harness/machine/cli-home.ts";
import { localTime } from "#src/cli/times.ts";
import { renderStatus } from "#src/cli/commands/statusline.ts";
import { statusOf } from "#src/machine/operations/status-line.ts";
import * as clients from "#src/machine/sessions/clients.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { listSamples } from "#harness/machine/crashes.ts";
import * as notices from "#src/store/notices.ts";
import { pause } from "#src/store/pause.ts";
import { StoreError } from "#src/store/store-error.ts";
import { expect, it } from "vitest";

function input(sessionId: string, tokens = 900_000): string {
  return JSON.stringify({
    session_id: sessionId,
    model: { id: "claude-opus-5-5" },
    context_window: { context_window_size: 1_000_000, current_usage: { input_tokens: tokens } },
  });
}

function savedAt(at: number): string {
  return `saved at ${localTime(at).slice(11, 16)}`;
}

function sessionOf(home: CliHome, id: string): sessions.Session | null {
  return home.runtime.store.read((sql) => sessions.get(sql, id), null);
}

it("it shows when the chat was saved, its risk, what died in its project, and stores what the client measured", () => {
  const home = aSeededHome();
  const line = renderStatus(statusOf(home.runtime, input(ids.alive)), home.runtime.now());
  expect(line).toBe(`SHIM: ${savedAt(home.now - 60_000)} | risk 0.3 warning | 1 died\n`);
  const session = sessionOf(home, ids.alive);
  expect(session?.readings.contextFill).toMatchObject({ value: 0.9, source: "measured", at: home.now });
  expect(session?.model).toBe("claude-opus-5-5");
  const [sample] = home.runtime.store.read((sql) => listSamples(sql, ids.alive), []);
  expect(sample).toMatchObject({ at: home.now, level: "warning" });
});

it("the risk counts the time since the last save, which the client does not know", () => {
  const home = aSeededHome();
  home.now += 600_000;
  expect(statusOf(home.runtime, input(ids.alive, 100)).risk).toMatchObject({ score: 0.4 });
});

it("notices follow on lines of their own, made safe", () => {
  const home = aSeededHome();
  home.runtime.store.write((sql) => notices.add(sql, home.now, "x", `damaged \u001b[2J ${"long ".repeat(100)}`));
  const lines = renderStatus(statusOf(home.runtime, input(ids.alive)), home.runtime.now()).split("\n");
  expect(lines[1]).toMatch(/^SHIM: damaged .*\.\.\.$/);
  expect(lines[1]).not.toContain("\u001b");
});

it("a chat in a second client with the same id is found by its process", () => {
  const home = aSeededHome();
  home.alive.add(900);
  const client = { boot: "boot-1", pid: 900, start: "s900" };
  const names = { givenId: "same-id", session: ids.alive };
  home.runtime.store.write((sql) => clients.moveTo(sql, home.now, client, names));
  const runtime = { ...home.runtime, env: { ...home.runtime.env, CLAUDE_PID: "900" } };
  expect(statusOf(runtime, input("same-id")).session).toBe(ids.alive);
  expect(statusOf(home.runtime, input("same-id")).session).toBeNull();
});

it("a chat that no hook has reported says so once it has worked; before that it is only not saved yet", () => {
  const home = aCliHome();
  expect(renderStatus(statusOf(home.runtime, input("new", 0)), home.runtime.now())).toBe("SHIM: not saved yet\n");
  expect(renderStatus(statusOf(home.runtime, ""), home.runtime.now())).toBe("SHIM: not saved yet\n");
  expect(renderStatus(statusOf(home.runtime, input("new")), home.runtime.now())).toBe(
    "SHIM: this chat is not saved, run `shim doctor`\n",
  );
});

it("while paused it stores nothing, and says so", () => {
  const home = aSeededHome();
  home.runtime.store.write((sql) => pause(sql, home.now, null, null));
  const status = statusOf(home.runtime, input(ids.alive));
  expect(renderStatus(status, home.now)).toContain("paused, nothing is saved");
  expect(sessionOf(home, ids.alive)?.readings.contextFill).toBeUndefined();
});

async function statusWith(home: CliHome, changed: Parameters<typeof withStore>[1]): Promise<string> {
  const { runtime } = await withStore(home, changed).makeRuntime();
  return renderStatus(statusOf(runtime, input(ids.alive)), runtime.now());
}

it("it never fails: a busy store costs nothing, a broken one is said", async () => {
  const home = aSeededHome();
  const saved = `SHIM: ${savedAt(home.now - 60_000)} | risk 0.3 warning | 1 died\n`;
  expect(await statusWith(home, { write: throwing(new StoreError("store_locked", "busy")) })).toBe(saved);
  const full = await statusWith(home, { write: throwing(new StoreError("store_full", "full")) });
  expect(full).toBe(`SHIM: cannot save (store_full), run \`shim doctor\` | ${saved.slice(6)}`);
  const broken = await statusWith(home, { read: throwing(new Error("oops")) });
  expect(broken).toBe("SHIM: cannot save (internal error), run `shim doctor`\n");
});
