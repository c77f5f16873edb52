import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { harmlessTools, ownTools } from "#src/contract/own-tools.ts";
import { aCliHome, type CliHome } from "#harness/machine/cli-home.ts";

function withSettings(settings: object): { home: CliHome; path: string; text: string } {
  const home = aCliHome();
  const path = join(home.folder, ".claude", "settings.json");
  const text = `${JSON.stringify(settings, null, 2)}\n`;
  mkdirSync(join(home.folder, ".claude"));
  writeFileSync(path, text);
  return { home, path, text };
}

function rulesIn(path: string): unknown {
  const settings = JSON.parse(readFileSync(path, "utf8")) as { permissions?: { allow?: unknown } };
  return settings.permissions?.allow;
}

const rules = harmlessTools.map((tool) => `mcp__shim__${tool}`);

it("init allows the tools that only read or save, says so, and does it once; uninstall restores the file", async () => {
  const { home, path, text } = withSettings({ permissions: { allow: ["Bash(ls)"], deny: ["WebFetch"] } });
  const dry = await home.shim("init --client claude-code --dry-run");
  expect(dry.out).toMatch(/^Tools: \d+ tools of SHIM that only read or save/m);
  expect(rulesIn(path)).toEqual(["Bash(ls)"]);
  for (let n = 0; n < 2; n++) expect((await home.shim("init --client claude-code --yes")).code).toBe(0);
  expect(rulesIn(path)).toEqual(["Bash(ls)", ...rules]);
  await home.shim("init --remove --client claude-code --yes");
  expect(readFileSync(path, "utf8")).toBe(text);
});

it("a file that was changed since keeps the user's rules, also one for a tool of SHIM from before", async () => {
  const own = "mcp__shim__shim_inbox";
  const { home, path } = withSettings({ permissions: { allow: [own] } });
  await home.shim("init --client claude-code --yes");
  const changed = JSON.parse(readFileSync(path, "utf8")) as { permissions: { allow: string[] } };
  changed.permissions.allow.push("Bash(make)");
  writeFileSync(path, JSON.stringify(changed, null, 2));
  await home.shim("init --remove --client claude-code --yes");
  expect(rulesIn(path)).toEqual([own, "Bash(make)"]);
});

it("the plugin's tools have the plugin's names", async () => {
  const { home, path } = withSettings({ enabledPlugins: { "shim@shim": true } });
  await home.shim("init --client claude-code --yes");
  expect(rulesIn(path)).toEqual(harmlessTools.map((tool) => `mcp__plugin_shim_shim__${tool}`));
  await home.shim("init --remove --client claude-code --yes");
  expect(rulesIn(path)).toBeUndefined();
});

it.each([{}, { permissions: { allow: "all" } }])(
  "--no-allow, or rules of another shape, leave %j as it is",
  async (settings) => {
    const { home, path } = withSettings(settings);
    const isOdd = "permissions" in settings;
    expect((await home.shim(`init --client claude-code --yes ${isOdd ? "" : "--no-allow"}`.trim())).code).toBe(0);
    expect(rulesIn(path)).toBe(isOdd ? "all" : undefined);
  },
);

function aHomeOf(file: string, text: string): { home: CliHome; path: string } {
  const home = aCliHome();
  const path = join(home.folder, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return { home, path };
}

it("Qwen Code gets the rules in its settings, and its file is as it was after uninstall", async () => {
  const text = '{\n  // mine\n  "permissions": { "allow": ["Bash(ls)"] }\n}\n';
  const { home, path } = aHomeOf(".qwen/settings.json", text);
  expect((await home.shim("init --client qwen --dry-run")).out).toMatch(
    /^Tools: \d+ tools of SHIM that only read or save/m,
  );
  for (let n = 0; n < 2; n++) expect((await home.shim("init --client qwen --yes")).code).toBe(0);
  for (const rule of rules) expect(readFileSync(path, "utf8").split(`"${rule}"`)).toHaveLength(2);
  writeFileSync(path, readFileSync(path, "utf8").replace("// mine", "// mine, changed"));
  await home.shim("init --remove --client qwen --yes");
  expect(readFileSync(path, "utf8")).toBe(text.replace("// mine", "// mine, changed"));
});

it("--no-allow leaves the rules of other clients as they are", async () => {
  const { home, path } = aHomeOf(".qwen/settings.json", '{ "permissions": { "allow": ["Bash(ls)"] } }');
  await home.shim("init --client qwen --yes --no-allow");
  expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ permissions: { allow: ["Bash(ls)"] } });
});

it("no tool that deletes, assigns work or speaks to other chats is allowed", () => {
  const asked = ownTools.filter((tool) => !(harmlessTools as readonly string[]).includes(tool));
  expect(asked).toEqual([
    "shim_clear_state",
    "shim_submit",
    "shim_next",
    "shim_report",
    "shim_send",
    "shim_files",
    "shim_state_set",
  ]);
});
