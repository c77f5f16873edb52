import { afterAll, it } from "vitest";
import { teamConflicts } from "#src/store/team-tables.ts";
import { addSession, aCliHome } from "#harness/machine/cli-home.ts";
import { closeBrowser, openTab } from "#harness/web/browser.ts";
import { servePage } from "#harness/web/live-page.ts";

afterAll(closeBrowser);

it("the fleet shows an open conflict with both chats and their lines", async () => {
  const home = aCliHome();
  const chats = [
    ["parser", 1_001],
    ["lexer", 1_002],
  ] as const;
  for (const [id, pid] of chats) {
    home.alive.add(pid);
    addSession(home, { id, pid, title: `write the ${id}` });
  }
  const trees = { root: home.project, otherRoot: home.other, did: "changed", otherDid: "changed" } as const;
  const lines = { lines: "7-9", otherLines: "12" };
  const row = {
    kind: "merge",
    session: "parser",
    other: "lexer",
    path: "src/a.ts",
    ...trees,
    ...lines,
    at: home.now,
  } as const;
  home.runtime.store.write((sql) => teamConflicts.insert(sql, row));
  const served = await servePage(home, { isBuilt: true });
  const { page } = await openTab(served.link());
  const text = "A conflict is foreseen in src/a.ts: write the parser (lines 7-9) and write the lexer (lines 12)";
  await page.getByText(text).waitFor();
  await page.getByText(text).getByRole("link", { name: "write the lexer" }).click();
  await page.getByRole("heading", { name: "write the lexer" }).waitFor();
});
