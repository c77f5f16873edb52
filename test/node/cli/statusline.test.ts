import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CliHome, aCliHome, aSeededHome, ids, throwing, withStore } from "#harness/machine/cli-home.ts";
import { chainedLine, renderLine, renderStatus, runOwnCommand } from "#src/cli/commands/statusline.ts";
import { statusOf } from "#src/local-mcp/host/status-line.ts";
import * as clients from "#src/local-mcp/sessions/clients.ts";
import * as sessions from "#src/local-mcp/sessions/sessions.ts";
import { list } from "#src/local-mcp/signals/history.ts";
import * as notices from "#src/store/notices.ts";
import { pause } from "#src/store/pause.ts";
import { StoreError } from "#src/store/store-error.ts";
import { expect, it, vi } from "vitest";

function input(sessionId: string, tokens = 900_000): string {
  return JSON.stringify({
    session_id: sessionId,
    model: { id: "claude-opus-5-5" },
    context_window: { context_window_size: 1_000_000, current_usage: { input_tokens: tokens } },
  });
}

function sessionOf(home: CliHome, id: string): sessions.Session | null {
  return home.runtime.store.read((sql) => sessions.get(sql, id), null);
}

it("[CL19] it shows when the chat was saved, its risk, what died in its project, and stores what the client measured", () => {
  const home = aSeededHome();
  const line = renderStatus(statusOf(home.runtime, input(ids.alive)));
  expect(line).toBe("SHIM: saved 60 s ago | risk 0.3 warning | 1 died\n");
  const session = sessionOf(home, ids.alive);
  expect(session?.readings.contextFill).toMatchObject({ value: 0.9, source: "measured", at: home.now });
  expect(session?.model).toBe("claude-opus-5-5");
  const [sample] = home.runtime.store.read((sql) => list(sql, ids.alive), []);
  expect(sample).toMatchObject({ at: home.now, level: "warning" });
});

it("[CL19] the risk counts the time since the last save, which the client does not know", () => {
  const home = aSeededHome();
  home.now += 600_000;
  expect(statusOf(home.runtime, input(ids.alive, 100)).risk).toMatchObject({ score: 0.4 });
});

it("[CL19] notices follow on lines of their own, made safe", () => {
  const home = aSeededHome();
  home.runtime.store.write((sql) => notices.add(sql, home.now, "x", `damaged \u001b[2J ${"long ".repeat(100)}`));
  const lines = renderLine({ own: "", status: statusOf(home.runtime, input(ids.alive)) }).split("\n");
  expect(lines[1]).toMatch(/^SHIM: damaged .*\.\.\.$/);
  expect(lines[1]).not.toContain("\u001b");
});

it("[CL19] a chat in a second client with the same id is found by its process", () => {
  const home = aSeededHome();
  home.alive.add(900);
  const client = { boot: "boot-1", pid: 900, start: "s900" };
  const names = { givenId: "same-id", session: ids.alive };
  home.runtime.store.write((sql) => clients.moveTo(sql, home.now, client, names));
  const runtime = { ...home.runtime, env: { ...home.runtime.env, CLAUDE_PID: "900" } };
  expect(statusOf(runtime, input("same-id")).session).toBe(ids.alive);
  expect(statusOf(home.runtime, input("same-id")).session).toBeNull();
});

it("[CL19] a chat that no hook has reported says so once it has worked; before that it is only not saved yet", () => {
  const home = aCliHome();
  expect(renderStatus(statusOf(home.runtime, input("new", 0)))).toBe("SHIM: not saved yet\n");
  expect(renderStatus(statusOf(home.runtime, ""))).toBe("SHIM: not saved yet\n");
  expect(renderStatus(statusOf(home.runtime, input("new")))).toBe("SHIM: this chat is not saved, run `shim doctor`\n");
});

it("[CL19] while paused it stores nothing, and says so", () => {
  const home = aSeededHome();
  home.runtime.store.write((sql) => pause(sql, home.now, null, null));
  const status = statusOf(home.runtime, input(ids.alive));
  expect(renderStatus(status)).toContain("paused, nothing is saved");
  expect(sessionOf(home, ids.alive)?.readings.contextFill).toBeUndefined();
});

async function statusWith(home: CliHome, changed: Parameters<typeof withStore>[1]): Promise<string> {
  const { runtime } = await withStore(home, changed).makeRuntime();
  return renderStatus(statusOf(runtime, input(ids.alive)));
}

it("[CL19] it never fails: a busy store costs nothing, a broken one is said", async () => {
  const home = aSeededHome();
  const saved = "SHIM: saved 60 s ago | risk 0.3 warning | 1 died\n";
  expect(await statusWith(home, { write: throwing(new StoreError("store_locked", "busy")) })).toBe(saved);
  const full = await statusWith(home, { write: throwing(new StoreError("store_full", "full")) });
  expect(full).toBe(`SHIM: cannot save (store_full), run \`shim doctor\` | ${saved.slice(6)}`);
  const broken = await statusWith(home, { read: throwing(new Error("oops")) });
  expect(broken).toBe("SHIM: cannot save (internal error), run `shim doctor`\n");
});

function withOwn(home: CliHome, command: string): Parameters<typeof chainedLine>[0] {
  mkdirSync(home.paths.home, { recursive: true });
  writeFileSync(home.paths.config, JSON.stringify({ statusLine: command }));
  const { project: cwd, paths, runtime } = home;
  return { env: { ...process.env }, cwd, configPath: paths.config, statusOf: async (text) => statusOf(runtime, text) };
}

it("[CL19] the user's own command comes first, with the same input, through a shell", async () => {
  const home = aSeededHome();
  const host = withOwn(home, 'printf "mine: "; grep -o "aaaa1111[^\\"]*"');
  expect(renderLine(await chainedLine(host, input(ids.alive)))).toBe(
    `mine: ${ids.alive}\nSHIM: saved 60 s ago | risk 0.3 warning | 1 died\n`,
  );
  const failingHost = withOwn(home, "exit 3");
  expect(renderLine(await chainedLine(failingHost, input(ids.alive)))).toMatch(/^SHIM: saved/);
});

it("[CL19] without SQLite the user's own line is still shown, and a command that leads back here ends", async () => {
  const home = aCliHome();
  const host = { ...withOwn(home, "echo mine"), statusOf: async () => Promise.reject(new Error("no SQLite")) };
  expect(renderLine(await chainedLine(host, "{}"))).toBe("mine\n");
  const inner = { ...host, env: { ...host.env, SHIM_STATUSLINE: "1" } };
  expect(renderLine(await chainedLine(inner, "{}"))).toBe("");
});

function isGroupAlive(group: number): boolean {
  try {
    return process.kill(-group, 0);
  } catch {
    return false;
  }
}

it("[CL19] a command that hangs is stopped with all that it started; what it printed until then counts @night", async () => {
  const home = aCliHome();
  const base = { input: "x".repeat(200_000), env: process.env, cwd: home.folder };
  // The shell leads the group of all that it starts.
  const group = Number(await runOwnCommand({ ...base, command: "printf $$; (sleep 3600); true", timeoutMs: 5_000 }));
  await vi.waitUntil(() => !isGroupAlive(group), { timeout: 120_000 });
  const cwd = join(home.folder, "gone");
  for (const other of [{ command: "no-such-command-here" }, { cwd, command: "echo x" }])
    expect(await runOwnCommand({ ...base, ...other, timeoutMs: 60_000 })).toBe("");
});
