import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { detect } from "#src/installer/targets.ts";
import { aCliHome, printed } from "#harness/machine/cli-home.ts";

const folders = ".claude .copilot .config/Claude .config/opencode .qwen .gemini".split(" ");

/** What each client's own parser reads, as it was seen with the real ones. */
const readersOf = {
  "a byte order mark": ["claude-code", "copilot", "opencode", "qwen"],
  comments: ["copilot", "opencode", "qwen", "gemini"],
  "trailing commas": ["copilot", "opencode"],
} as const;
const texts = {
  "a byte order mark": '\uFEFF{ "mcpServers": {} }',
  comments: '{ /* mine */ "mcpServers": {} }',
  "trailing commas": '{ "mcpServers": {}, }',
} as const;

it("a client whose parser refuses its file is not called connected, and doctor agrees; all others are @night", async () => {
  for (const extension of Object.keys(texts) as (keyof typeof texts)[]) {
    const home = aCliHome();
    for (const folder of folders) mkdirSync(join(home.folder, folder), { recursive: true });
    const refused: string[] = [];
    const targets = detect(home.io().machine);
    for (const { client, serversFile, settingsFile, label } of targets) {
      writeFileSync(client === "claude-code" && settingsFile ? settingsFile : serversFile, texts[extension]);
      const first = await home.shim(`init --yes --no-link --client ${client}`);
      const again = await home.shim(`init --yes --no-link --client ${client}`);
      expect(again.code).toBe(first.code);
      if (first.code === 0) {
        expect(first.out).toContain("SHIM is connected.");
        continue;
      }
      refused.push(client);
      for (const { out } of [first, again]) expect(out).toMatch(`${label} is not connected: `);
      expect(first.out).toContain(`has ${extension}, which ${label} does not read`);
      expect(first.out).not.toContain("SHIM is connected");
    }
    const readers: readonly string[] = readersOf[extension];
    expect(refused).toEqual(targets.map(({ client }) => client).filter((client) => !readers.includes(client)));
    const ignored = (await home.shim("doctor")).out.match(/which .* does not read/g);
    expect(ignored).toHaveLength(refused.length);
  }
});

it("a Claude Code that is not on the PATH is asked for its version where its installer has put it", async () => {
  for (const path of [".local/bin/claude", ".claude/local/claude"]) {
    const home = aCliHome();
    mkdirSync(join(home.folder, ".claude"));
    const program = join(home.folder, path);
    const versionOf = (name: string): string | null => (name === program ? "2.1.328 (Claude Code)" : null);
    const unknown = await home.shimWith({ versionOf }, "init --dry-run --client claude-code");
    expect(unknown.out).toContain("`claude` is not on the PATH");
    mkdirSync(join(program, ".."), { recursive: true });
    writeFileSync(program, "");
    expect((await home.shimWith({ versionOf }, "init --yes --client claude-code")).out).not.toContain(
      "not on the PATH",
    );
    expect(readFileSync(join(home.folder, ".claude", "settings.json"), "utf8")).toContain("mcp_tool");
  }
});

/** Claude Code of this version is on the PATH; null: it is not. */
const asked = (version: string | null) => ({
  versionOf: (name: string) => (name === "claude" ? version : "v24.1.0"),
});

it("hooks of an unknown version wait for an update, and so does one that is lost: a warning", async () => {
  const home = aCliHome();
  mkdirSync(join(home.folder, ".claude"));
  expect(await home.shimWith(asked(null), "init --yes --no-link")).toMatchObject(printed("SHIM is connected."));
  const present = asked("2.1.328 (Claude Code)");
  const states = async (): Promise<string[]> => {
    const { checks } = (await home.shimWith(present, "doctor --json")).json() as {
      checks: { name: string; state: string }[];
    };
    return checks
      .filter(({ name }) => name.startsWith("claude-code:"))
      .map(({ state }) => state)
      .toSorted();
  };
  expect(await states()).toEqual(["ok", "warn"]);
  const settings = join(home.folder, ".claude", "settings.json");
  writeFileSync(settings, readFileSync(settings, "utf8").replace('"Stop"', '"Stopped"'));
  expect(await states()).toEqual(["ok", "warn"]);
  expect(await home.shimWith(present, "init --yes --no-link")).toMatchObject(printed("SHIM is connected."));
  expect(await states()).toEqual(["ok"]);
});
