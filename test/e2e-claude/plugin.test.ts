import { execFileSync, spawn, spawnSync } from "node:child_process";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { expect, it, onTestFinished } from "vitest";
import { cleanEnv } from "#harness/claude/claude-code.ts";
import { call, ClaudeRig, received } from "#harness/claude/claude-rig.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { outputOf } from "#harness/machine/programs.ts";
import { claudeBinary } from "../../scripts/install-claude.ts";

/** The real Claude Code: the path of its binary. It needs no network and no account for any of this. */
const claude = claudeBinary();

const root = join(import.meta.dirname, "..", "..");

function run(home: string, ...args: string[]) {
  const path = [dirname(process.execPath), "/usr/bin", "/bin"].join(delimiter);
  const env = { HOME: home, PATH: path, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1" };
  return spawnSync(claude, args, { cwd: home, env, encoding: "utf8", timeout: 240_000, input: "" });
}

type Report = { success: boolean; provides: Record<"hooks" | "mcpServers", unknown[]> };

it("claude plugin validate accepts the plugin and the marketplace", () => {
  const home = temporaryFolder();
  const plugin = run(home, "plugin", "validate", "--strict", "--json", join(root, "plugin"));
  const { success, provides } = JSON.parse(plugin.stdout) as Report;
  expect([plugin.status, success]).toEqual([0, true]);
  const handlers = globSync(join(root, "plugin", "hooks", "*.json")).flatMap((path) => {
    const { hooks } = JSON.parse(readFileSync(path, "utf8")) as { hooks: Record<string, { hooks: unknown[] }[]> };
    return Object.values(hooks).flatMap((groups) => groups.flatMap((group) => group.hooks));
  });
  expect([provides.hooks.length, provides.mcpServers.length]).toEqual([handlers.length, 1]);
  expect(run(home, "plugin", "validate", "--strict", root).status).toBe(0);
});

it("the npm package is a marketplace, and the server of its plugin connects", () => {
  const home = temporaryFolder();
  const scratch = temporaryFolder();
  execFileSync(process.execPath, [join(root, "scripts", "pack.ts"), scratch]);
  const folder = join(scratch, "package");
  expect(run(home, "plugin", "validate", "--strict", folder).status).toBe(0);
  expect(run(home, "plugin", "marketplace", "add", folder).status).toBe(0);
  expect(run(home, "plugin", "install", "shim@shim").status).toBe(0);
  expect(run(home, "mcp", "list").stdout).toMatch(/^plugin:shim:shim: .*Connected$/m);
});

const consent = join(import.meta.dirname, "..", "harness", "claude", "consent-child.ts");

const documentAddress = "https://claude.ai/oauth/claude-code-client-metadata";

/** What Claude Code is known by, as far as its users' reports quote it: no port, and any is meant (RFC 8252). */
const document = {
  client_id: documentAddress,
  client_name: "Claude Code",
  redirect_uris: ["http://localhost/callback", "http://127.0.0.1/callback"],
  grant_types: ["authorization_code", "refresh_token"],
  response_types: ["code"],
  token_endpoint_auth_method: "none",
};

/** The options of a program in the project of the rig. */
function optionsOf({ project, home }: ClaudeRig, env: Record<string, string> = {}) {
  return { cwd: project, env: cleanEnv({ home, modelUrl: "http://127.0.0.1:9", env }) };
}

/** `claude mcp ...` */
async function mcp(rig: ClaudeRig, ...args: string[]): Promise<string> {
  const { code, out, err } = await outputOf(spawn(claude, ["mcp", ...args], optionsOf(rig)));
  expect([args, code, out + err]).toEqual([args, 0, expect.anything()]);
  return out;
}

/** It signs in at a terminal only. */
async function login(rig: ClaudeRig, name: string, token: string): Promise<string> {
  const browser = join(rig.root, "browser.sh");
  writeFileSync(browser, `#!/bin/sh\nexec "${process.execPath}" "${consent}" "$1"\n`, { mode: 0o755 });
  const env = { BROWSER: browser, SHIM_TEST_TOKEN: token, TERM: "xterm-256color", SHELL: "/bin/sh" };
  const program = spawn("script", ["-qefc", `${claude} mcp login ${name}`, "/dev/null"], optionsOf(rig, env));
  onTestFinished(() => void program.kill("SIGKILL"));
  const { code, out } = await outputOf(program, null);
  const shown = stripVTControlCharacters(out);
  expect([code, shown]).toEqual([0, expect.anything()]);
  return shown;
}

/** An hour later, as far as Claude Code can see. @returns the refresh tokens that it had */
function endAccess(home: string): string[] {
  const path = join(home, ".claude", ".credentials.json");
  const kept = JSON.parse(readFileSync(path, "utf8")) as Kept;
  for (const grant of Object.values(kept.mcpOAuth)) Object.assign(grant, { accessToken: "ended", expiresAt: 1 });
  writeFileSync(path, JSON.stringify(kept));
  return Object.values(kept.mcpOAuth).map(({ refreshToken }) => refreshToken);
}

interface Kept {
  readonly mcpOAuth: Readonly<Record<string, { readonly accessToken: string; readonly refreshToken: string }>>;
}

it("Claude Code signs in through a browser, refreshes, and is refused once the token is revoked", async () => {
  const rig = new ClaudeRig();
  const documents = { [documentAddress]: document };
  const edge = await EdgeRuntime.open({ isOAuth: true, documents, log: () => undefined });
  await edge.register("a-chat");
  const { id, token } = await edge.call("tokens.create", { machine: "claude", scope: "submit" });
  await mcp(rig, "add", "--transport", "http", "far", `${edge.url}/mcp`);
  expect(await mcp(rig, "list")).toMatch(/far: .*Needs authentication/);
  expect(await login(rig, "far", token)).toContain('Authenticated with "far"');
  expect(await mcp(rig, "list")).toMatch(/far: .*Connected/);
  const submit = call("mcp__far__tasks_submit", { tasks: [{ type: "build" }] });
  const chat = { args: ["--allowedTools", "mcp__far"], steps: [submit, { text: "Done." }] };
  const first = await rig.printed("give the build to the team", chat);
  expect(received(first.model, 1)).toContain('{"tasks":[{"task":1,"state":"queued","isDuplicate":false}]}');
  const before = endAccess(rig.home);
  const second = await rig.printed("and once more", chat);
  expect(received(second.model, 1)).toContain('{"tasks":[{"task":2,"state":"queued","isDuplicate":false}]}');
  expect(endAccess(rig.home)).not.toEqual(before);
  await edge.call("tokens.revoke", { id });
  const third = await rig.printed("and again", chat);
  expect(received(third.model, 1)).toMatch(/No such tool available: mcp__far__tasks_submit/);
  expect((await edge.call("tasks.list", {})).tasks).toHaveLength(2);
});
