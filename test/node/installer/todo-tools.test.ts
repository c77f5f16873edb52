import { expect, it } from "vitest";
import { aClientHome } from "#harness/machine/client-home.ts";

it("[IN22] the client's to-do tools are switched on at the user's word, and uninstall takes that back", () => {
  const home = aClientHome("2.1.328 (Claude Code)");
  home.write(home.settings, '{"env":{"MINE":"1"}}');
  const offered = home.install();
  expect(offered.notes.join()).toContain("shim init --todo-tools");
  expect(home.read(home.settings)).not.toContain("TODO_TOOLS");
  home.wantsTodoTools = true;
  expect(home.install().notes.join()).not.toContain("--todo-tools");
  expect(JSON.parse(home.read(home.settings) ?? "")).toMatchObject({
    env: { MINE: "1", CLAUDE_CODE_ENABLE_TODO_TOOLS: "1" },
  });
  home.wantsTodoTools = false;
  expect(home.install().edits).toEqual([]);
  home.write(home.settings, (home.read(home.settings) ?? "").replace('"MINE"', '"YOURS"'));
  home.uninstall();
  expect(JSON.parse(home.read(home.settings) ?? "")).toEqual({ env: { YOURS: "1" } });
  expect(home.read(home.config)).toBeNull();
});

it("[IN22] what the user has said of the to-do tools stays, and an older client is not asked about them", () => {
  const home = aClientHome("2.1.328 (Claude Code)");
  home.wantsTodoTools = true;
  const mine = { env: { CLAUDE_CODE_ENABLE_TODO_TOOLS: "0" } };
  home.write(home.settings, JSON.stringify(mine));
  home.install();
  expect(JSON.parse(home.read(home.settings) ?? "")).toMatchObject(mine);
  home.uninstall();
  expect(JSON.parse(home.read(home.settings) ?? "")).toEqual(mine);
  expect(aClientHome("2.1.232 (Claude Code)").install().notes.join()).not.toContain("to-do");
});
