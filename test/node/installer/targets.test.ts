import { existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { detect, type Machine } from "#src/installer/targets.ts";

/** A machine whose root is a fresh folder; `C:\a\b` stands in `<root>/C/a/b`. */
function aMachine(platform: NodeJS.Platform, paths: readonly string[], env: Record<string, string> = {}): Machine {
  const root = mkdtempSync(join(tmpdir(), "shim-machine-"));
  const real = (path: string): string => join(root, path.replaceAll("\\", "/").replace(":", ""));
  for (const path of paths) {
    mkdirSync(dirname(real(path)), { recursive: true });
    if (path.endsWith(".json") || path.endsWith(".cmd")) writeFileSync(real(path), "{}");
    else mkdirSync(real(path), { recursive: true });
  }
  return {
    platform,
    env,
    homedir: platform === "win32" ? "C:\\Users\\me" : "/home/me",
    exists: (path) => existsSync(real(path)),
    list: (folder) => (existsSync(real(folder)) ? readdirSync(real(folder)) : []),
  };
}

const files = (machine: Machine): string[] => detect(machine).map(({ serversFile }) => serversFile);

it("[IN1] finds Claude Desktop on macOS", () => {
  const folder = "/home/me/Library/Application Support/Claude";
  expect(files(aMachine("darwin", [folder]))).toEqual([`${folder}/claude_desktop_config.json`]);
});

it("[IN1] finds Claude Desktop on Linux, also where XDG_CONFIG_HOME says", () => {
  expect(files(aMachine("linux", ["/home/me/.config/Claude"]))).toEqual([
    "/home/me/.config/Claude/claude_desktop_config.json",
  ]);
  expect(files(aMachine("linux", ["/cfg/Claude"], { XDG_CONFIG_HOME: "/cfg" }))).toEqual([
    "/cfg/Claude/claude_desktop_config.json",
  ]);
});

it("[IN1] finds every Claude Desktop on Windows: the installer's, and both places of the Store's", () => {
  const local = "C:\\Users\\me\\AppData\\Local";
  const found = detect(
    aMachine("win32", [
      "C:\\Users\\me\\AppData\\Roaming\\Claude",
      `${local}\\Packages\\Claude_pzs8sxrjxfjjc\\LocalCache\\Roaming\\Claude`,
      `${local}\\Packages\\Other_1\\LocalCache\\Roaming\\Claude`,
      `${local}\\Claude-Data\\claude_abc`,
    ]),
  );
  expect(found.map(({ label, serversFile }) => [label, serversFile])).toEqual([
    ["Claude Desktop", "C:\\Users\\me\\AppData\\Roaming\\Claude\\claude_desktop_config.json"],
    [
      "Claude Desktop (Microsoft Store)",
      `${local}\\Packages\\Claude_pzs8sxrjxfjjc\\LocalCache\\Roaming\\Claude\\claude_desktop_config.json`,
    ],
    ["Claude Desktop (Microsoft Store)", `${local}\\Claude-Data\\claude_abc\\claude_desktop_config.json`],
  ]);
  expect(found.every(({ settingsFile }) => settingsFile === null)).toBe(true);
});

it("[IN1] follows APPDATA and LOCALAPPDATA on Windows", () => {
  const env = { APPDATA: "D:\\Roaming", LOCALAPPDATA: "D:\\Local" };
  expect(files(aMachine("win32", ["D:\\Roaming\\Claude", "D:\\Local\\Claude-Data\\claude_x"], env))).toEqual([
    "D:\\Roaming\\Claude\\claude_desktop_config.json",
    "D:\\Local\\Claude-Data\\claude_x\\claude_desktop_config.json",
  ]);
});

it("[IN2] finds Claude Code by its folder or its file, with the files of servers, settings and plugins", () => {
  for (const path of ["/home/me/.claude", "/home/me/.claude.json"])
    expect(detect(aMachine("linux", [path]))).toEqual([
      {
        client: "claude-code",
        platform: "linux",
        label: "Claude Code",
        serversFile: "/home/me/.claude.json",
        settingsFile: "/home/me/.claude/settings.json",
        pluginsFolder: "/home/me/.claude/plugins",
      },
    ]);
});

it("[IN2] CLAUDE_CONFIG_DIR moves all of Claude Code's files", () => {
  const [found] = detect(aMachine("darwin", ["/elsewhere/cc"], { CLAUDE_CONFIG_DIR: "/elsewhere/cc" }));
  expect(found?.serversFile).toBe("/elsewhere/cc/.claude.json");
  expect(found?.settingsFile).toBe("/elsewhere/cc/settings.json");
});

it("[IN2] Claude Code's first file of servers counts where it is still there", () => {
  expect(files(aMachine("linux", ["/home/me/.claude/.config.json"]))).toEqual(["/home/me/.claude/.config.json"]);
});

it("[IN2] finds a Claude Code that was never started by its command", () => {
  const env = { Path: "C:\\tools;C:\\npm" };
  expect(files(aMachine("win32", ["C:\\npm\\claude.cmd"], env))).toEqual(["C:\\Users\\me\\.claude.json"]);
});

it("[IN1] [IN2] finds nothing where nothing is, and Claude Desktop before Claude Code where both are", () => {
  expect(detect(aMachine("linux", []))).toEqual([]);
  const both = detect(aMachine("linux", ["/home/me/.claude", "/home/me/.config/Claude"]));
  expect(both.map(({ client }) => client)).toEqual(["claude-desktop", "claude-code"]);
});
